"""The end of a search: which networks are trained again from fresh seeds, and what follows from their results.

What a search reports as its best is in part luck: the best of many noisy numbers. So the best of the search are trained
again from fresh seeds and halved in rounds until one is named; then that one and the best networks drawn by hand are
trained from further seeds, which choose nothing. Those alone are compared.

Everything here is a function of results, so that it does not matter in which order, by how many workers or in how many
sessions they came in.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from netwright.config import VerdictSettings, final_rounds
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens


class Purpose(StrEnum):
    """What a training from a fresh seed is for; each purpose has seeds of its own."""

    REFERENCE = "reference"
    FINAL = "final"
    LAST = "last"


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One training of one network from one seed.

    Attributes:
        architecture: What is trained.
        purpose: What for.
        number: Which one of its kind, from 0.
    """

    architecture: Architecture
    purpose: Purpose
    number: int

    def seed(self, run: int) -> int:
        """The child's seed, in a run with the seed ``run``."""
        return derive_seed(run, self.purpose.value, self.architecture.digest, self.number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What came of a training.

    Attributes:
        valid: The validation number; None where the training failed.
        test: The number on the test part, where it was looked at.
        costs: What the network costs, by name, such as ``parameters``.
        reward: What the training earned.
        lost: Whether it failed by no fault of the network, of which it then says nothing.
        blocks: The number on each block of the test part, where anybody looked.
    """

    valid: float | None
    reward: float | None = None
    test: float | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    lost: bool = False
    blocks: Sequence[float] = ()


Results = Callable[[Training], Measured | None]
"""What came of a training; None where it is still to be run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entrant:
    """A network that a verdict compares.

    Attributes:
        architecture: What it is.
        name: Of a reference.
        trial: The first trial of the search that proposed it; None for a reference.
        tokens: The string that describes it; None where the space cannot write it.
    """

    architecture: Architecture
    name: str | None = None
    trial: int | None = None
    tokens: Tokens | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """All networks that take part.

    Attributes:
        found: The best of the search, the best one first; no reference is among them.
        references: Drawn by hand.
        settings: How many seeds and rounds.
        lower_is_better: Whether the validation number is, for instance, a perplexity.
        by_reward: Whether networks are ranked by their rewards, which count costs, rather than by that number.
        space: Which the tokens of all of them are of; None where it is not known.
    """

    found: Sequence[Entrant]
    references: Sequence[Entrant]
    settings: VerdictSettings
    lower_is_better: bool = False
    by_reward: bool = False
    space: SearchSpace | None = None

    def reference_trainings(self) -> list[Training]:
        """The trainings of all references before the search, seed by seed."""
        return [
            Training(architecture=entrant.architecture, purpose=Purpose.REFERENCE, number=number)
            for number in range(self.settings.reference_seeds)
            for entrant in self.references
        ]

    def missing(self, results: Results) -> list[Training]:
        """What is to be trained next, as far as that can be known; nothing once a verdict can be given.

        All of it may run side by side; what follows depends on all of it.
        """
        if waiting := _without_results(self.reference_trainings(), results):
            return waiting
        waiting, standing = self._halved(results)
        if waiting or not standing:
            return waiting
        last = _trainings([*standing, *self.contenders(results)], Purpose.LAST, range(self.settings.seeds))
        return _without_results(last, results)

    def named(self, results: Results) -> Entrant | None:
        """The one network that the rounds leave; None before their end, or when the search found nothing."""
        waiting, standing = self._halved(results)
        return standing[0] if standing and not waiting else None

    def _halved(self, results: Results) -> tuple[list[Training], list[Entrant]]:
        """The trainings that the round under way still lacks, and who is in it; after the last round the one named."""
        standing, done = list(self.found)[: self.settings.finalists_among(len(self.found))], 0
        for _, seeds in final_rounds(len(standing)):
            round_ = _trainings(standing, Purpose.FINAL, range(done, done + seeds))
            if waiting := _without_results(round_, results):
                return waiting, standing
            done += seeds
            standing = self._best(standing, Purpose.FINAL, done, results)[: math.ceil(len(standing) / 2)]
        return [], standing[:1]

    def contenders(self, results: Results) -> list[Entrant]:
        """The best references, by the trainings from before the search."""
        ranked = self._best(self.references, Purpose.REFERENCE, self.settings.reference_seeds, results)
        return ranked[: self.settings.contenders]

    def _best(self, entrants: Sequence[Entrant], purpose: Purpose, seeds: int, results: Results) -> list[Entrant]:
        """Entrants by the mean of their first ``seeds`` results, those with a failure last; equals as they came.

        What was lost counts for nothing, neither for a network nor against it.
        """

        def place(entrant: Entrant) -> tuple[bool, float]:
            trainings = _trainings([entrant], purpose, range(seeds))
            told = [training for training in trainings if (m := results(training)) is not None and not m.lost]
            worths = self.worths(told, results)
            return (False, -statistics.fmean(worths)) if worths and len(worths) == len(told) else (True, 0.0)

        return sorted(entrants, key=place)

    def worths(self, trainings: Iterable[Training], results: Results) -> list[float]:
        """What those trainings that did not fail are ranked by: the more, the better."""
        measured = [m for training in trainings if (m := results(training)) is not None and m.valid is not None]
        if self.by_reward:
            return [m.reward for m in measured if m.reward is not None]
        return [-m.valid if self.lower_is_better else m.valid for m in measured if m.valid is not None]


def _trainings(entrants: Iterable[Entrant], purpose: Purpose, numbers: range) -> list[Training]:
    return [Training(architecture=e.architecture, purpose=purpose, number=n) for n in numbers for e in entrants]


def _without_results(trainings: Iterable[Training], results: Results) -> list[Training]:
    return [training for training in trainings if results(training) is None]
