"""What travels between the parts of a search: proposals, evaluations, failures and trials, all frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Protocol, runtime_checkable

from netwright.spaces.architecture import Architecture
from netwright.spaces.grammar import Tokens

Report = Callable[[int, float], None]
"""Called after each epoch of a child, counted from 1, with the validation number."""


def no_report(epoch: int, valid: float) -> None:
    """Keeps quiet; a :data:`Report`."""


@runtime_checkable
class TakesCosts(Protocol):
    """A :data:`Report` that also wants to know what a child costs, before its first epoch."""

    def costs(self, metrics: Mapping[str, float]) -> None:
        """The child's costs by name, as its evaluation will have them."""
        ...


def announce(report: Report, costs: Mapping[str, float]) -> None:
    """Tells what a child costs before it is trained, so that one that is stopped early has its costs, too.

    Args:
        report: Whom; nothing happens where it does not care.
        costs: By name, such as ``parameters``.
    """
    if isinstance(report, TakesCosts):
        report.costs(costs)


STOPPED_AFTER = "stopped_after"
"""The metric of a child that was not trained to its end: after how many epochs it was stopped."""

TEST = "test"
"""The metric of a trial that was also measured on the test part."""

BLOCKS = 100
"""Parts of a test part on which networks are compared one by one, where it has as many examples."""


class Phase(StrEnum):
    """What a trial is for: a network drawn by hand, one that the search proposed, or one trained again at the end."""

    REFERENCE = "reference"
    SEARCH = "search"
    FINAL = "final"


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What is to be evaluated: tokens from a strategy or, outside the search phase, an architecture.

    Attributes:
        id: Number of the trial, from 0; strategies count their own proposals without gaps.
        tokens: The genotype; empty where ``architecture`` is given.
        notes: Numbers worth keeping about how it was proposed, e.g. ``log_prob`` (nats) and ``entropy`` (nats).
        architecture: What to evaluate, where it does not come from tokens.
        seed: The child's; None derives it from the run's seed and the number.
        phase: What the trial is for.
        test: Whether the child is also measured on the test part: only where that chooses nothing any more.
    """

    id: int
    tokens: Tokens
    notes: Mapping[str, float] = field(default_factory=dict)
    architecture: Architecture | None = None
    seed: int | None = None
    phase: Phase = Phase.SEARCH
    test: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What was measured on one architecture.

    Attributes:
        valid: The number that the reward is made of: accuracy in [0, 1], or perplexity.
        metrics: Further measurements by name, e.g. ``parameters``, ``train_seconds``.
        curve: The validation number after each epoch.
        blocks: Of what was also measured on the test part, the number on each of a few blocks of it, which say how much
            depends on the examples that there happen to be; see :mod:`netwright.search.estimates`.
    """

    valid: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    blocks: tuple[float, ...] = ()


class FailureKind(StrEnum):
    """Why a trial has no evaluation.

    Every kind is the architecture's own fault, and the controller learns from its reward floor, except ``LOST``: its
    worker was killed from outside, again and again, or the machine failed it (a full disk, a library that cannot be
    imported), and what the architecture is worth stays unknown.
    """

    ERROR = "error"
    NONFINITE = "nonfinite"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    OVER_BUDGET = "over_budget"
    LOST = "lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why an evaluation did not come about.

    Attributes:
        kind: One of the closed list.
        message: For a person: what happened and, where there is one, the fix.
    """

    kind: FailureKind
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What an executor returns for a job: an evaluation or a failure, and how long it took.

    Attributes:
        id: The trial's number.
        result: What came of it.
        seconds: Wall time inside the worker, by a monotonic clock.
        worker: Which worker ran it, from 0.
    """

    id: int
    result: Evaluation | Failure
    seconds: float
    worker: int = 0


class State(StrEnum):
    """Where a trial is in its life."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A finished proposal: what a strategy is told and what the store keeps.

    Attributes:
        id: The proposal's number.
        tokens: The proposal's tokens.
        state: ``COMPLETE`` or ``FAILED``.
        reward: What the controller learns from, always finite; the floor when the architecture failed, None when its
            worth is unknown (``LOST``): strategies leave such a trial out.
        valid: The evaluation's number, finite; None when failed.
        notes: The proposal's notes.
        phase: What the trial was for.

    Raises:
        ValueError: A number is not finite: no strategy, baseline or store ever sees one.
    """

    id: int
    tokens: Tokens
    state: State
    reward: float | None
    valid: float | None = None
    notes: Mapping[str, float] = field(default_factory=dict)
    phase: Phase = Phase.SEARCH

    def __post_init__(self) -> None:
        for name, value in (("reward", self.reward), ("valid", self.valid)):
            if value is not None and not isfinite(value):
                raise ValueError(f"trial {self.id}: expected a finite {name}, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """One update of a controller.

    Attributes:
        number: How many updates there have been, this one included.
        reward: Mean reward of the batch.
        baseline: What was subtracted from it.
        entropy: Mean entropy of the batch's strings, in nats.
        gradient_norm: Euclidean norm over all weights, before clipping.
    """

    number: int
    reward: float
    baseline: float
    entropy: float
    gradient_norm: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Concluded:
    """A trial from its proposal to its end.

    Attributes:
        proposal: What it was made of.
        architecture: What that describes.
        trial: As the strategy was told of it.
        outcome: What came of it.
        update: The controller's, which it brought about.
        state: The controller's after that update, as safetensors, where it is worth keeping.
    """

    proposal: Proposal
    architecture: Architecture
    trial: Trial
    outcome: Outcome
    update: Update | None = None
    state: bytes | None = None
