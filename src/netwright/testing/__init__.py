"""For tests of your own: what every search space, strategy and executor must keep to, and what a search is tested with.

A contract is a class of tests: subclass it in a test file and say how yours is made; pytest does the rest.

Public names: ``spaces.SpaceContract``, ``strategies.StrategyContract``, ``executors.ExecutorContract``; and
``searches.Notes`` (a journal in memory), ``searches.StopAfter`` (the death of a search) and ``searches.Backwards`` (an
executor whose newest job is done first).
"""
