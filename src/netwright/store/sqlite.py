"""The trial store: every trial of a run, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Self

from netwright.errors import StorageError
from netwright.spaces.architecture import Architecture
from netwright.trial import Failure, Outcome, Proposal, State, Trial, Update

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE trials (
    id INTEGER PRIMARY KEY,
    tokens TEXT NOT NULL,           -- JSON list
    architecture TEXT NOT NULL,     -- canonical JSON
    digest TEXT NOT NULL,           -- SHA-256 of the architecture
    notes TEXT NOT NULL,            -- JSON: how it was proposed
    state TEXT NOT NULL CHECK (state IN ('running', 'complete', 'failed')),
    reward REAL,
    metrics TEXT NOT NULL DEFAULT '{}',  -- JSON; "valid" is what the reward is made of
    curve TEXT NOT NULL DEFAULT '[]',    -- JSON list: the validation number after each epoch
    failure TEXT,                   -- kind
    error TEXT,                     -- for a person
    started_at TEXT NOT NULL,       -- ISO 8601, UTC
    finished_at TEXT,
    seconds REAL,                   -- inside the worker, monotonic
    worker INTEGER,
    told INTEGER UNIQUE             -- the order in which the strategy learnt of it
) STRICT;
CREATE TABLE updates (
    number INTEGER PRIMARY KEY,
    trial INTEGER NOT NULL REFERENCES trials (id),  -- whose result completed the batch
    reward REAL NOT NULL,
    baseline REAL NOT NULL,
    entropy REAL NOT NULL,
    gradient_norm REAL NOT NULL,
    sha256 TEXT                     -- of the checkpoint that goes with it
) STRICT;
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    seconds REAL NOT NULL           -- of running, monotonic
) STRICT;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow:
    """A trial as a reader sees it; the columns of the table ``trials``."""

    id: int
    tokens: tuple[int, ...]
    architecture: str
    digest: str
    notes: dict[str, float]
    state: State
    reward: float | None
    metrics: dict[str, float]
    curve: tuple[float, ...]
    failure: str | None
    error: str | None
    started_at: str
    finished_at: str | None
    seconds: float | None
    worker: int | None
    told: int | None

    @property
    def valid(self) -> float | None:
        """The number that the reward is made of; None unless complete."""
        return self.metrics.get("valid")


class TrialStore:
    """Trials on disk.

    Guarantees: one process writes (the run folder's lock sees to it), any number read. Each call of a writing method is
    one transaction, on disk when it returns. A finished trial never changes. A trial and the controller's update that
    it brought about are written together.

    Every method raises :class:`StorageError` when the file is damaged, from another version, or cannot be written.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new, empty store."""
        with _explained(path):
            store = cls(path, _connect(path, "rwc"))
            store._connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        return store

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True) -> Self:
        """An existing store."""
        if not path.is_file():
            raise StorageError(f"{path}: not there, so its folder is no run, or a damaged one")
        with _explained(path):
            store = cls(path, _connect(path, "ro" if read_only else "rw"))
            ((damage,),) = store._connection.execute("PRAGMA quick_check(1)")
            ((version,),) = store._connection.execute("PRAGMA user_version")
        if damage != "ok":
            raise StorageError(f"{path}: damaged: {damage}")
        if version != SCHEMA_VERSION:
            raise StorageError(f"{path}: has format {version}, and this netwright reads format {SCHEMA_VERSION} only")
        return store

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """Notes that trials are under way; see :meth:`netwright.search.loop.Journal.start`."""
        now = _now()
        rows = [(p.id, json.dumps(p.tokens), a.canonical_json(), a.digest, _json(p.notes), now) for p, a in proposals]
        with _explained(self._path), self._connection:
            self._connection.executemany(
                "INSERT INTO trials (id, tokens, architecture, digest, notes, state, started_at) "
                "VALUES (?, ?, ?, ?, ?, 'running', ?) ON CONFLICT (id) "
                "DO UPDATE SET started_at = excluded.started_at WHERE state = 'running'",
                rows,
            )

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, sha256: str | None) -> None:
        """Writes down a trial's end, and the update it brought about with the digest of that update's checkpoint.

        Raises:
            ValueError: A number is not finite; nothing is written.
        """
        if trial.reward is not None and not isfinite(trial.reward):  # SQLite would make a null of it
            raise ValueError(f"trial {trial.id}: expected a finite reward, got {trial.reward}")
        result = outcome.result
        what: dict[str, str | None]
        if isinstance(result, Failure):
            what = {"failure": result.kind.value, "error": result.message, "metrics": "{}", "curve": "[]"}
        else:
            metrics = _json({"valid": result.valid, **result.metrics})
            what = {"failure": None, "error": None, "metrics": metrics, "curve": _json(result.curve)}
        row = what | {
            "id": trial.id,
            "state": trial.state.value,
            "reward": trial.reward,
            "finished_at": _now(),
            "seconds": outcome.seconds,
            "worker": outcome.worker,
        }
        with _explained(self._path), self._connection:
            changed = self._connection.execute(
                "UPDATE trials SET state = :state, reward = :reward, metrics = :metrics, curve = :curve, "
                "failure = :failure, error = :error, finished_at = :finished_at, seconds = :seconds, worker = :worker, "
                "told = (SELECT COUNT(told) FROM trials) WHERE id = :id AND state = 'running'",
                row,
            )
            assert changed.rowcount == 1, f"trial {trial.id} finished twice"
            if update is not None:
                self._connection.execute(
                    "INSERT INTO updates VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        update.number,
                        trial.id,
                        update.reward,
                        update.baseline,
                        update.entropy,
                        update.gradient_norm,
                        sha256,
                    ),
                )

    def spend(self, session: int, seconds: float) -> None:
        """Notes how long a session (a process that searches) has run so far."""
        with _explained(self._path), self._connection:
            self._connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET seconds = excluded.seconds",
                (session, _now(), seconds),
            )

    def sessions(self) -> list[float]:
        """Seconds that each session has run, the first one first."""
        with _explained(self._path):
            return [seconds for (seconds,) in self._connection.execute("SELECT seconds FROM sessions ORDER BY id")]

    def rows(self) -> list[TrialRow]:
        """All trials, by number."""
        with _readable(self._path):
            return [_trial_row(row) for row in self._connection.execute("SELECT * FROM trials ORDER BY id")]

    def row(self, trial_id: int) -> TrialRow:
        """One trial, which exists."""
        with _readable(self._path):
            (row,) = self._connection.execute("SELECT * FROM trials WHERE id = ?", (trial_id,))
            return _trial_row(row)

    def unfinished(self) -> list[Proposal]:
        """The trials that were under way when the last session stopped, by number."""
        rows = (row for row in self.rows() if row.state is State.RUNNING)
        return [Proposal(id=row.id, tokens=row.tokens, notes=row.notes) for row in rows]

    def told(self) -> list[Trial]:
        """The finished trials in the order in which the strategy was told of them."""
        rows = sorted((row for row in self.rows() if row.told is not None), key=lambda row: row.told or 0)
        return [
            Trial(id=row.id, tokens=row.tokens, state=row.state, reward=row.reward, valid=row.valid, notes=row.notes)
            for row in rows
        ]

    def updates(self) -> list[tuple[Update, str | None]]:
        """The controller's updates with the digests of their checkpoints, in order."""
        query = "SELECT number, reward, baseline, entropy, gradient_norm, sha256 FROM updates ORDER BY number"
        with _explained(self._path):
            return [
                (Update(number=n, reward=r, baseline=b, entropy=e, gradient_norm=g), sha256)
                for n, r, b, e, g, sha256 in self._connection.execute(query)
            ]

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    if mode != "ro":
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a committed result survives a loss of power, not only the end of this process.
        connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"{path}: {error}") from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what damaged rows lead to into our error."""
    try:
        with _explained(path):
            yield
    except (ValueError, TypeError, RecursionError) as error:  # JSON and states that are none
        raise StorageError(f"{path}: damaged: {error}") from None


def _trial_row(row: sqlite3.Row) -> TrialRow:
    columns: dict[str, Any] = dict(row)
    columns["tokens"] = tuple(json.loads(columns["tokens"]))
    columns["curve"] = tuple(json.loads(columns["curve"]))
    columns |= {name: json.loads(columns[name]) for name in ("notes", "metrics")}
    columns["state"] = State(columns["state"])
    return TrialRow(**columns)


def _json(value: object) -> str:
    # A number that is not finite would be no JSON, and must never get this far.
    return json.dumps(value, allow_nan=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
