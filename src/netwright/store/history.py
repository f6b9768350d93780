"""What a session inherits: everything that the earlier sessions of a run left, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from netwright.spaces.grammar import Tokens
from netwright.store.rows import TrialRow
from netwright.trial import Evaluation, FailureKind, Phase, Proposal, State, Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The trials and the running time of all sessions before this one.

    A snapshot: what the present session adds does not appear in it.

    Attributes:
        rows: All trials, by number.
        sessions: Seconds that each earlier session ran, the first one first.
    """

    rows: tuple[TrialRow, ...] = ()
    sessions: tuple[float, ...] = ()

    @property
    def next_id(self) -> int:
        """The number of the next new trial: trials are numbered from 0 without gaps."""
        return len(self.rows)

    @property
    def seconds(self) -> float:
        """Running time of all earlier sessions together."""
        return sum(self.sessions)

    @property
    def searched(self) -> History:
        """The same without the trials of other phases than the search."""
        return replace(self, rows=tuple(row for row in self.rows if row.phase is Phase.SEARCH))

    @property
    def counted(self) -> int:
        """How many of the trials count: those over the budget cost nothing, so others take their place."""
        return sum(row.failure != FailureKind.OVER_BUDGET for row in self.rows)

    @property
    def begun(self) -> list[Proposal]:
        """All trials as they were proposed, by number."""
        return [row.proposal for row in self.rows]

    @property
    def unfinished(self) -> list[Proposal]:
        """The trials that were under way when the last session stopped, by number."""
        return [row.proposal for row in self.rows if row.state is State.RUNNING]

    @property
    def told_rows(self) -> list[TrialRow]:
        """The rows of the finished trials, in the order in which the strategy was told of them."""
        return sorted((row for row in self.rows if row.told is not None), key=lambda row: row.told or 0)

    @property
    def told(self) -> list[Trial]:
        """The finished trials, in the order in which the strategy was told of them."""
        return [row.trial for row in self.told_rows]

    @property
    def curves(self) -> Mapping[int, tuple[float, ...]]:
        """The validation numbers after each epoch, by trial; only of trials that have some."""
        return {row.id: row.curve for row in self.rows if row.curve}

    @property
    def evaluations(self) -> Mapping[int, tuple[Tokens, Evaluation]]:
        """What was measured, without the curve, and on which tokens; by trial, complete ones only."""
        return {
            row.id: (row.tokens, Evaluation(valid=row.valid, metrics=row.metrics))
            for row in self.rows
            if row.valid is not None
        }
