"""A strategy proposes architectures and learns from what they earned: the paper's controller, and its rivals.

Each is one file; ``by_name`` makes one from its name in a configuration. The protocol they keep is
:class:`netwright.search.strategy.Strategy`.

Public names: ``reinforce`` has ``Reinforce``, ``replay`` ``ReinforceReplay``, ``random_search`` ``RandomSearch``,
``evolution`` ``Evolution``, ``local_search`` ``LocalSearch``, ``grid`` ``Grid``; ``by_name`` has ``STRATEGIES`` and
``make_strategy``.
"""
