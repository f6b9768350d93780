"""Attempts at a job: why a process died, who is to blame, and whether the job runs again.

The one rule of every executor: what the architecture did is a failed trial, and the controller learns from it. What was
done to the process is run again, and the controller never hears of it.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from netwright.search.executor import Job
from netwright.trial import Failure, FailureKind

NEAR = 0.8
"""The part of all memory from which on a child is too large for this machine, whoever else is running."""


class Cause(StrEnum):
    """What ended a process in the middle of a job, other than the executor itself."""

    KILLED = "killed from outside"
    OUT_OF_MEMORY = "killed: out of memory"
    CRASHED = "crashed"
    ANNOUNCED = "its node was taken away with notice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """The end of the process, or of the node, that a job ran on.

    Attributes:
        cause: What ended it.
        detail: How exactly, for a person.
        held: Most bytes that the process was seen to hold during the job; 0 when nobody knows.
        available: Bytes that all processes there may hold together; None when nobody knows.
    """

    cause: Cause
    detail: str = ""
    held: int = 0
    available: int | None = None

    def __str__(self) -> str:
        return f"{self.cause} ({self.detail})" if self.detail else self.cause.value

    @property
    def too_large(self) -> bool:
        """Whether the child held so much memory that no neighbour can be to blame for its end."""
        return self.available is not None and self.held >= NEAR * self.available


def death_of_process(
    exit_code: int, *, killed_for_memory: bool = False, held: int = 0, available: int | None = None
) -> Death:
    """Why a process has ended: SIGKILL and SIGTERM come from outside; any other signal, and any exit, from the child.

    Args:
        exit_code: As Python tells it: negative, the signal that ended the process.
        killed_for_memory: Whether the kernel has killed a process for memory since the job began.
        held: See :class:`Death`.
        available: See :class:`Death`.
    """
    detail = f"exit code {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name
    if exit_code == -signal.SIGKILL and killed_for_memory:
        cause = Cause.OUT_OF_MEMORY
    elif exit_code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT):
        cause = Cause.KILLED
    else:
        cause = Cause.CRASHED
    return Death(cause=cause, detail=detail, held=held, available=available)


class Attempts:
    """Notes the deaths of each job's processes, and says what becomes of the job.

    Args:
        retries: How often a job may be killed from outside and run again.
    """

    def __init__(self, *, retries: int) -> None:
        self._retries = retries
        self._deaths: dict[int, list[Death]] = defaultdict(list)

    def note(self, job: Job, death: Death, *, alone: bool) -> Failure | None:
        """Notes a death; forgets the job if it was its last attempt.

        Args:
            job: Whose process has died.
            death: Why.
            alone: Whether no other job was under way beside it.

        Returns:
            None when the job is to run again: after a first crash; after a kill from outside, ``retries`` times; after
            memory was short, which others may have brought about (then alone, see :meth:`must_run_alone`); and after a
            node was taken away with notice, however often.
        """
        if death.cause is Cause.ANNOUNCED:
            return None
        deaths = self._deaths[job.id]
        deaths.append(death)
        failure = self._judge(deaths, alone)
        if failure is not None:
            self.forget(job.id)
        return failure

    def _judge(self, deaths: list[Death], alone: bool) -> Failure | None:
        last, causes = deaths[-1], [death.cause for death in deaths]
        told = "; then ".join(map(str, deaths))
        if last.cause is Cause.OUT_OF_MEMORY:
            own_fault = last.too_large or (alone and causes.count(Cause.OUT_OF_MEMORY) >= 2)
            return _out_of_memory(last, alone) if own_fault else None
        if causes.count(Cause.CRASHED) >= 2:
            return Failure(kind=FailureKind.ERROR, message=f"its process died twice: {told}")
        if len(deaths) > self._retries:
            return Failure(kind=FailureKind.LOST, message=f"its worker died {len(deaths)} times: {told}")
        return None

    def must_run_alone(self, job: Job) -> bool:
        """Whether a job is to run with no other beside it, because memory was short once."""
        return any(death.cause is Cause.OUT_OF_MEMORY for death in self._deaths.get(job.id, ()))

    def may_begin(self, job: Job, beside: Iterable[Job]) -> bool:
        """Whether a job may run beside others that are under way: not if it, or one of them, must run alone."""
        others = list(beside)
        return not others or not any(self.must_run_alone(one) for one in (job, *others))

    def forget(self, trial: int) -> None:
        """Forgets a job that has ended."""
        self._deaths.pop(trial, None)


def _out_of_memory(death: Death, alone: bool) -> Failure:
    held = f"it held {death.held / 2**20:.0f} MiB" if death.held else "it held an unknown amount"
    there = "" if death.available is None else f" of {death.available / 2**20:.0f} MiB"
    message = (
        f"{death}: {held}{there}{', with no other child beside it' if alone else ''}; limit children by "
        "search.child_memory_mb, child.max_parameters or child.batch_size"
    )
    return Failure(kind=FailureKind.OUT_OF_MEMORY, message=message)
