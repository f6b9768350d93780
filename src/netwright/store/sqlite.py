"""The trial store: every trial of a run, in one SQLite file."""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, fields
from math import inf, isfinite
from pathlib import Path
from typing import Any, Self

from netwright.errors import DiskFullError, StorageError, command
from netwright.store.crash_points import crash_point
from netwright.store.files import NETWORK_FILE_SYSTEMS, file_system
from netwright.store.history import History
from netwright.store.rows import VALID, Session, TrialRow, columns_of, ended_row, row_of
from netwright.trial import Outcome, Trial, Update

log = logging.getLogger(__name__)


SCHEMA_VERSION = 3
"""1: without phases and seeds. 2: without blocks."""

ADDED = {
    1: """
ALTER TABLE trials ADD COLUMN phase TEXT NOT NULL DEFAULT 'search';
ALTER TABLE trials ADD COLUMN seed INTEGER;
""",
    2: """
ALTER TABLE trials ADD COLUMN blocks TEXT NOT NULL DEFAULT '[]';
""",
}
"""What makes the next version of each one."""

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
    told INTEGER UNIQUE,            -- the order in which the strategy learnt of it
    phase TEXT NOT NULL DEFAULT 'search',  -- what the trial is for: reference, search or final
    seed INTEGER,                   -- the child's; none where it follows from the run's seed and the number
    blocks TEXT NOT NULL DEFAULT '[]'    -- JSON list: the test number on each of a few blocks of the test part
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


COLUMNS = tuple(field.name for field in fields(TrialRow) if field.name != VALID)
LISTS = ("tokens", "curve", "blocks", "notes", "metrics")
"""Columns in JSON."""

INSERT_TRIAL = f"INSERT INTO trials ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})"


class TrialStore:
    """Trials on disk.

    Guarantees: one process writes (the run folder's lock sees to it), any number read. Each call of a writing method is
    one transaction, on disk when it returns. A finished trial never changes, but for notes that are added. A trial and
    the controller's update that it brought about are written together.

    Every method raises :class:`StorageError` when the file is damaged, from another version, or cannot be written, and
    :class:`DiskFullError` when there is no room.
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
            raise _damaged(path, "not there, so its folder is no run, or a damaged one")
        for companion in (path.with_name(f"{path.name}{ending}") for ending in ("-journal", "-wal", "-shm")):
            if companion.exists() and not companion.is_file():  # SQLite would say, for ever, that there is no room
                raise StorageError(f"{companion}: is no regular file; remove it")
        with _explained(path):
            store = cls(path, _connect(path, _reading(path) if read_only else "rw"))
            ((damage,),) = store._connection.execute("PRAGMA quick_check(1)")
            ((version,),) = store._connection.execute("PRAGMA user_version")
        if damage != "ok":
            raise _damaged(path, f"damaged: {damage.splitlines()[-1]}")  # below a line with the database's name
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{path}: has format {version}, and this netwright knows formats up to {SCHEMA_VERSION}; use "
                "the version that environment.json beside it names, or a later one"
            )
        if not 1 <= version <= SCHEMA_VERSION:
            raise _damaged(path, f"damaged: unknown format version {version}")
        if version < SCHEMA_VERSION and not read_only:
            missing = "".join(ADDED[step] for step in range(version, SCHEMA_VERSION))
            with _explained(path):
                store._connection.executescript(f"BEGIN; {missing} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        return store

    def insert(self, rows: Sequence[TrialRow]) -> None:
        """Writes rows as they are; one that is there and under way gets a new time of its start, no other changes."""
        with _explained(self._path), self._connection:
            self._connection.executemany(
                f"{INSERT_TRIAL} ON CONFLICT (id) "
                "DO UPDATE SET started_at = excluded.started_at WHERE state = 'running'",
                [_columns(row) for row in rows],
            )
            crash_point("start.rows")

    def concluded(self, trial: Trial, outcome: Outcome) -> TrialRow:
        """The row that a trial under way becomes by its end, told after all others; writes nothing.

        Raises:
            ValueError: A number is not finite.
        """
        return ended_row(self.row(trial.id), trial, outcome, told=self.count_told())

    def finish(
        self, row: TrialRow, update: Update | None = None, sha256: str | None = None, session: Session | None = None
    ) -> None:
        """Writes down a trial's end, with everything that goes with it.

        Args:
            row: Of :meth:`concluded`.
            update: The controller's, which the trial brought about.
            sha256: Digest of the checkpoint of that update.
            session: The one that searches.

        Raises:
            ValueError: A number is not finite; nothing is written.
        """
        columns = _columns(row)
        changes = ", ".join(f"{name} = :{name}" for name in columns if name != "id")
        with _explained(self._path), self._connection:
            changed = self._connection.execute(
                f"UPDATE trials SET {changes} WHERE id = :id AND state = 'running'", columns
            )
            assert changed.rowcount == 1, f"trial {row.id} finished twice"
            crash_point("finish.row")
            if update is not None:
                self._insert_update(row.id, update, sha256)
                crash_point("finish.update")
            if session is not None:
                self._insert_session(session)

    def _insert_update(self, trial: int, update: Update, sha256: str | None) -> None:
        values = (update.number, trial, update.reward, update.baseline, update.entropy, update.gradient_norm, sha256)
        self._connection.execute("INSERT INTO updates VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def _insert_session(self, session: Session) -> None:
        self._connection.execute(
            "INSERT INTO sessions VALUES (:id, :started_at, :seconds) "
            "ON CONFLICT (id) DO UPDATE SET seconds = excluded.seconds",
            asdict(session),
        )

    def pass_over(self, rows: Sequence[TrialRow], updates: Sequence[tuple[int, Update, str | None]]) -> None:
        """Writes rows of trials that were never under way, and the updates that they brought about, all or none.

        Args:
            rows: As they ended.
            updates: Each with the trial that brought it about and the digest of its checkpoint.
        """
        with _explained(self._path), self._connection:
            self._connection.executemany(INSERT_TRIAL, [_columns(row) for row in rows])
            for update in updates:
                self._insert_update(*update)

    def annotate(self, ids: Sequence[int], notes: Mapping[str, float]) -> None:
        """Adds to the notes of trials, finished ones too: what turned out later about how they were proposed."""
        with _explained(self._path), self._connection:
            self._connection.executemany(
                "UPDATE trials SET notes = json_patch(notes, ?) WHERE id = ?", [(_json(dict(notes)), i) for i in ids]
            )

    def spend(self, session: Session) -> None:
        """Notes how long a session has run so far."""
        with _explained(self._path), self._connection:
            self._insert_session(session)

    def restore(
        self,
        rows: Sequence[TrialRow],
        updates: Sequence[tuple[int, Update, str | None]],
        sessions: Sequence[Session],
    ) -> None:
        """Fills an empty store in one transaction.

        Args:
            rows: All trials.
            updates: Each with the trial that brought it about and the digest of its checkpoint.
            sessions: All sessions.
        """
        with _explained(self._path), self._connection:
            self._connection.executemany(INSERT_TRIAL, [_columns(row) for row in rows])
            for update in updates:
                self._insert_update(*update)
            for session in sessions:
                self._insert_session(session)

    def count_told(self) -> int:
        """How many trials the strategy has learnt of."""
        with _explained(self._path):
            ((count,),) = self._connection.execute("SELECT COUNT(told) FROM trials")
            return int(count)

    def sessions(self) -> list[float]:
        """Seconds that each session has run, the first one first."""
        return [session.seconds for session in self.session_rows()]

    def session_rows(self) -> list[Session]:
        """All sessions, the first one first."""
        with _readable(self._path):
            query = "SELECT id, started_at, seconds FROM sessions ORDER BY id"
            sessions = [Session(id=i, started_at=at, seconds=s) for i, at, s in self._connection.execute(query)]
            for session in sessions:
                if not 0 <= session.seconds < inf:
                    raise ValueError(f"session {session.id}: expected seconds, got {session.seconds}")
            return sessions

    def foreign_tables(self) -> list[str]:
        """The tables that are not defined as ours are, but for comments and blanks; of a database of this version."""
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
        with _readable(self._path):
            ((version,),) = self._connection.execute("PRAGMA user_version")
            there = {name: _bare(sql) for name, sql in self._connection.execute(query)}
        ours = dict(re.findall(r"(CREATE TABLE (\w+) .*?STRICT);", SCHEMA, re.DOTALL))
        return [name for sql, name in ours.items() if version == SCHEMA_VERSION and there.get(name) != _bare(sql)]

    def rows(self) -> list[TrialRow]:
        """All trials, by number."""
        with _readable(self._path):
            return [_trial_row(row) for row in self._connection.execute("SELECT * FROM trials ORDER BY id")]

    def row(self, trial_id: int) -> TrialRow:
        """One trial, which exists."""
        with _readable(self._path):
            (row,) = self._connection.execute("SELECT * FROM trials WHERE id = ?", (trial_id,))
            return _trial_row(row)

    def history(self) -> History:
        """Everything up to now; reads the whole table."""
        return History(rows=tuple(self.rows()), sessions=tuple(self.sessions()))

    def updates(self, last: int | None = None) -> list[tuple[Update, str | None]]:
        """The controller's updates with the digests of their checkpoints, in order; all, or so many of the last."""
        return [(update, sha256) for _, update, sha256 in self.updates_by_trial(last)]

    def updates_by_trial(self, last: int | None = None) -> list[tuple[int, Update, str | None]]:
        """As :meth:`updates`, each behind the trial that brought it about."""
        columns = "trial, number, reward, baseline, entropy, gradient_norm, sha256"
        query = f"SELECT {columns} FROM updates ORDER BY number DESC LIMIT ?"
        with _readable(self._path):
            updates = [
                (trial, Update(number=n, reward=r, baseline=b, entropy=e, gradient_norm=g), sha256)
                for trial, n, r, b, e, g, sha256 in self._connection.execute(query, (-1 if last is None else last,))
            ]
            updates.reverse()
            for _, update, _ in updates:
                if not all(map(isfinite, astuple(update))):
                    raise ValueError(f"expected finite numbers, got {update}")
            return updates

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def _reading(path: Path) -> str:
    """How to open a store that is only read; without the files that SQLite would make where none can be made."""
    made = os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists()
    return "ro" if made else "ro&immutable=1"


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    if mode in ("rw", "rwc"):
        connection.execute(f"PRAGMA journal_mode = {_journal_mode(path)}")
        # FULL: a committed result survives a loss of power, not only the end of this process.
        connection.execute("PRAGMA synchronous = FULL")
    return connection


def _journal_mode(path: Path) -> str:
    """WAL, in which readers and the writer do not wait for each other; not where memory maps cannot be shared."""
    kind = file_system(path)
    if kind not in NETWORK_FILE_SYSTEMS:
        return "WAL"
    log.warning(
        "%s lies on a network file system (%s): a rollback journal is used instead of WAL, so readers and the search "
        "wait for each other; a folder on a local disk is safer and faster",
        path.parent,
        kind,
    )
    return "DELETE"


def _damaged(path: Path, what: str) -> StorageError:
    remedy = f"; rebuild it from the folders of the trials: {command('doctor', path.parent, '--rebuild')}"
    return StorageError(f"{path}: {what}{remedy if (path.parent / 'trials').is_dir() else ''}")


DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_FORMAT", "SQLITE_MISMATCH")
NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
"""The second and third are of a quota, a limit on sizes, and the memory that readers and the writer share."""


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        name: str = getattr(error, "sqlite_errorname", "")
        if name in NO_ROOM:
            raise DiskFullError(f"{path}: no room for the next transaction ({error})") from None
        if not name or name.startswith(DAMAGE):  # without a name: Python's own, of texts that are none
            raise _damaged(path, str(error)) from None
        raise StorageError(f"{path}: {error}") from None
    except (UnicodeError, OverflowError) as error:  # texts and numbers that no writer of ours has put there
        raise _damaged(path, f"damaged: {error}") from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what damaged rows lead to into our error."""
    try:
        with _explained(path):
            yield
    except (ValueError, TypeError, KeyError, RecursionError) as error:  # JSON, states and columns that are none
        raise _damaged(path, f"damaged: {error}") from None


def _trial_row(row: sqlite3.Row) -> TrialRow:
    columns: dict[str, Any] = dict(row)
    columns |= {name: json.loads(columns[name]) for name in LISTS if name in columns}  # older ones have fewer
    return row_of(columns)


def _columns(row: TrialRow) -> dict[str, Any]:
    """A row as SQLite holds it."""
    columns = columns_of(row)
    lists = {name: _json(columns[name]) for name in LISTS}
    return columns | lists | {"state": row.state.value, "phase": row.phase.value}


def _bare(sql: str) -> str:
    """A definition without comments and blanks, by which one that grew is told from none that we make."""
    return re.sub(r"--[^\n]*|\s", "", sql)


def _json(value: object) -> str:
    # A number that is not finite would be no JSON, and must never get this far.
    return json.dumps(value, allow_nan=False)
