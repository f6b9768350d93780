"""The run folder: everything that a search leaves behind."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from netwright.bounded import read_bounded
from netwright.config import ExperimentConfig
from netwright.errors import DiskFullError, StorageError, UsageError, command
from netwright.settings_file import load_config
from netwright.spaces.architecture import Architecture
from netwright.store.crash_points import crash_point
from netwright.store.digests import DIGESTS, described, with_digests
from netwright.store.environment import environment
from netwright.store.files import leftovers, make_folders, write_together
from netwright.store.history import History
from netwright.store.lock import DATABASE, FOLDERS, refuse_links, refuse_used
from netwright.store.rows import Session, ended_row, running_row, utc_now
from netwright.store.sqlite import TrialStore
from netwright.store.task_file import TASK_FILE, read_task
from netwright.store.trial_file import TRIAL_FILE, TrialRecord, read_record
from netwright.trial import Concluded, Outcome, Proposal, State, Trial, Update

log = logging.getLogger(__name__)


KEPT_CHECKPOINTS = 3
"""The last one, and two to fall back on should it be damaged."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two attempts to write to a full disk; doubled from the one to the other."""

COUNTED_EVERY = 60.0
"""Seconds between two notes of how long a session has run: the most that a kill takes from the count."""

INITIAL_CONTROLLER = Path("controller") / "initial.safetensors"

SAMPLES = "samples.json"
"""A little of what the children learn from: a list of objects with ``label``, and ``pictures`` (PNG in base 64) or
``text``."""


class RunFolder:
    """``config.toml``, ``environment.json``, ``trials.db``, and folders ``controller``, ``trials`` and ``workers``.

    Whoever writes holds :func:`netwright.store.lock.run_lock`. A writer that meets a full disk waits for room,
    ``search.disk_seconds`` long.

    Args:
        path: The folder, which exists; see :meth:`create` and :meth:`open`.
        config: What is searched, and how.
        store: Its trials.
        history: What earlier sessions left; None where this one only reads.

    Attributes:
        began: When it was opened, by the monotonic clock, in seconds.
    """

    def __init__(self, path: Path, config: ExperimentConfig, store: TrialStore, history: History | None = None) -> None:
        self.path = path
        self.config = config
        self.store = store
        self._history = history
        rows = () if history is None else history.rows
        self._finished = frozenset(row.id for row in rows if row.state is not State.RUNNING)
        self.began = self._counted_at = time.monotonic()
        # Above all numbers that there are: a rebuilt database lacks the sessions that ended no trial.
        number = max((session.id for session in store.session_rows()), default=-1) + 1
        self._session = Session(id=number, started_at=utc_now(), seconds=0.0)

    @property
    def history(self) -> History:
        """What earlier sessions left, as it was when this one opened the folder for writing."""
        assert self._history is not None, "the folder was opened for reading"
        return self._history

    @classmethod
    def create(
        cls,
        path: Path,
        config: ExperimentConfig,
        task: Mapping[str, Any],
        controller: bytes | None = None,
        report: Mapping[str, Any] | None = None,
    ) -> Self:
        """A new run; what the making of one left there that was cut short is made again.

        Args:
            path: The folder to make.
            config: What is searched, and how.
            task: What the children read and write, as JSON.
            controller: The checkpoint of another search to start from.
            report: What is to be said of the data, as JSON.

        Raises:
            UsageError: There is something already.
            StorageError: The folder cannot be written.
        """
        refuse_used(path)
        make_folders([path, *(path / name for name in FOLDERS)])
        for file in DATABASE:
            (path / file).unlink(missing_ok=True)
        crash_point("folder.made")
        files: dict[Path, bytes | str] = {
            path / "environment.json": json.dumps(environment(), indent=2) + "\n",
            path / TASK_FILE: json.dumps(task) + "\n",
        }
        if report is not None:
            files[path / "data.json"] = json.dumps(report, indent=1) + "\n"
        if controller is not None:
            files[path / INITIAL_CONTROLLER] = controller
        configuration = {path / "config.toml": config.to_toml()}
        digests = with_digests(path, {**files, **configuration}, {})
        write_together({path / DIGESTS: digests[path / DIGESTS], **files})
        crash_point("folder.described")
        store = TrialStore.create(path / "trials.db")
        crash_point("folder.stored")
        # Last, so that a folder with a configuration is a whole run.
        write_together(configuration)
        crash_point("folder.done")
        return cls(path, config, store, History())

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True) -> Self:
        """An existing run.

        Args:
            path: The folder.
            read_only: Whether nobody writes; otherwise under :func:`netwright.store.lock.run_lock`.

        Raises:
            UsageError: The folder holds no run.
            StorageError: Its database is damaged, or lacks trials that the folders of the trials have.
        """
        if not (path / "config.toml").is_file():
            raise UsageError(f"{path} holds no run: there is no config.toml in it")
        config, store = load_config(path / "config.toml"), TrialStore.open(path / "trials.db", read_only=read_only)
        folder = cls(path, config, store, None if read_only else store.history())
        if not read_only:
            make_folders([path / name for name in FOLDERS if not (path / name).is_dir()])
            refuse_links(path)
            folder._refuse_lost_trials()
            for leftover in leftovers(path):
                leftover.unlink(missing_ok=True)
            folder._write_missing_records()
        return folder

    def _refuse_lost_trials(self) -> None:
        """A database whose journal was taken away is whole, and has forgotten its last trials.

        Raises:
            StorageError: More trials are finished on disk than the database knows of. One more is not strange: a
                trial's file is written first, and a process that dies between the two runs the trial again.
        """
        finished = {row.id for row in self.history.rows if row.state is not State.RUNNING}
        there = {int(entry.name) for entry in (self.path / "trials").iterdir() if entry.name.isdecimal()}
        ahead = 0
        for number in there - finished:
            with suppress(StorageError):  # cut short by a loss of power; the trial runs again
                ahead += read_record(self.path, number).row.state is not State.RUNNING
        if ahead > 1:
            raise StorageError(
                f"{self.path / 'trials.db'}: lacks {ahead} trials that are finished in {self.path / 'trials'}, perhaps "
                f"because trials.db-wal was deleted; rebuild it: {command('doctor', self.path, '--rebuild')}"
            )

    def _write_missing_records(self) -> None:
        """Makes the folders that a process which died owed to its rows, and to those of netwright before 0.2."""
        without = [row for row in self.history.rows if not (self.path / "trials" / str(row.id) / TRIAL_FILE).exists()]
        if not without:
            return
        updates = {trial: (update, sha256) for trial, update, sha256 in self.store.updates_by_trial()}
        records = []
        for row in without:
            update, sha256 = updates.get(row.id, (None, None))
            records.append(TrialRecord(row=row, update=update, sha256=sha256))
        self._write_records(records)

    def set_config(self, config: ExperimentConfig) -> None:
        """Replaces the configuration on disk, e.g. by one with more trials."""
        self.config = config
        self._describe("config.toml", config.to_toml())
        crash_point("config.replaced")

    def task(self) -> dict[str, Any]:
        """What the children read and write; see :func:`netwright.store.task_file.read_task`."""
        return read_task(self.path, self.config)

    def set_task(self, task: Mapping[str, Any]) -> None:
        """Replaces what is known of the task, e.g. by one with references."""
        self._describe(TASK_FILE, json.dumps(task) + "\n")

    def _describe(self, name: str, content: str) -> None:
        """Replaces a file that describes the run, and its digest; of a run without digests, the file alone."""
        self._write(described(self.path, {self.path / name: content}))

    def samples(self) -> list[dict[str, Any]]:
        """A little of what the children learn from, for a report; nothing where there is none that can be read."""
        try:
            samples = json.loads(read_bounded(self.path / SAMPLES))
        except (OSError, ValueError, RecursionError):
            return []
        return [sample for sample in samples if isinstance(sample, dict)] if isinstance(samples, list) else []

    def set_samples(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Keeps a little of what the children learn from; what is there already stays."""
        if samples and not (self.path / SAMPLES).exists():
            self._describe(SAMPLES, json.dumps(list(samples)) + "\n")

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`: a folder for each, then the rows.

        Raises:
            StorageError: A trial has an end already; nothing is written over it.
        """
        if again := sorted(proposal.id for proposal, _ in proposals if proposal.id in self._finished):
            raise StorageError(
                f"{self.path / 'trials.db'}: damaged: trial {again[0]} has an end, and yet is to be trained, so its "
                f"row is not what was written; rebuild it: {command('doctor', self.path, '--rebuild')}"
            )
        rows = [running_row(proposal, architecture) for proposal, architecture in proposals]
        folders = [self.path / "trials" / str(row.id) for row in rows]
        self._patiently(lambda: make_folders([folder for folder in folders if not folder.is_dir()]))
        for folder, row in zip(folders, rows, strict=True):
            record = TrialRecord(row=row).file(self.path)
            self._write({**record, folder / "architecture.json": row.architecture + "\n"})
        crash_point("start.files")
        self._patiently(lambda: self.store.insert(rows))
        crash_point("start.done")

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """See :meth:`netwright.search.loop.Journal.finish`: the checkpoint, the trial's own file, then the row.

        The row comes last, since it names the other two; until it is there, the trial is under way.
        """
        sha256 = None
        if update is not None and state is not None:
            sha256 = hashlib.sha256(state).hexdigest()
            self._write({self._checkpoint(update.number): state})
            crash_point("finish.checkpoint")
        session = self._session_so_far()
        row = self.store.concluded(trial, outcome)
        self._write(TrialRecord(row=row, update=update, sha256=sha256, session=session).file(self.path))
        crash_point("finish.file")
        self._patiently(lambda: self.store.finish(row, update, sha256, session))
        crash_point("finish.done")
        if update is not None:
            self._prune(1)
            crash_point("finish.pruned")

    def pass_over(self, concluded: Sequence[Concluded]) -> None:
        """See :meth:`netwright.search.loop.Journal.pass_over`: checkpoints, then all rows at once, then the folders.

        A process that dies before the rows has lost nothing, since the same networks are proposed again; one that dies
        after them leaves folders to make, which the next session does.
        """
        told = self.store.count_told()
        records = []
        for number, one in enumerate(concluded):
            row = ended_row(running_row(one.proposal, one.architecture), one.trial, one.outcome, told=told + number)
            sha256 = None if one.state is None else hashlib.sha256(one.state).hexdigest()
            records.append(TrialRecord(row=row, update=one.update, sha256=sha256))
        updates = [(record.row.id, record.update, record.sha256) for record in records if record.update is not None]
        checkpoints = {
            self._checkpoint(one.update.number): one.state
            for one in concluded
            if one.update is not None and one.state is not None
        }
        if checkpoints:
            self._write(checkpoints)
        self._patiently(lambda: self.store.pass_over([record.row for record in records], updates))
        crash_point("passed.rows")
        self._write_records(records)
        self._prune(len(updates))

    def _prune(self, made: int) -> None:
        """Deletes the checkpoints that so many more updates have put behind the last; their numbers may have gaps."""
        for update, _ in self.store.updates(KEPT_CHECKPOINTS + made)[:-KEPT_CHECKPOINTS]:
            self._checkpoint(update.number).unlink(missing_ok=True)

    def _write_records(self, records: Sequence[TrialRecord]) -> None:
        """Makes the folders of trials, with all that is in them."""
        folders = {record.row.id: self.path / "trials" / str(record.row.id) for record in records}
        self._patiently(lambda: make_folders([folder for folder in folders.values() if not folder.is_dir()]))
        files: dict[Path, bytes | str] = {}
        for record in records:
            architecture = folders[record.row.id] / "architecture.json"
            files |= {architecture: record.row.architecture + "\n", **record.file(self.path)}
        self._write(files)

    def _write(self, files: Mapping[Path, bytes | str]) -> None:
        self._patiently(lambda: write_together(files))

    def _patiently(self, write: Callable[[], object]) -> None:
        """Does what writes; on a full disk makes room, says so, and tries again for ``search.disk_seconds``.

        Meanwhile no child is asked for, and those under way are finished.

        Raises:
            DiskFullError: There was no room in all that time.
        """
        patience, pause, full_since = self.config.search.disk_seconds, FIRST_PAUSE, None
        while True:
            try:
                write()
            except DiskFullError as error:
                if full_since is None:
                    full_since = time.monotonic()
                    log.warning("%s; trying again for %g s, while children finish; free some space", error, patience)
                    self._give_up_old_checkpoints()
                left = full_since + patience - time.monotonic()
                if left <= 0:
                    raise DiskFullError(f"{error}, nor was there any for {patience:g} s; free some space") from None
                time.sleep(min(pause, left))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if full_since is not None:
                    log.warning("%s: there is room again, and nothing is lost", self.path)
                return

    def _give_up_old_checkpoints(self) -> None:
        """All but the last one that the database names."""
        for update, _ in self.store.updates(KEPT_CHECKPOINTS)[:-1]:
            with suppress(OSError):
                self._checkpoint(update.number).unlink(missing_ok=True)

    def annotate(self, ids: Sequence[int], notes: Mapping[str, float]) -> None:
        """Adds notes to trials; see :meth:`netwright.store.sqlite.TrialStore.annotate`."""
        files: dict[Path, bytes | str] = {}
        for number in ids:
            record = read_record(self.path, number)
            row = replace(record.row, notes={**record.row.notes, **notes})
            files |= replace(record, row=row).file(self.path)
        self._write(files)
        self._patiently(lambda: self.store.annotate(ids, notes))

    def _checkpoint(self, number: int) -> Path:
        return checkpoint_file(self.path, number)

    @property
    def logs(self) -> Path:
        """The folder for what children print."""
        return self.path / "workers"

    @property
    def initial_controller(self) -> Path:
        """The checkpoint of another search from which this one's controller started; a file only where it did."""
        return self.path / INITIAL_CONTROLLER

    def last_controller(self) -> Path:
        """The newest checkpoint of this search's controller.

        Raises:
            UsageError: There is none yet.
        """
        updates = self.store.updates(1)
        if not updates or updates[-1][1] is None:
            raise UsageError(f"{self.path} has no controller: its search made no update of one")
        return self._checkpoint(updates[-1][0].number)

    def checkpoints(self) -> Iterator[bytes]:
        """The controller's checkpoints that are as they were written, newest first; says which are not."""
        for update, sha256 in reversed(self.store.updates(KEPT_CHECKPOINTS)):
            path = self._checkpoint(update.number)
            if sha256 is None:
                continue
            if (state := read_whole(path, sha256)) is not None:
                yield state
            else:
                log.warning("%s: damaged or gone; what it held comes from an older one, or from the trials", path)

    def seconds(self) -> float:
        """Running time of all sessions together, this one included."""
        earlier = [session.seconds for session in self.store.session_rows() if session.id < self._session.id]
        return sum(earlier) + time.monotonic() - self.began

    def _session_so_far(self) -> Session:
        return replace(self._session, seconds=time.monotonic() - self.began)

    def count_time(self) -> None:
        """Keeps on disk how long this session has run, unless that was done within :data:`COUNTED_EVERY` seconds.

        So ``search.hours`` counts every session, also one that was killed before it finished a trial. A full disk does
        not matter, since the next call, or the next trial, says the same and more.
        """
        if time.monotonic() - self._counted_at >= COUNTED_EVERY:
            self._counted_at = time.monotonic()
            with suppress(StorageError):
                self.store.spend(self._session_so_far())

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Keeps on disk how long this session has run, when the block ends however it does."""
        try:
            yield
        finally:
            with suppress(StorageError):
                self.store.spend(self._session_so_far())


def checkpoint_file(run: Path, number: int) -> Path:
    """Where the controller is kept after an update."""
    return run / "controller" / f"{number:06d}.safetensors"


def weights_file(training: Path, seed: int) -> Path:
    """Where a training leaves the weights of a seed."""
    return training / f"seed-{seed}" / "model.safetensors"


def read_whole(path: Path, sha256: str) -> bytes | None:
    """The bytes of a file; None when it is gone, or they are not those of the digest."""
    content = path.read_bytes() if path.is_file() else b""
    return content if hashlib.sha256(content).hexdigest() == sha256 else None
