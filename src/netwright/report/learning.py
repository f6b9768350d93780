"""How children learned: their validation numbers after each epoch, as one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.measure import Measure
from netwright.report.charts import Axis, Chart
from netwright.report.course import Point, binned
from netwright.store.ranking import best_distinct, searched
from netwright.store.rows import TrialRow
from netwright.trial import Phase, State

MOST_CURVES = 120
"""Children that are drawn; of more of them, evenly many."""

MOST_EPOCHS = 60
"""Points of a curve; epochs of longer ones are drawn in bins."""

NAMES = 110
"""Pixels for names behind the curves."""

BEST = 3
"""Children whose curves stand out."""


def learning_curves(rows: Sequence[TrialRow], references: Mapping[str, str], measure: Measure) -> str:
    """A chart of the children's learning curves, in HTML: the best of the search and the references stand out.

    Args:
        rows: All trials of a run.
        references: Names of networks drawn by hand, by the digests of their architectures.
        measure: Of the numbers.
    """
    learned = [row for row in rows if row.state is State.COMPLETE and len(row.curve) > 1]
    found = searched(learned)
    drawn: dict[str, TrialRow] = {}
    for row in learned:
        if row.phase is not Phase.SEARCH and row.digest in references:
            drawn.setdefault(references[row.digest], row)
    if not found and not drawn:
        return "<p>No child tells of more than one epoch.</p>"
    best = best_distinct(found, BEST)
    others = [row for row in found[:: len(found) // MOST_CURVES + 1] if row not in best]
    shown = [*others, *drawn.values(), *best]
    values = [value for row in shown for value in row.curve]
    positive = min(values) > 0
    chart = Chart(
        Axis("epoch", [1, max(len(row.curve) for row in shown)], whole=True),
        Axis(measure.on_validation, values, logarithmic=measure.lower_is_better and positive),
        height=300,
        right=NAMES,
    )
    for place, row in enumerate(others):
        chart.line(_points(row), "child", "" if place else "a child of the search")
    for place, row in enumerate(drawn.values()):
        chart.line(_points(row), "drawn", "" if place else "drawn by hand")
    for place, row in enumerate(best):
        chart.line(_points(row), "best", "" if place else "the best of the search")
    ends = [(*_points(row)[-1], name, "") for name, row in drawn.items()]
    chart.ends([*ends, *((*_points(row)[-1], f"trial {row.id}", "of-best") for row in best)])
    thinned = (
        f" Of {len(found):,} children, {len(others) + len(best)} are shown." if len(others) < len(found) - BEST else ""
    )
    text = (
        "Curves that still climb at the last epoch ask for more epochs; children that keep their order from early on "
        f"could be judged sooner.{thinned}"
    )
    return f"<p>{text}</p>{chart.svg('learning curves of the children')}"


def _points(row: TrialRow) -> list[Point]:
    return [(b.x, b.mean) for b in binned([(float(epoch), y) for epoch, y in enumerate(row.curve, 1)], MOST_EPOCHS)]
