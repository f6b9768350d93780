"""Means with the error that chance leaves in them: of the seeds of trainings, and of the examples that there are.

Trained again, a network comes out a little better or worse; measured on other examples of the same kind, too. How much
the latter is worth is seen from blocks, parts of the test part whose examples were chosen by chance: where one network
is ahead of another on all of them alike, it will be so on others.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SURE = 2.0
"""Standard errors that a difference must exceed to be called one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean and its standard error, in the unit of the measure.

    Attributes:
        mean: Over the seeds.
        standard_error: Infinite where a single number leaves it unknown.
        of_examples: The part of that error which is due to the examples that there happen to be; None where it is not
            known, and not counted.
    """

    mean: float
    standard_error: float
    of_examples: float | None = None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Estimate:
        """The mean of at least one number; of a single one the error is unknown, and infinite."""
        error = statistics.stdev(numbers) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.inf
        return cls(mean=statistics.fmean(numbers), standard_error=error)

    def minus(self, other: Estimate, *, lower_is_better: bool) -> Estimate:
        """How much better this is than ``other``; the errors of independent means add in squares."""
        difference = other.mean - self.mean if lower_is_better else self.mean - other.mean
        return Estimate(mean=difference, standard_error=math.hypot(self.standard_error, other.standard_error))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What several trainings of one network came to on one part of the data.

    Attributes:
        numbers: Of each training, one or more.
        blocks: The number on each block of that part, as many of each training; of those where anybody looked, which
            may be fewer.
    """

    numbers: Sequence[float]
    blocks: Sequence[Sequence[float]] = ()

    @property
    def estimate(self) -> Estimate:
        """Their mean, with the error that the seeds leave in it."""
        return Estimate.of(self.numbers)

    def minus(self, other: Sample, *, lower_is_better: bool) -> Estimate:
        """How much better the network is than another, with the error that seeds and, where known, examples leave."""
        difference = self.estimate.minus(other.estimate, lower_is_better=lower_is_better)
        of_examples = error_of_examples(self, other)
        if of_examples is None:
            return difference
        error = math.hypot(difference.standard_error, of_examples)
        return Estimate(mean=difference.mean, standard_error=error, of_examples=of_examples)


class Answer(StrEnum):
    """What is said of the found network beside one drawn by hand."""

    BETTER = "better"
    NOT_DISTINGUISHABLE = "not distinguishable"
    WORSE = "worse"


def answer_of(difference: Estimate) -> Answer:
    """What a difference with its error says."""
    if difference.mean > SURE * difference.standard_error:
        return Answer.BETTER
    if difference.mean < -SURE * difference.standard_error:
        return Answer.WORSE
    return Answer.NOT_DISTINGUISHABLE


def error_of_examples(one: Sample, other: Sample) -> float | None:
    """The error of a difference that other examples of the same kind would show; None where there are no blocks.

    The differences on the blocks vary by examples and by what each training makes of each of them. Only the former is
    meant: the latter is in the error of the seeds already, and is taken off as the interaction of a two-way analysis of
    variance without replication (blocks by seeds) estimates it.
    """
    lengths = {len(blocks) for sample in (one, other) for blocks in sample.blocks}
    if not (one.blocks and other.blocks) or len(lengths) != 1 or min(lengths) < 2:
        return None
    apart = [mine - theirs for mine, theirs in zip(_by_block(one), _by_block(other), strict=True)]
    variance = statistics.variance(apart) / len(apart) - _interaction(one) - _interaction(other)
    return math.sqrt(max(variance, 0.0))


def _by_block(sample: Sample) -> list[float]:
    """The mean over the trainings on each block."""
    return [statistics.fmean(numbers) for numbers in zip(*sample.blocks, strict=True)]


def _interaction(sample: Sample) -> float:
    """What trainings make of blocks adds so much to the variance of the mean over all; 0 for a single training."""
    seeds, by_block = len(sample.blocks), _by_block(sample)
    if seeds < 2:
        return 0.0
    mean = statistics.fmean(by_block)
    rest = [
        number - of_block - (statistics.fmean(blocks) - mean)
        for blocks in sample.blocks
        for number, of_block in zip(blocks, by_block, strict=True)
    ]
    freedom = (seeds - 1) * (len(by_block) - 1)
    return math.fsum(one * one for one in rest) / freedom / len(rest)
