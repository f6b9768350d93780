"""A strategy proposes architectures and learns from what they earned: the paper's controller, and its rivals.

Each is one file; ``by_name`` makes one from its name in a configuration. The protocol they keep is
:class:`netwright.search.strategy.Strategy`.

Public names: ``Evolution``, ``Grid``, ``LocalSearch``, ``RandomSearch``, ``Reinforce``, ``ReinforceReplay``,
``ReplaySettings``, ``STRATEGIES``, ``make_strategy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.strategies.by_name import STRATEGIES, make_strategy
    from netwright.strategies.evolution import Evolution
    from netwright.strategies.grid import Grid
    from netwright.strategies.local_search import LocalSearch
    from netwright.strategies.random_search import RandomSearch
    from netwright.strategies.reinforce import Reinforce
    from netwright.strategies.replay import ReinforceReplay, ReplaySettings

__all__ = [
    "STRATEGIES",
    "Evolution",
    "Grid",
    "LocalSearch",
    "RandomSearch",
    "Reinforce",
    "ReinforceReplay",
    "ReplaySettings",
    "make_strategy",
]

__getattr__ = lazily(
    __name__,
    {
        "by_name": ("STRATEGIES", "make_strategy"),
        "evolution": ("Evolution",),
        "grid": ("Grid",),
        "local_search": ("LocalSearch",),
        "random_search": ("RandomSearch",),
        "reinforce": ("Reinforce",),
        "replay": ("ReinforceReplay", "ReplaySettings"),
    },
)
