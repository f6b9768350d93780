"""The runtime is where evaluations run: executors beyond the one that runs them in turn.

Whatever a child does, raise, hang, eat the memory or kill its process, costs that child at the most.

Public names: ``process_pool`` has ``ProcessPool``, ``worker`` what it starts, ``deaths`` whom it blames for a death.
"""
