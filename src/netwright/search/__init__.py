"""A search asks a strategy for architectures, has them evaluated, and tells the strategy what they earned.

The loop is ``loop.search``; what it needs of others are the protocols ``Strategy``, ``Executor``, ``Evaluator``,
``Journal`` and ``Observer``.

Public names: ``strategy`` has ``Strategy`` and ``Checkpointed``; ``executor`` has ``Evaluator``, ``Executor``,
``Job`` and ``SerialExecutor``; ``strategies`` has ``make_strategy`` and all strategies by name; ``reward`` has
``accuracy_reward``; ``curriculum`` has ``DepthSchedule``; ``compare`` sets strategies against each other.
"""
