"""The verdict: whether a search found a better network than people draw, with the error of the answer."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from netwright.search.finals import Entrant, Field, Purpose, Results, Training
from netwright.spaces.difference import Change, changes

SURE = 2.0
"""Standard errors that a difference must exceed to be called one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over seeds and its standard error, in the unit of the measure."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Estimate:
        """The mean of at least one number; of a single one the error is unknown, and infinite."""
        error = statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.inf
        return cls(mean=statistics.fmean(numbers), standard_error=error)

    def minus(self, other: Estimate, *, lower_is_better: bool) -> Estimate:
        """How much better this is than ``other``; the errors of independent means add in squares."""
        difference = other.mean - self.mean if lower_is_better else self.mean - other.mean
        return Estimate(mean=difference, standard_error=math.hypot(self.standard_error, other.standard_error))


class Answer(StrEnum):
    """What a verdict says of the found network."""

    BETTER = "better"
    NOT_DISTINGUISHABLE = "not distinguishable"
    WORSE = "worse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A network in a verdict.

    Attributes:
        entrant: Which one.
        valid: On the validation part.
        test: On the test part; None where there is none.
        seeds: Trainings that both are means of.
        costs: What it costs, by name, such as ``parameters``.
    """

    entrant: Entrant
    valid: Estimate
    test: Estimate | None
    seeds: int
    costs: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The found network against one reference.

    Attributes:
        reference: Which one.
        difference: How much better the found network is, on the validation part.
        test_difference: The same on the test part; None where there is none.
        answer: Whether the former is more than :data:`SURE` standard errors.
    """

    reference: Standing
    difference: Estimate
    test_difference: Estimate | None
    answer: Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """The reference from which the found network differs in the fewest decisions.

    Attributes:
        name: Of the reference.
        changes: The decisions that make the found network of it.
        decisions: How many the space has.
    """

    name: str
    changes: tuple[Change, ...]
    decisions: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The found network against the best that were drawn by hand, all from seeds that chose nothing.

    Attributes:
        found: What the search came to.
        references: The best references, the best one first.
        difference: How much better the found network is than the first of them, on the validation part.
        test_difference: The same on the test part; None where there is none.
        answer: Whether that is more than :data:`SURE` standard errors.
        in_space: The found network against the best of those references that the space can write, which are what a
            search begins from; None where none of them had the last seeds.
        nearest: Of all references that the space can write, the most similar one; None where there is none.
    """

    found: Standing
    references: tuple[Standing, ...]
    difference: Estimate
    test_difference: Estimate | None
    answer: Answer
    in_space: Comparison | None = None
    nearest: Nearest | None = None


def answer_of(difference: Estimate) -> Answer:
    """What a difference with its error says."""
    if difference.mean > SURE * difference.standard_error:
        return Answer.BETTER
    if difference.mean < -SURE * difference.standard_error:
        return Answer.WORSE
    return Answer.NOT_DISTINGUISHABLE


def verdict_of(field: Field, results: Results) -> Verdict | None:
    """The verdict that results lead to; None where one cannot be given, since trainings are missing or have failed.

    Of the references, the one with the best mean over the last seeds is what counts, by its rewards where these count
    costs: being the better of two, its number is if anything too good.
    """
    if field.missing(results) or (named := field.named(results)) is None:
        return None
    found = _standing(named, field, results)
    references = [s for entrant in field.contenders(results) if (s := _standing(entrant, field, results)) is not None]
    if found is None or not references:
        return None
    references.sort(key=lambda standing: -statistics.fmean(field.worths(_last(standing.entrant, field), results)))
    against = [_compared(found, standing, field) for standing in references]
    return Verdict(
        found=found,
        references=tuple(references),
        difference=against[0].difference,
        test_difference=against[0].test_difference,
        answer=against[0].answer,
        in_space=next((one for one in against if one.reference.entrant.tokens is not None), None),
        nearest=_nearest(named, field),
    )


def _compared(found: Standing, reference: Standing, field: Field) -> Comparison:
    difference = found.valid.minus(reference.valid, lower_is_better=field.lower_is_better)
    test = None
    if found.test is not None and reference.test is not None:
        test = found.test.minus(reference.test, lower_is_better=field.lower_is_better)
    return Comparison(reference=reference, difference=difference, test_difference=test, answer=answer_of(difference))


def _nearest(found: Entrant, field: Field) -> Nearest | None:
    """The most similar reference, of equally similar ones the first; strings of other sizes are not compared."""
    if field.space is None or found.tokens is None:
        return None
    decisions = len(field.space.plan())
    nearest: Nearest | None = None
    for reference in field.references:
        if reference.name is None or reference.tokens is None:
            continue
        if len(reference.tokens) != decisions or len(found.tokens) != decisions:
            continue
        made = changes(field.space, reference.tokens, found.tokens)
        if nearest is None or len(made) < len(nearest.changes):
            nearest = Nearest(name=reference.name, changes=made, decisions=decisions)
    return nearest


def _last(entrant: Entrant, field: Field) -> list[Training]:
    return [
        Training(architecture=entrant.architecture, purpose=Purpose.LAST, number=number)
        for number in range(field.settings.seeds)
    ]


def _standing(entrant: Entrant, field: Field, results: Results) -> Standing | None:
    """What the last seeds say of a network; None where all of them failed."""
    last = [measured for measured in map(results, _last(entrant, field)) if measured and measured.valid is not None]
    valid = [measured.valid for measured in last if measured.valid is not None]
    tests = [measured.test for measured in last if measured.test is not None]
    if not valid:
        return None
    return Standing(
        entrant=entrant,
        valid=Estimate.of(valid),
        test=Estimate.of(tests) if len(tests) == len(valid) else None,
        seeds=len(valid),
        costs=last[0].costs,
    )
