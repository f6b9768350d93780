"""Contract suites: what every search space, strategy and executor must keep to, shipped so that yours can be, too.

A suite is a class of tests: subclass it in a test file and say how yours is made; pytest does the rest.

Public names: ``spaces.SpaceContract``, ``strategies.StrategyContract``, ``executors.ExecutorContract``.
"""
