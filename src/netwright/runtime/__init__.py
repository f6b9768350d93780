"""The runtime is where evaluations run: in worker processes of one machine, or on a cluster with many controllers.

Whatever a child does, raise, hang, eat the memory or kill its process, costs that child at the most.

Public names: ``process_pool`` has ``ProcessPool``, ``worker`` what it starts, ``parcel`` how evaluators and jobs get
there, ``worker_log`` where its output goes, ``attempts`` the rule for deaths of every executor; ``parameter_server``,
``replica`` and ``driver`` are the parts of a search on a cluster, and the package ``ray`` makes actors of them.
"""
