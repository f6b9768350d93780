"""Contract suites: what every search space and every strategy must keep to, shipped so that your own can be held to it.

A suite is a class of tests: subclass it in a test file and say how yours is made; pytest does the rest.

Public names: ``spaces.SpaceContract``, ``strategies.StrategyContract``, ``executors.ExecutorContract``.
"""
