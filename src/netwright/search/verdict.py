"""The verdict: whether a search found a better network than people draw, with the error of the answer."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from netwright.search.estimates import Answer, Estimate, Sample, answer_of
from netwright.search.finals import Entrant, Field, Purpose, Results, Training
from netwright.spaces.difference import Change, changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A network in a verdict.

    Attributes:
        entrant: Which one.
        valid: On the validation part.
        test: On the test part; None where there is none.
        seeds: Trainings that both are means of.
        costs: What it costs, by name, such as ``parameters``.
        failed: Further trainings that failed for a reason of the network's own; none that was lost.
    """

    entrant: Entrant
    valid: Estimate
    test: Estimate | None
    seeds: int
    costs: Mapping[str, float]
    failed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The found network against one reference.

    Attributes:
        found: The former.
        reference: The latter.
        difference: How much better the found network is, on the validation part; its error counts the seeds alone.
        test_difference: The same on the test part, where its error counts the examples, too; None where there is none.
    """

    found: Standing
    reference: Standing
    difference: Estimate
    test_difference: Estimate | None

    @property
    def deciding(self) -> Estimate:
        """The difference that the answer is about: on the test part, where there is one."""
        return self.difference if self.test_difference is None else self.test_difference

    @property
    def held_back(self) -> bool:
        """Whether the found network is ahead by more than chance explains, but only where its training did not fail."""
        return self.found.failed > 0 and answer_of(self.deciding) is Answer.BETTER

    @property
    def answer(self) -> Answer:
        """Whether that is more than chance explains; a network whose training failed is not called better."""
        return Answer.NOT_DISTINGUISHABLE if self.held_back else answer_of(self.deciding)


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
        difference: How much better the found network is than the first of them, on the validation part. The search was
            led by its examples, so it is if anything too good; its error counts the seeds alone.
        test_difference: The same on the test part, which nothing was chosen by. Its error counts the examples, too,
            where they are known. None where there is no such part.
        in_space: The found network against the best of those references that the space can write, which are what a
            search begins from; None where none of them had the last seeds.
        nearest: Of all references that the space can write, the most similar one; None where there is none.
    """

    found: Standing
    references: tuple[Standing, ...]
    difference: Estimate
    test_difference: Estimate | None
    in_space: Comparison | None = None
    nearest: Nearest | None = None

    @property
    def deciding(self) -> Estimate:
        """The difference that the answer is about: on the test part, where there is one."""
        return self.against_best.deciding

    @property
    def answer(self) -> Answer:
        """Whether that is more than chance explains."""
        return self.against_best.answer

    @property
    def against_best(self) -> Comparison:
        """The found network against the best reference."""
        return Comparison(
            found=self.found,
            reference=self.references[0],
            difference=self.difference,
            test_difference=self.test_difference,
        )


def verdict_of(field: Field, results: Results) -> Verdict | None:
    """The verdict that results lead to; None where one cannot be given, since trainings are missing or have failed.

    Of the references, the one with the best mean over the last seeds is what counts, on the part that decides or, where
    these count costs, by its rewards: being the better of two, its number is if anything too good.
    """
    if field.missing(results) or (named := field.named(results)) is None:
        return None
    found = _trained(named, field, results)
    references = [one for entrant in field.contenders(results) if (one := _trained(entrant, field, results))]
    if found is None or not references:
        return None
    references.sort(key=_order(references, field, results))
    against = [_compared(found, reference, field) for reference in references]
    return Verdict(
        found=found.standing,
        references=tuple(one.reference for one in against),
        difference=against[0].difference,
        test_difference=against[0].test_difference,
        in_space=next((one for one in against if one.reference.entrant.tokens is not None), None),
        nearest=_nearest(named, field),
    )


def _order(references: Sequence[_Trained], field: Field, results: Results) -> Callable[[_Trained], float]:
    """What references are sorted by, the best one first."""
    sign = 1 if field.lower_is_better else -1

    def on_test(one: _Trained) -> float:
        assert one.test is not None
        return sign * one.test.estimate.mean

    def by_worth(one: _Trained) -> float:
        return -statistics.fmean(field.worths(_last(one.entrant, field), results))

    return by_worth if field.by_reward or any(one.test is None for one in references) else on_test


def _compared(found: _Trained, reference: _Trained, field: Field) -> Comparison:
    difference = found.valid.minus(reference.valid, lower_is_better=field.lower_is_better)
    test = None
    if found.test is not None and reference.test is not None:
        test = found.test.minus(reference.test, lower_is_better=field.lower_is_better)
    return Comparison(found=found.standing, reference=reference.standing, difference=difference, test_difference=test)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trained:
    """What the last seeds say of a network, training by training."""

    entrant: Entrant
    valid: Sample
    test: Sample | None
    costs: Mapping[str, float]
    failed: int

    @property
    def standing(self) -> Standing:
        """The same in the mean."""
        return Standing(
            entrant=self.entrant,
            valid=self.valid.estimate,
            test=None if self.test is None else self.test.estimate,
            seeds=len(self.valid.numbers),
            costs=self.costs,
            failed=self.failed,
        )


def _trained(entrant: Entrant, field: Field, results: Results) -> _Trained | None:
    """What the last seeds say of a network; None where all of them failed."""
    told = [one for one in map(results, _last(entrant, field)) if one is not None and not one.lost]
    last = [one for one in told if one.valid is not None]
    if not last:
        return None
    tests = [one.test for one in last if one.test is not None]
    test = Sample(numbers=tests, blocks=[one.blocks for one in last if one.blocks]) if len(tests) == len(last) else None
    return _Trained(
        entrant=entrant,
        valid=Sample(numbers=[one.valid for one in last if one.valid is not None]),
        test=test,
        costs=last[0].costs,
        failed=len(told) - len(last),
    )
