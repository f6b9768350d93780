"""Why a worker process died, and whether its architecture or its surroundings are to blame.

The rule: what the architecture did is a failed trial, and the controller learns from it. What was done to the worker is
run again, and the controller never hears of it.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from netwright.trial import Failure, FailureKind

NEAR = 0.8
"""The part of all memory from which on a child is too large for this machine, whoever else is running."""


class Cause(StrEnum):
    """What ended a worker that we did not end."""

    KILLED = "killed from outside"
    OUT_OF_MEMORY = "killed by the kernel for want of memory"
    CRASHED = "crashed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """The death of a worker in the middle of a job.

    Attributes:
        exit_code: As Python tells it: negative, the signal that ended the process.
        killed_for_memory: Whether the kernel has killed for want of memory since the job began.
        peak: Most bytes that the worker was seen to hold during the job.
        alone: Whether no other job was under way beside it.
    """

    exit_code: int
    killed_for_memory: bool = False
    peak: int = 0
    alone: bool = False

    @property
    def cause(self) -> Cause:
        """SIGKILL and SIGTERM come from outside; any other signal, and any exit, is of the child's own making."""
        if self.exit_code == -signal.SIGKILL and self.killed_for_memory:
            return Cause.OUT_OF_MEMORY
        if self.exit_code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT):
            return Cause.KILLED
        return Cause.CRASHED

    def __str__(self) -> str:
        if self.exit_code >= 0:
            return f"ended its process with exit code {self.exit_code}"
        return f"{self.cause} ({signal.Signals(-self.exit_code).name})"


def judge(deaths: Sequence[Death], *, available: int | None, retries: int) -> Failure | None:
    """What becomes of a job whose workers died.

    Args:
        deaths: One for each run so far.
        available: Bytes of memory that all processes may hold together; None when unknown.
        retries: How often a job may be killed from outside and run again.

    Returns:
        None when the job is to run again: after a first crash, a kill from outside, or a want of memory that others may
        have brought about (then alone; see :func:`must_run_alone`).
    """
    last, causes = deaths[-1], [death.cause for death in deaths]
    if last.cause is Cause.OUT_OF_MEMORY:
        own_fault = available is not None and last.peak >= NEAR * available
        if not own_fault and not (last.alone and causes.count(Cause.OUT_OF_MEMORY) >= 2):
            return None
        held = f"it held {last.peak / 2**20:.0f} MiB" if last.peak else "it held an unknown amount"
        there = "" if available is None else f" of {available / 2**20:.0f} MiB"
        message = (
            f"{last}: {held}{there}{', with no other child beside it' if last.alone else ''}; limit children by "
            "search.child_memory_mb, child.max_parameters or child.batch_size"
        )
        return Failure(kind=FailureKind.OUT_OF_MEMORY, message=message)
    if causes.count(Cause.CRASHED) >= 2:
        return Failure(kind=FailureKind.ERROR, message=f"its process died twice: {'; then '.join(map(str, deaths))}")
    if len(deaths) > retries:
        message = f"its worker died {len(deaths)} times: {'; then '.join(map(str, deaths))}"
        return Failure(kind=FailureKind.LOST, message=message)
    return None


def must_run_alone(deaths: Sequence[Death]) -> bool:
    """Whether a job is to run with no other beside it, since memory was short once."""
    return any(death.cause is Cause.OUT_OF_MEMORY for death in deaths)
