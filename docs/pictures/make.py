"""Draws the picture of the README from a run folder that has an answer.

NETWRIGHT_DATA=DIR netwright search cifar10-small --seed 0 --workers 2 --hours 0.5 --out runs/cifar10-small-0
python docs/pictures/make.py runs/cifar10-small-0

Another machine finds another network; docs/experiments/cifar10-small-0.tar.xz is the run that the picture shows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import netwright
from netwright.spaces.architecture import ConvArchitecture

INK, FAINT, POINT, LINE, BEST, DRAWN = "#1f2933", "#9aa5b1", "#b8c4d6", "#2563a8", "#d9730d", "#0f766e"
IMAGE = -1


def moving_average(values: Sequence[float], window: int) -> list[float]:
    """The mean of each ``window`` values in a row."""
    return [sum(values[end - window : end]) / window for end in range(window, len(values) + 1)]


def draw_course(axes: Axes, run: netwright.Run, window: int = 16) -> None:
    """The accuracy of every network of the search in the order of their numbers, and of those drawn by hand."""
    trials = run.trials().dropna(subset=["valid"])
    searched = trials[trials["phase"] == "search"]
    numbers, values = list(range(1, len(searched) + 1)), searched["valid"].tolist()
    axes.scatter(numbers, values, s=16, color=POINT, linewidths=0, label="one network, designed and trained")
    means = moving_average(values, window)
    axes.plot(numbers[window - 1 :], means, color=LINE, lw=2.4, label=f"mean of the last {window}")
    verdict = run.verdict
    assert verdict is not None, "the picture is of a run with an answer"
    best = verdict.references[0]
    found = f"found: {verdict.found.valid.mean:.3f} when trained again"
    drawn = f"best drawn by hand ({best.entrant.name}): {best.valid.mean:.3f}"
    axes.axhline(verdict.found.valid.mean, color=BEST, lw=1.8, label=found)
    axes.axhline(best.valid.mean, color=DRAWN, lw=1.8, ls=(0, (5, 3)), label=drawn)
    axes.set_xlabel("network")
    axes.set_ylabel("validation accuracy")
    axes.set_xlim(0, numbers[-1] + 1)
    axes.grid(axis="y", color="#e4e9f0", lw=0.8)
    axes.set_axisbelow(True)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.3 * (high - low), high)  # room for the legend below all points
    axes.legend(loc="lower right", frameon=False, fontsize=9)


def draw_network(axes: Axes, architecture: ConvArchitecture, classes: int) -> None:
    """Layers from the image at the bottom to the classes at the top; skip connections bend to the right."""
    axes.set_axis_off()
    count = len(architecture.layers)
    names = {IMAGE: "image", count: f"{classes} classes"}
    for index, layer in enumerate(architecture.layers):
        kind = "" if layer.layer_type == "conv" else f"{layer.layer_type} "
        names[index] = f"{kind}{layer.filter_height}×{layer.filter_width}   {layer.filters} filters"
    half, tall = 0.95, 0.5
    for index, name in names.items():
        ends = index in (IMAGE, count)
        box = FancyBboxPatch(
            (-half, index - tall / 2),
            2 * half,
            tall,
            boxstyle="round,pad=0.02,rounding_size=0.09",
            facecolor="#f3f6fa" if ends else "#dce8f6",
            edgecolor=FAINT if ends else LINE,
            lw=1.2,
        )
        axes.add_patch(box)
        axes.text(0, index, name, ha="center", va="center", color=INK, fontsize=9)
    edges = [(j, index) for index, layer in enumerate(architecture.layers) for j in layer.inputs or (IMAGE,)]
    edges += [(j, count) for j in architecture.outputs]
    for source, target in edges:
        span = target - source
        skips = span > 1
        bend = min(0.34 + 0.06 * span, 2.4 / span)  # the longest stay within the picture
        start, end = (half, source + 0.1), (half, target - 0.1)
        if not skips:
            start, end = (0, source + tall / 2), (0, target - tall / 2)
        arrow = FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            connectionstyle=f"arc3,rad={bend}" if skips else "arc3",
            color=BEST if skips else INK,
            lw=1.5,
            shrinkA=1,
            shrinkB=2,
        )
        axes.add_patch(arrow)
    axes.set_xlim(-1.05, 1.85)
    axes.set_ylim(IMAGE - 0.45, count + 0.45)


def main(folder: Path, picture: Path) -> None:
    """Draws ``picture`` from the run in ``folder``."""
    run = netwright.load_run(folder)
    architecture = run.best.architecture
    assert isinstance(architecture, ConvArchitecture)
    mpl.rcParams |= {
        "font.size": 10.5,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "text.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlepad": 12,
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.3), width_ratios=[2.5, 1], layout="constrained")
    draw_course(left, run)
    searched = (run.trials()["phase"] == "search").sum()
    left.set_title(f"{searched} networks for small CIFAR-10 pictures, one after the other", fontweight="bold")
    draw_network(right, architecture, len(run.best.task["classes"]))
    right.set_title("The one that was found", fontweight="bold")
    figure.savefig(picture, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).with_name("answer.png"))
