"""A comparison sets strategies against each other on a table, seed by seed.

Public names: ``Contest``, ``Standing``, ``compare``, ``plot_against_random``, ``plot_best_so_far``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.comparison.contests import Contest, Standing, compare
    from netwright.comparison.plots import plot_against_random, plot_best_so_far

__all__ = ["Contest", "Standing", "compare", "plot_against_random", "plot_best_so_far"]

__getattr__ = lazily(
    __name__,
    {
        "contests": ("Contest", "Standing", "compare"),
        "plots": ("plot_against_random", "plot_best_so_far"),
    },
)
