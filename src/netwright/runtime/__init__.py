"""The runtime is where evaluations run: in worker processes of one machine, or on a cluster with many controllers.

Whatever a child does, raise, hang, eat the memory or kill its process, costs that child at the most. ``attempts`` has
the rule for deaths of every executor; the package ``ray`` makes actors of the parts of a search on a cluster.

Public names: ``Attempts``, ``Death``, ``Driver``, ``ParameterServer``, ``ProcessPool``, ``Replica``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.runtime.attempts import Attempts, Death
    from netwright.runtime.driver import Driver
    from netwright.runtime.parameter_server import ParameterServer
    from netwright.runtime.process_pool import ProcessPool
    from netwright.runtime.replica import Replica

__all__ = ["Attempts", "Death", "Driver", "ParameterServer", "ProcessPool", "Replica"]

__getattr__ = lazily(
    __name__,
    {
        "attempts": ("Attempts", "Death"),
        "driver": ("Driver",),
        "parameter_server": ("ParameterServer",),
        "process_pool": ("ProcessPool",),
        "replica": ("Replica",),
    },
)
