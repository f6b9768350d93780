"""The front of a run: what its networks are worth against what they cost, as a table, as JSON and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from netwright.answer import reference_names
from netwright.config import COSTS
from netwright.errors import UsageError
from netwright.front import PricedNetwork, front, known_costs, priced
from netwright.measure import Measure
from netwright.report.charts import Axis, Chart
from netwright.report.columns import columns
from netwright.report.html import Cell, table
from netwright.search.verdict import Verdict
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of

NAMES = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "activation_bytes": "activation memory (bytes)",
    "latency_ms": "latency (ms)",
}
"""What a person calls each of the costs."""

MOST_POINTS = 600
"""Networks that a picture shows; of more of them, evenly many, and all of the front."""

SPREAD = 1.01
"""Ratio of the largest to the least cost, below which a picture of it would be a vertical line."""

HEIGHT = 340
"""Pixels of a picture, so that the names of networks that are nearly alike have room."""

ROWS = 12
"""Of the table below a picture."""


def networks_of(folder: RunFolder) -> list[PricedNetwork]:
    """The networks of a run that were trained, references by their names.

    Raises:
        StorageError: The run folder is damaged.
    """
    return priced(folder.store.rows(), reference_names(folder.task()))


def fronts_of(folder: RunFolder, costs: Sequence[str] = ()) -> dict[str, list[PricedNetwork]]:
    """The front of a run for each of the costs; for all that are known where none is named.

    Raises:
        UsageError: A cost is none, or no network of the run has it.
        StorageError: The run folder is damaged.
    """
    networks = networks_of(folder)
    known = known_costs(networks)
    for cost in costs:
        if cost not in COSTS:
            raise UsageError(f"--cost {cost}: expected one of {', '.join(COSTS)}")
        if cost not in known:
            how = "; measure it by child.latency.measure=true" if cost == "latency_ms" else ""
            raise UsageError(f"--cost {cost}: no finished trial of {folder.path} has it{how}")
    lower_is_better = measure_of(folder.config, folder.task()).lower_is_better
    return {cost: front(networks, cost, lower_is_better=lower_is_better) for cost in costs or known}


def front_table(networks: Sequence[PricedNetwork], cost: str, measure: Measure, width: int | None = None) -> str:
    """A line per network of a front, by rising cost; the cost in question stands first.

    Args:
        networks: Of the front.
        cost: The one in question.
        measure: Of their validation numbers.
        width: Columns of the terminal; None for a pipe.
    """
    costs = [cost, *(other for other in known_costs(networks) if other != cost)]
    rows = [["network", measure.name, "trainings", *(NAMES[name] for name in costs)]]
    for network in networks:
        cells = [network.label, f"{network.valid:.4f}", str(network.trainings)]
        rows.append([*cells, *(_cost(network, name) for name in costs)])
    return "\n".join(columns(rows, width=width))


def _cost(network: PricedNetwork, name: str) -> str:
    if name not in network.costs:
        return ""
    value = network.costs[name]
    return f"{value:.4g}" if name == "latency_ms" else f"{value:,.0f}"


def front_json(fronts: Mapping[str, Sequence[PricedNetwork]], measure: Measure) -> dict[str, Any]:
    """All fronts as an object that JSON can hold; see ``docs/reference/run-folder.md``."""
    return {
        "measure": measure.to_json(),
        "fronts": {cost: [network_json(network) for network in networks] for cost, networks in fronts.items()},
    }


def network_json(network: PricedNetwork) -> dict[str, Any]:
    """A network of a front as JSON."""
    return {
        "trial": network.trial,
        "name": network.name,
        "valid": network.valid,
        "trainings": network.trainings,
        **network.costs,
    }


def front_sections(folder: RunFolder, measure: Measure, verdict: Verdict | None) -> str:
    """For a page: a picture for each cost that tells networks apart, with the front as a table below."""
    networks = networks_of(folder)
    answer = None if verdict is None else verdict.found.entrant.trial
    parts = [
        _section(networks, cost, measure, answer)
        for cost in known_costs(networks)
        if (values := [n.costs[cost] for n in networks if n.costs.get(cost, 0) > 0])
        and max(values) > SPREAD * min(values)
    ]
    if not parts:
        return "<p>All networks that were trained so far cost the same.</p>" if networks else "<p>None yet.</p>"
    better = "lower" if measure.lower_is_better else "higher"
    text = (
        f"Each dot is a network: the {better}, the better, and the further left, the cheaper. On the orange line, the "
        "front, are those worth a look: whatever beats one of them also costs more. A network that was trained several "
        "times stands at the mean of its trainings; one that was trained once may owe its place to luck."
    )
    return f"<p>{text}</p>{''.join(parts)}"


def _section(networks: Sequence[PricedNetwork], cost: str, measure: Measure, answer: int | None) -> str:
    """The picture of one cost.

    Args:
        networks: All that were trained.
        cost: Which one.
        measure: Of their validation numbers.
        answer: The trial that the run's verdict is about, whose network has a name in the picture; else the best has.
    """
    known = [network for network in networks if network.costs.get(cost, 0) > 0]
    best = front(known, cost, lower_is_better=measure.lower_is_better)
    found = [network for network in known if network.name is None]
    drawn = [network for network in known if network.name is not None]
    shown = found[:: len(found) // MOST_POINTS + 1]

    def place(network: PricedNetwork) -> tuple[float, float]:
        return network.costs[cost], network.valid

    costs, values = zip(*map(place, known), strict=True)
    label = measure.on_validation
    across = Axis(NAMES[cost], costs, logarithmic=True)
    chart = Chart(across, Axis(label, values, logarithmic=measure.lower_is_better), height=HEIGHT)
    chart.points([place(n) for n in shown], "trial", "found", [_title(n, cost) for n in shown])
    chart.steps([place(n) for n in best], max(costs), "best", "the front")
    chart.points([place(n) for n in best], "best", "", [_title(n, cost) for n in best])
    chart.points([place(n) for n in drawn], "drawn", "drawn by hand" if drawn else "", [_title(n, cost) for n in drawn])
    found_one = next((n for n in found if n.trial == answer), next((n for n in reversed(best) if n.name is None), None))
    names = [] if found_one is None else [(*place(found_one), f"trial {found_one.trial}", "of-best")]
    chart.labels([*names, *((*place(n), n.name or "", "") for n in drawn)])
    rows: list[list[Cell]] = [[n.label, n.valid, n.trainings, _cost(n, cost)] for n in best[-ROWS:]]
    listed = table(["network", label, "trainings", NAMES[cost]], rows)
    thinned = f'<p class="soft">Of {len(found):,} found, {len(shown)} are shown.</p>' if len(shown) < len(found) else ""
    return (
        f"<h3>{escape(NAMES[cost])}</h3>{thinned}{chart.svg(f'{label} against {NAMES[cost]}')}"
        f"<details><summary>the front as a table</summary>{listed}</details>"
    )


def _title(network: PricedNetwork, cost: str) -> str:
    return f"{network.label}: {network.valid:.4g}, {_cost(network, cost)} {NAMES[cost]}"


def save_picture(folder: RunFolder, cost: str, path: Path) -> None:
    """The front of one cost as a file: SVG, PNG or PDF, by its ending.

    Raises:
        UsageError: matplotlib is not installed, or does not write such files.
        StorageError: The run folder is damaged.
    """
    try:
        from netwright.comparison.plots import canvas, save
    except ImportError:
        raise UsageError("--plot draws a picture and needs matplotlib: pip install 'netwright[plots]'") from None
    measure = measure_of(folder.config, folder.task())
    networks = [network for network in networks_of(folder) if network.costs.get(cost, 0) > 0]
    best = front(networks, cost, lower_is_better=measure.lower_is_better)
    figure, axes = canvas(NAMES[cost], measure.on_validation)
    if path.suffix.removeprefix(".").lower() not in figure.canvas.get_supported_filetypes():
        raise UsageError(f"--plot {path}: expected a name that ends in .svg, .png or .pdf")
    axes.set_xscale("log")
    for style, label, some in (
        ("C0", "found", [n for n in networks if n.name is None]),
        ("C2", "drawn by hand", [n for n in networks if n.name is not None]),
    ):
        if some:
            costs, values = [n.costs[cost] for n in some], [n.valid for n in some]
            axes.scatter(costs, values, s=16, alpha=0.6, color=style, label=label)
    axes.step([n.costs[cost] for n in best], [n.valid for n in best], where="post", color="C1", label="the front")
    for network in best:
        name = network.name or str(network.trial)
        axes.annotate(name, (network.costs[cost], network.valid), (4, 4), textcoords="offset points", fontsize=8)
    save(figure, axes, path)
