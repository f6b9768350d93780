"""What is wrong with a run folder, and a database rebuilt from the folders of the trials."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from netwright.bounded import read_bounded, read_json_object
from netwright.errors import NetwrightError, StorageError, command, reason
from netwright.settings_file import load_config
from netwright.store.crash_points import crash_point
from netwright.store.digests import DIGESTS, differing, tensor_damage
from netwright.store.files import flush_folder, free_name, leftovers
from netwright.store.lock import DATABASE, FOLDERS, LINK, links
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
    try:
        for link in links(run):
            yield f"{link}: {LINK}"
    except StorageError as error:
        yield str(error)
    for name in FOLDERS:
        if (run / name).exists() and not (run / name).is_dir():
            yield f"{run / name}: expected a folder; remove it, or restore it from a copy"
    # data.json and samples.json only stand where data say something of themselves.
    yield from _damaged_descriptions(run, ("task.json", "environment.json"), ("data.json",))
    try:
        with closing(TrialStore.open(run / "trials.db")) as store:
            yield from _differing_records(run, store)
            yield from _damaged_checkpoints(run, store)
    except StorageError as error:
        yield str(error)
    for training in sorted((run / "trials").glob("*/training")):
        yield from training_problems(training)
    for path in leftovers(run):
        yield f"{path}: left by a writer that died; the next one removes it"


def training_problems(training: Path) -> Iterator[str]:
    """Everything that is wrong with the folder of ``netwright train``, as :func:`problems` says it of a run."""
    if not training.is_dir():
        yield f"{training}: expected a folder of netwright train; remove it"
        return
    results = [path.relative_to(training).as_posix() for path in sorted(training.glob("seed-*/result.json"))]
    yield from _damaged_descriptions(training, ("task.json", "architecture.json"), ("result.json", *results))
    for path in sorted(training.glob("seed-*")):
        if not path.is_dir():
            yield f"{path}: expected the folder of a seed; remove it"
    for path in sorted(training.glob("seed-*/*.safetensors")):
        if damage := tensor_damage(path):
            yield f"{path}: {damage}; netwright train --resume trains this seed again once the file is deleted"


def _damaged_descriptions(folder: Path, needed: Sequence[str], perhaps: Sequence[str]) -> Iterator[str]:
    """Files that describe a run or a training, in TOML and JSON, and whatever else there are digests of.

    Args:
        folder: Of the run or the training.
        needed: Names of objects in JSON that must be there, beside ``config.toml``.
        perhaps: Names of further ones, which are read where they are there.
    """
    if (folder / "lock").exists() and not (folder / "lock").is_file():
        yield f"{folder / 'lock'}: is no regular file; remove it"
    named: set[Path] = set()
    try:
        load_config(folder / "config.toml")
    except NetwrightError as error:
        named.add(folder / "config.toml")
        yield str(error)
    for path in (folder / name for name in (*needed, *perhaps)):
        try:
            read_json_object(path)
        except FileNotFoundError as error:
            if path.name in needed:
                named.add(path)
                yield str(error)
        except (OSError, ValueError) as error:
            named.add(path)
            yield f"{path}: cannot be read: {reason(error)}"
    yield from differing(folder, named)


def without_digests(run: Path) -> list[Path]:
    """The folders of a run, itself among them, whose files have no digests: older versions wrote none."""
    folders = [run, *sorted((run / "trials").glob("*/training"))]
    return [folder for folder in folders if not (folder / DIGESTS).exists()]


def _differing_records(run: Path, store: TrialStore) -> Iterator[str]:
    """Trials whose own file is not what the database says, and what the database has forgotten."""
    yield from (f"{run / 'trials.db'}: the table {name} is not as we make it" for name in store.foreign_tables())
    rows, records = {row.id: row for row in store.rows()}, dict[int, TrialRecord]()
    for number in sorted(rows.keys() | set(_numbers(run))):
        row = rows.get(number)
        try:
            records[number] = read_record(run, number)
        except StorageError as error:
            if row is not None:
                yield f"{error}; the database has the trial, but could not be rebuilt"
            continue
        if row is not None and not _has_architecture(run, row):
            yield f"{run / 'trials' / str(number) / 'architecture.json'}: not the architecture of this trial, or gone"
    apart, ahead = _apart(store, records)
    if apart or ahead:  # a search may be under way, which writes the one before the other
        time.sleep(SECOND_LOOK)
        with suppress(StorageError):  # of a file: those that cannot be read are named above
            records |= {number: read_record(run, number) for number in (*apart, *ahead)}
        again, ahead_still = _apart(store, records)
        apart, ahead = sorted({*apart} & {*again}), sorted({*ahead} & {*ahead_still})
    yield from (f"{_record_file(run, number)}: not what trials.db says of this trial" for number in apart)
    if len(ahead) > 1:  # one is sound: a trial's file is written before its row, and a process may die between the two
        yield (
            f"{run / 'trials.db'}: lacks {len(ahead)} trials that are finished in {run / 'trials'}, perhaps because "
            f"trials.db-wal was damaged or deleted; rebuild it: {command('doctor', run, '--rebuild')}"
        )
    sessions = {session.id: session for session in store.session_rows()}
    for record in records.values():
        known, told = record.session, None if record.session is None else sessions.get(record.session.id)
        if known is None or record.row.id in ahead:
            continue
        if told is None or told.started_at != known.started_at or told.seconds < known.seconds:
            yield f"{run / 'trials.db'}: session {known.id} is not what {_record_file(run, record.row.id)} says of it"
            return


SECOND_LOOK = 0.3
"""Seconds in which a search under way has written the row of a trial whose file it has written."""


def _apart(store: TrialStore, records: Mapping[int, TrialRecord]) -> tuple[list[int], list[int]]:
    """The trials of which file and database say different things, and those that only the file says are finished."""
    rows = {row.id: row for row in store.rows()}
    updates = {trial: (update, sha256) for trial, update, sha256 in store.updates_by_trial()}
    differing, ahead = [], []
    for number, record in records.items():
        row = rows.get(number)
        if row is None or row.state is State.RUNNING:
            if record.row.state is not State.RUNNING:
                ahead.append(number)
        elif record.row != row or (record.update, record.sha256) != updates.get(number, (None, None)):
            differing.append(number)
    return differing, ahead


def _record_file(run: Path, number: int) -> Path:
    return run / "trials" / str(number) / TRIAL_FILE


def _has_architecture(run: Path, row: TrialRow) -> bool:
    try:
        return read_bounded(run / "trials" / str(row.id) / "architecture.json") == (row.architecture + "\n").encode()
    except (OSError, ValueError):
        return False


def _damaged_checkpoints(run: Path, store: TrialStore) -> Iterator[str]:
    for update, sha256 in store.updates(KEPT_CHECKPOINTS):
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
