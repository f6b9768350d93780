"""The course of a run as numbers: functions over its trials whose results a report draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil

from netwright.spaces.architecture import ChoiceArchitecture, parse_architecture
from netwright.spaces.grammar import Anchor, Choice, Decision, Option, Plan, Tokens
from netwright.store.rows import TrialRow

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """A few consecutive points as one.

    Attributes:
        x: Mean abscissa.
        low: Tenth percentile of the values.
        mean: Of the values.
        high: Ninetieth percentile.
    """

    x: float
    low: float
    mean: float
    high: float


def binned(points: Sequence[Point], most: int) -> list[Bin]:
    """At most ``most`` bins of equally many points, one per point when there are that few."""
    bins = []
    for part in _parts(points, most):
        values = sorted(y for _, y in part)
        last = len(values) - 1
        x = sum(x for x, _ in part) / len(part)
        mean = sum(values) / len(values)
        bins.append(Bin(x=x, low=values[round(0.1 * last)], mean=mean, high=values[round(0.9 * last)]))
    return bins


def _parts(items: Sequence[Point], most: int) -> Iterator[Sequence[Point]]:
    size = max(ceil(len(items) / most), 1)
    return (items[start : start + size] for start in range(0, len(items), size))


def moving_average(points: Sequence[Point], window: int) -> list[Point]:
    """The mean of each value and the ``window`` - 1 before it; fewer at the beginning."""
    averages = []
    total = 0.0
    for index, (x, y) in enumerate(points):
        total += y - (points[index - window][1] if index >= window else 0.0)
        averages.append((x, total / min(index + 1, window)))
    return averages


def best_so_far(points: Sequence[Point]) -> list[Point]:
    """The points that are higher than all before them."""
    records: list[Point] = []
    for x, y in points:
        if not records or y > records[-1][1]:
            records.append((x, y))
    return records


def observed_plan(rows: Sequence[TrialRow]) -> Plan:
    """The decisions of a space that is not known, guessed from what was chosen so far.

    Plain choices tell their names and values; of others there are only the tokens.
    """
    seen: list[dict[int, Option]] = []
    names: list[str] = []
    for row in rows:
        architecture = parse_architecture(row.architecture)
        choices = architecture.choices if isinstance(architecture, ChoiceArchitecture) else ()
        for step, token in enumerate(row.tokens):
            name, value = choices[step] if step < len(choices) else (f"token {step}", token)
            if step == len(seen):
                seen.append({})
                names.append(name)
            seen[step][token] = value
    return tuple(
        Choice(name, tuple(_option(values, token) for token in range(max(values) + 1)))
        for name, values in zip(names, seen, strict=True)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """How often each option of a decision was chosen, over time.

    Attributes:
        kind: The decision's.
        labels: One per option; of an anchor, one per earlier anchor.
        shares: For each option, its share of the trials of each period; None where no trial took the decision.
        several: Whether a trial may choose several of them, as an anchor does.
    """

    kind: str
    labels: tuple[str, ...]
    shares: tuple[tuple[float | None, ...], ...]
    several: bool = False


def favourite(preference: Preference) -> str:
    """What was chosen most in the last period in which the decision was taken: the option, and its share in per cent.

    Of an anchor, the earlier anchors that most trials chose; ``none`` where most chose none of them.
    """
    periods = [column for column in zip(*preference.shares, strict=True) if column and column[0] is not None]
    if not periods:
        return ""
    shares = {label: share or 0.0 for label, share in zip(preference.labels, periods[-1], strict=True)}
    if preference.several:
        return ", ".join(label for label, share in shares.items() if share >= 0.5) or "none"
    best = max(shares, key=lambda label: shares[label])
    return f"{best} ({shares[best]:.0%})"


def _option(values: Mapping[int, Option], token: int) -> Option:
    """What a token stands for, or, where nobody took it, a name for it that is no other's."""
    if token in values:
        return values[token]
    return token if token not in values.values() else f"option {token}"


def preferences(plan: Sequence[Decision], strings: Sequence[Tokens], periods: int) -> list[Preference]:
    """The preferences of every decision of ``plan`` over ``strings``, cut into at most ``periods`` of equal length."""
    size = max(ceil(len(strings) / periods), 1)
    cut = [strings[start : start + size] for start in range(0, len(strings), size)]
    result = []
    for step, decision in enumerate(plan):
        columns = [_shares(decision, [tokens[step] for tokens in part if step < len(tokens)]) for part in cut]
        result.append(
            Preference(
                kind=decision.kind,
                labels=_labels(decision),
                shares=tuple(zip(*columns, strict=True)),
                several=isinstance(decision, Anchor),
            )
        )
    return result


def _labels(decision: Decision) -> tuple[str, ...]:
    return tuple(map(str, range(decision.earlier) if isinstance(decision, Anchor) else decision.options))


def _shares(decision: Decision, tokens: Sequence[int]) -> list[float | None]:
    """The share of each option, or earlier anchor, among ``tokens``."""
    options = range(len(_labels(decision)))
    if not tokens:
        return [None for _ in options]
    if isinstance(decision, Anchor):
        return [sum(token >> option & 1 for token in tokens) / len(tokens) for option in options]
    return [tokens.count(option) / len(tokens) for option in options]


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a worker did.

    Attributes:
        trials: How many it finished.
        seconds: How long it was at them.
    """

    trials: int
    seconds: float


def work_by_worker(rows: Sequence[TrialRow]) -> Mapping[int, Work]:
    """What each worker did, by its number."""
    work: dict[int, Work] = {}
    for row in rows:
        if row.worker is not None and row.seconds is not None:
            before = work.get(row.worker, Work(trials=0, seconds=0.0))
            work[row.worker] = Work(trials=before.trials + 1, seconds=before.seconds + row.seconds)
    return dict(sorted(work.items()))


def busy_workers(rows: Sequence[TrialRow], most: int) -> list[Point]:
    """The mean number of busy workers over time, in at most ``most`` spans; hours since the first start -> workers."""
    spans = []
    for row in rows:
        if row.finished_at is not None and row.seconds is not None:
            end = datetime.fromisoformat(row.finished_at).timestamp()
            spans.append((end - row.seconds, end))
    if not spans:
        return []
    begin, finish = min(start for start, _ in spans), max(end for _, end in spans)
    width = max((finish - begin) / most, 1e-3)
    busy = [0.0] * most
    for start, end in spans:
        first, last = int((start - begin) / width), min(int((end - begin) / width), most - 1)
        edges = [start, *(begin + place * width for place in range(first + 1, last + 1)), end]
        for place, (left, right) in enumerate(pairwise(edges), first):
            busy[place] += (right - left) / width
    return [((place + 0.5) * width / 3600, workers) for place, workers in enumerate(busy)]
