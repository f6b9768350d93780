"""Which trials are best: the one order that tables, reports and exports agree on."""

from __future__ import annotations

from collections.abc import Sequence

from netwright.store.rows import TrialRow
from netwright.trial import Phase, State


def best_first(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Complete trials by falling reward, then the failed ones, then those under way; by number among equals."""

    def place(row: TrialRow) -> tuple[bool, bool, float, int]:
        return row.state is State.RUNNING, row.state is not State.COMPLETE, -(row.reward or 0.0), row.id

    return sorted(rows, key=place)


def searched(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """The trials of the search itself: neither references nor trainings for its answer."""
    return [row for row in rows if row.phase is Phase.SEARCH]


def best_trial(rows: Sequence[TrialRow]) -> TrialRow | None:
    """The complete trial with the highest reward; None when there is none."""
    return next(iter(best_distinct(rows, 1)), None)


def best_distinct(rows: Sequence[TrialRow], count: int) -> list[TrialRow]:
    """The best complete trials, of each architecture the best one only; at most ``count``."""
    best: dict[str, TrialRow] = {}
    for row in best_first(rows):
        if row.state is State.COMPLETE:
            best.setdefault(row.digest, row)
    return list(best.values())[:count]
