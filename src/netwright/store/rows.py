"""The rows of a trial store as records, and the one check that every row passes, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from netwright.spaces.architecture import Architecture
from netwright.trial import Failure, Outcome, Phase, Proposal, State, Trial

VALID = "valid"
"""The name of the validation number among the metrics on disk; no metric may be called so."""

LONGEST_ERROR = 100_000
"""Characters; a child may raise an error with all of its data in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """A trial as a reader sees it.

    The columns of the table ``trials``, but that ``valid`` is an entry of the column ``metrics`` there; see
    :func:`columns_of`.
    """

    id: int
    tokens: tuple[int, ...]
    architecture: str
    digest: str
    notes: dict[str, float]
    state: State
    reward: float | None = None
    valid: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    blocks: tuple[float, ...] = ()
    failure: str | None = None
    error: str | None = None
    started_at: str
    finished_at: str | None = None
    seconds: float | None = None
    worker: int | None = None
    told: int | None = None
    phase: Phase = Phase.SEARCH
    seed: int | None = None

    @property
    def proposal(self) -> Proposal:
        """What the trial was made of."""
        return Proposal(id=self.id, tokens=self.tokens, notes=self.notes, seed=self.seed, phase=self.phase)

    @property
    def trial(self) -> Trial:
        """The trial as the strategy was told of it; only of a finished one."""
        return Trial(
            id=self.id,
            tokens=self.tokens,
            state=self.state,
            reward=self.reward,
            valid=self.valid,
            notes=self.notes,
            phase=self.phase,
        )

    @property
    def measured(self) -> dict[str, float]:
        """``valid``, where the trial has it, and all metrics: what a reader calls a trial's metrics."""
        return self.metrics if self.valid is None else {VALID: self.valid, **self.metrics}


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A process that searches, or searched.

    Attributes:
        id: From 0.
        started_at: ISO 8601, UTC; for display.
        seconds: How long it has run so far, by a monotonic clock.
    """

    id: int
    started_at: str
    seconds: float


def running_row(proposal: Proposal, architecture: Architecture) -> TrialRow:
    """The row of a trial that starts now."""
    return TrialRow(
        id=proposal.id,
        tokens=proposal.tokens,
        architecture=architecture.canonical_json(),
        digest=architecture.digest,
        notes=dict(proposal.notes),
        state=State.RUNNING,
        started_at=utc_now(),
        phase=proposal.phase,
        seed=proposal.seed,
    )


def ended_row(row: TrialRow, trial: Trial, outcome: Outcome, *, told: int) -> TrialRow:
    """The row that one under way becomes by the trial's end.

    Args:
        row: As it was.
        trial: As the strategy was told of it.
        outcome: What came of it.
        told: How many trials the strategy was told of before.

    Raises:
        ValueError: A number is not finite.
    """
    row = replace(
        row,
        state=trial.state,
        reward=trial.reward,
        finished_at=utc_now(),
        seconds=outcome.seconds,
        worker=outcome.worker,
        told=told,
    )
    result = outcome.result
    if isinstance(result, Failure):
        return checked(replace(row, failure=result.kind.value, error=storable(result.message)))
    return checked(
        replace(row, valid=result.valid, metrics=dict(result.metrics), curve=result.curve, blocks=result.blocks)
    )


def columns_of(row: TrialRow) -> dict[str, Any]:
    """The columns of a row, lists not yet in JSON; the inverse of :func:`row_of`."""
    columns = asdict(row) | {"metrics": row.measured}
    del columns[VALID]
    return columns


def row_of(columns: Mapping[str, Any]) -> TrialRow:
    """A row from its columns, those in JSON already parsed; whoever wrote them is not trusted.

    Raises:
        ValueError: A column is missing or too many, or holds something else than it should.
    """
    try:
        lists = {name: tuple(columns.get(name) or ()) for name in ("tokens", "curve", "blocks")}
        valid, metrics = _apart(columns.get("metrics", {}))
        given = {**columns, **lists, "metrics": metrics, "state": State(columns["state"])}
        given["phase"] = Phase(columns.get("phase", Phase.SEARCH))  # files from before there were phases have none
        return checked(TrialRow(**given, valid=valid))
    except (KeyError, TypeError) as error:
        raise ValueError(f"columns of a trial: {error}") from None


def _apart(metrics: Any) -> tuple[Any, dict[str, Any]]:
    """The validation number, None where there is none, and the other metrics."""
    if not isinstance(metrics, dict):
        raise ValueError(f"expected metrics by name, got {metrics!r}")
    return metrics.get(VALID), {name: value for name, value in metrics.items() if name != VALID}


def checked(row: TrialRow) -> TrialRow:
    """The row, if what it holds is of the right types and every number is finite.

    Raises:
        ValueError: It is not; names the column.
    """
    texts = [row.architecture, row.digest, row.started_at]
    maybe_texts = [row.failure, row.error, row.finished_at]
    whole = [row.id, *row.tokens]
    maybe_whole = [row.worker, row.told, row.seed]
    if not (all(isinstance(value, str) for value in texts + [text for text in maybe_texts if text is not None])):
        raise ValueError(f"trial {row.id}: expected texts, got {texts + maybe_texts}")
    if not all(type(value) is int for value in whole + [number for number in maybe_whole if number is not None]):
        raise ValueError(f"trial {row.id}: expected whole numbers, got {whole + maybe_whole}")
    for moment in (row.started_at, row.finished_at):
        if moment is not None and datetime.fromisoformat(moment).utcoffset() is None:
            raise ValueError(f"trial {row.id}: expected a time with its zone, got {moment!r}")
    if (row.told is None) != (row.state is State.RUNNING):
        raise ValueError(f"trial {row.id}: is {row.state.value}, and was told as number {row.told}")
    if not (isinstance(row.metrics, dict) and isinstance(row.notes, dict)):
        raise ValueError(f"trial {row.id}: expected metrics and notes by name")
    names = [*row.metrics, *row.notes]
    if VALID in row.metrics or not all(isinstance(name, str) for name in names):
        raise ValueError(f"trial {row.id}: expected texts other than {VALID!r} as names, got {names}")
    numbers: dict[str, Any] = {"reward": row.reward, VALID: row.valid, "seconds": row.seconds}
    numbers = {name: value for name, value in numbers.items() if value is not None}
    numbers |= row.metrics | row.notes | {f"epoch {epoch}": value for epoch, value in enumerate(row.curve, 1)}
    numbers |= {f"block {block}": value for block, value in enumerate(row.blocks, 1)}
    for name, value in numbers.items():
        if type(value) not in (int, float) or not isfinite(value):
            raise ValueError(f"trial {row.id}: {name}: expected a finite number, got {value!r}")
    return row


def storable(message: str) -> str:
    """A text that any file can hold: what is no Unicode written out, the middle of a huge one left out."""
    text = message.encode("utf-8", "backslashreplace").decode()
    half = LONGEST_ERROR // 2
    return text if len(text) <= LONGEST_ERROR else f"{text[:half]}\n[...]\n{text[-half:]}"


def utc_now() -> str:
    """For display; nothing depends on it, since the system's clock may jump."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
