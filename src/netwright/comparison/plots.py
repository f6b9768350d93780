"""Two pictures of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.axes
import matplotlib.figure
import numpy as np

if TYPE_CHECKING:
    from netwright.comparison.contests import Standing

TOP = (1, 5, 15)
"""How many distinct networks are averaged (Zoph & Le 2017, Figure 6)."""


def plot_best_so_far(standings: Sequence[Standing], path: Path) -> None:
    """Test accuracy of the best network so far against evaluations: means over seeds with 95 % confidence bands."""
    figure, axes = canvas("Evaluations", "Test accuracy of the best found (%)")
    for standing in standings:
        best = 100 * standing.best_test
        seeds, evaluations = best.shape
        mean, half = best.mean(axis=0), 0.0
        if seeds > 1:
            half = 1.96 * best.std(axis=0, ddof=1) / np.sqrt(seeds)
        steps = np.arange(1, evaluations + 1)
        axes.plot(steps, mean, label=standing.strategy)
        axes.fill_between(steps, mean - half, mean + half, alpha=0.2, linewidth=0)
    # The first draws are worse by far than all that follows and would flatten it.
    starts = [100 * s.best_test[:, min(10, s.best_test.shape[1]) - 1].mean() for s in standings]
    ends = [100 * s.best_test[:, -1].mean() for s in standings]
    axes.set_ylim(min(starts), max(ends) + 0.1 * (max(ends) - min(starts)) + 0.01)
    save(figure, axes, path)


def plot_against_random(standings: Sequence[Standing], random: Standing, path: Path) -> None:
    """Mean validation accuracy of the top 1, 5 and 15 networks minus random search's (Zoph & Le 2017, Figure 6)."""
    figure, axes = canvas("Evaluations", "Top-k validation accuracy minus random search's (points)")
    for number, standing in enumerate(standings):
        if standing is random:
            continue
        for count, style in zip(TOP, ("-", "--", ":"), strict=True):
            lead = 100 * (standing.top(count) - random.top(count)).mean(axis=0)
            # From where on all three means exist; before it, chance alone speaks.
            steps = np.arange(max(TOP), len(lead) + 1)
            axes.plot(steps, lead[max(TOP) - 1 :], style, color=f"C{number}", label=f"{standing.strategy}, top {count}")
    axes.axhline(0, color="0.5", linewidth=0.8)
    save(figure, axes, path)


def canvas(x: str, y: str) -> tuple[matplotlib.figure.Figure, matplotlib.axes.Axes]:
    """A figure with one pair of axes, which are called ``x`` and ``y``."""
    figure = matplotlib.figure.Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def save(figure: matplotlib.figure.Figure, axes: matplotlib.axes.Axes, path: Path) -> None:
    """Writes a figure with its legend, in the format that the ending of ``path`` names."""
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
