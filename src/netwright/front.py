"""The networks of a run by what they are worth and what they cost, and those of them that no other beats in both.

A network that was trained several times, from whatever seeds and in whatever phase, counts once, by its mean. A single
training is in part luck, and the best of many single ones more so: how many trainings a mean is of is always with it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netwright.config import COSTS
from netwright.store.rows import TrialRow
from netwright.trial import STOPPED_AFTER, State


@dataclass(frozen=True, kw_only=True, slots=True)
class PricedNetwork:
    """A network with what it costs.

    Attributes:
        trial: Its first trial, which names it on the command line.
        digest: Of its architecture.
        name: Of a network drawn by hand; None for a found one.
        valid: Mean of the validation numbers of its trainings.
        trainings: How many they are.
        costs: By name, of those that are known; where one was measured several times, the mean.
    """

    trial: int
    digest: str
    name: str | None
    valid: float
    trainings: int
    costs: Mapping[str, float]

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"trial {self.trial}" if self.name is None else f"{self.name} (by hand)"


def priced(rows: Iterable[TrialRow], names: Mapping[str, str]) -> list[PricedNetwork]:
    """All networks of a run that were trained to their end, by their first trial.

    Args:
        rows: Its trials.
        names: Of networks drawn by hand, by digest.
    """
    rows_of: dict[str, list[TrialRow]] = {}
    for row in rows:
        if row.state is State.COMPLETE and row.valid is not None and STOPPED_AFTER not in row.metrics:
            rows_of.setdefault(row.digest, []).append(row)
    return [
        PricedNetwork(
            trial=same[0].id,
            digest=digest,
            name=names.get(digest),
            valid=statistics.fmean(row.valid for row in same if row.valid is not None),
            trainings=len(same),
            costs={
                name: statistics.fmean(values)
                for name in COSTS
                if (values := [row.metrics[name] for row in same if name in row.metrics])
            },
        )
        for digest, same in rows_of.items()
    ]


def front(networks: Iterable[PricedNetwork], cost: str, *, lower_is_better: bool) -> list[PricedNetwork]:
    """The networks that no other is both at least as good and at most as costly as, by rising cost.

    Args:
        networks: Those without this cost are left out.
        cost: One of :data:`netwright.config.COSTS`.
        lower_is_better: Whether the validation number is, for instance, a perplexity.
    """
    sign = 1 if lower_is_better else -1
    known = [network for network in networks if cost in network.costs]
    kept: list[PricedNetwork] = []
    for network in sorted(known, key=lambda n: (n.costs[cost], sign * n.valid, n.trial)):
        if not kept or sign * network.valid < sign * kept[-1].valid:
            kept.append(network)
    return kept


def within(
    networks: Iterable[PricedNetwork], limits: Mapping[str, float], *, lower_is_better: bool
) -> PricedNetwork | None:
    """The best network whose costs are known and within limits; None where there is none."""
    sign = 1 if lower_is_better else -1
    fit = [n for n in networks if all(n.costs.get(name, limit + 1) <= limit for name, limit in limits.items())]
    return min(fit, key=lambda n: (sign * n.valid, n.trial), default=None)


def known_costs(networks: Sequence[PricedNetwork]) -> list[str]:
    """The costs that some network of a run has."""
    return [cost for cost in COSTS if any(cost in network.costs for network in networks)]
