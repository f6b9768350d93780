"""What is wrong with a run folder, and a database rebuilt from the folders of the trials."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from netwright.bounded import read_bounded, read_json_object
from netwright.errors import NetwrightError, StorageError, reason
from netwright.settings_file import load_config
from netwright.store.crash_points import crash_point
from netwright.store.digests import differing
from netwright.store.files import flush_folder, free_name, leftovers
from netwright.store.lock import DATABASE
from netwright.store.rows import Session, TrialRow
from netwright.store.run_folder import KEPT_CHECKPOINTS, checkpoint_file, read_whole
from netwright.store.sqlite import TrialStore
from netwright.store.trial_file import TRIAL_FILE, TrialRecord, read_record
from netwright.trial import State


def problems(run: Path) -> Iterator[str]:
    """Everything that is wrong with a run folder, a line each, with what can be done; reads only.

    Args:
        run: The folder, of a search that may be under way.
    """
    described = [run / name for name in ("task.json", "environment.json", "data.json")]
    named: set[Path] = set()
    try:
        load_config(run / "config.toml")
    except NetwrightError as error:
        named.add(run / "config.toml")
        yield str(error)
    for path in described:
        try:
            read_json_object(path)
        except FileNotFoundError as error:
            if path.name != "data.json":  # which only runs on data that say something of themselves have
                named.add(path)
                yield str(error)
        except (OSError, ValueError) as error:
            named.add(path)
            yield f"{path}: cannot be read: {reason(error)}"
    yield from differing(run, named)
    try:
        with closing(TrialStore.open(run / "trials.db")) as store:
            yield from _differing_records(run, store)
            yield from _damaged_checkpoints(run, store)
    except StorageError as error:
        yield str(error)
    for path in leftovers(run):
        yield f"{path}: left by a writer that died; the next one removes it"


def _differing_records(run: Path, store: TrialStore) -> Iterator[str]:
    """Trials whose own file is not what the database says."""
    rows = {row.id: row for row in store.rows()}
    for number in sorted(rows.keys() | set(_numbers(run))):
        row = rows.get(number)
        try:
            record = read_record(run, number)
        except StorageError as error:
            if row is not None:
                yield f"{error}; the database has the trial, but could not be rebuilt"
            continue
        if row is not None and not _has_architecture(run, row):
            yield f"{run / 'trials' / str(number) / 'architecture.json'}: not the architecture of this trial, or gone"
        # A trial's file is written before its row: a search under way, or one that died between the two, is sound.
        if row is not None and row.state is not State.RUNNING and record.row != row:
            yield f"{run / 'trials' / str(number) / TRIAL_FILE}: not what trials.db says of this trial"


def _has_architecture(run: Path, row: TrialRow) -> bool:
    try:
        return read_bounded(run / "trials" / str(row.id) / "architecture.json") == (row.architecture + "\n").encode()
    except (OSError, ValueError):
        return False


def _damaged_checkpoints(run: Path, store: TrialStore) -> Iterator[str]:
    for update, sha256 in store.updates()[-KEPT_CHECKPOINTS:]:
        path = checkpoint_file(run, update.number)
        if sha256 is not None and read_whole(path, sha256) is None:
            yield f"{path}: damaged or gone; a resumed search takes an older one, or repeats the updates"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """A rebuilt database.

    Attributes:
        trials: How many it has, those under way included.
        updates: Of the controller.
        kept: Where the old one lies; None when there was none.
    """

    trials: int
    updates: int
    kept: Path | None


def rebuild(run: Path) -> Rebuilt:
    """Rebuilds ``trials.db`` from ``trials/<id>/trial.json``; the old one stays as ``trials.db.corrupt-<n>``.

    The rows equal the old ones. To be called under :func:`netwright.store.lock.run_lock`.

    Raises:
        StorageError: A trial's file is missing or damaged, or a folder cannot be written; nothing has changed.
    """
    records = _records(run)
    told = sorted((record for record in records if record.row.told is not None), key=lambda r: (r.row.told, r.row.id))
    # Without gaps, as the store counts them: a trial whose row never came to be may hold a number twice.
    order = {record.row.id: place for place, record in enumerate(told)}
    rows = [replace(record.row, told=order.get(record.row.id)) for record in records]
    updates = [(r.row.id, r.update, r.sha256) for r in told if r.update is not None]
    sessions: dict[int, Session] = {}
    for record in told:
        if record.session is not None:
            sessions[record.session.id] = record.session
    new = run / "trials.db.new"
    for name in DATABASE:
        (run / name.replace("trials.db", new.name)).unlink(missing_ok=True)
    with closing(TrialStore.create(new)) as store:
        store.restore(rows, updates, list(sessions.values()))
    crash_point("rebuild.made")
    kept = _set_aside(run)
    crash_point("rebuild.moved")
    new.replace(run / "trials.db")
    flush_folder(run)
    crash_point("rebuild.done")
    return Rebuilt(trials=len(rows), updates=len(updates), kept=kept)


def _numbers(run: Path) -> list[int]:
    """The trials that have a folder with something in it: an empty one is of a trial that never began."""
    with suppress(FileNotFoundError):
        folders = [entry for entry in (run / "trials").iterdir() if entry.name.isdecimal()]
        return sorted(int(folder.name) for folder in folders if any(folder.glob("[!.]*")))
    return []


def _records(run: Path) -> list[TrialRecord]:
    records, damage = [], []
    for number in _numbers(run):
        try:
            records.append(read_record(run, number))
        except StorageError as error:
            damage.append(str(error))
    missing = sorted(set(range(len(records))) - {record.row.id for record in records}) if not damage else []
    damage += [f"{run / 'trials' / str(number)}: not there" for number in missing]
    if damage:
        raise StorageError(
            "\n  ".join(["the database cannot be rebuilt, and is left as it is; restore from a copy:", *damage])
        )
    return records


def _set_aside(run: Path) -> Path | None:
    """Renames the database with its journal, so that it can still be opened; to a name that is free."""
    kept = free_name(run / "trials.db")
    for name in reversed(DATABASE):  # the database itself last: while it has its name, it also has a copy of its rows
        if (run / name).exists():
            os.replace(run / name, kept.with_name(name.replace("trials.db", kept.name)))
    flush_folder(run)
    return kept if kept.exists() else None
