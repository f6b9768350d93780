"""The run folder: everything that a search leaves behind, and the lock that keeps a second writer out."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from netwright.config import ExperimentConfig, load_config
from netwright.errors import RunLockedError, StorageError, UsageError
from netwright.spaces.architecture import Architecture
from netwright.store.files import write_atomically
from netwright.store.sqlite import TrialStore
from netwright.trial import Outcome, Proposal, Trial, Update

KEPT_CHECKPOINTS = 3
"""The last one, and two to fall back on should it be damaged."""


class RunFolder:
    """A folder with ``config.toml``, ``environment.json``, ``trials.db``, ``controller/`` and ``trials/<id>/``.

    Args:
        path: The folder, which exists; see :meth:`create` and :meth:`open`.
        config: What is searched, and how.
        store: Its trials.
    """

    def __init__(self, path: Path, config: ExperimentConfig, store: TrialStore) -> None:
        self.path = path
        self.config = config
        self.store = store
        self._started = time.monotonic()
        self._session = len(store.sessions())

    @staticmethod
    def refuse_used(path: Path) -> None:
        """Checks that a run can be made at ``path``, before anything costly is done for it.

        Raises:
            UsageError: There is something already.
        """
        if (path / "config.toml").exists():
            raise UsageError(f"{path} already holds a run; go on with it by --resume {path}, or name another --out")
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise UsageError(f"{path} exists, is not empty and holds no run; name another --out")

    @classmethod
    def create(cls, path: Path, config: ExperimentConfig, task: Mapping[str, Any]) -> Self:
        """A new run.

        Args:
            path: The folder to make.
            config: What is searched, and how.
            task: What the children read and write, as JSON.

        Raises:
            UsageError: There is something already.
            StorageError: The folder cannot be written.
        """
        cls.refuse_used(path)
        try:
            (path / "controller").mkdir(parents=True)
            (path / "trials").mkdir()
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
        write_atomically(path / "environment.json", json.dumps(environment(), indent=2) + "\n")
        write_atomically(path / "task.json", json.dumps(task) + "\n")
        store = TrialStore.create(path / "trials.db")
        # Last, so that a folder with a configuration is a whole run.
        write_atomically(path / "config.toml", config.to_toml())
        return cls(path, config, store)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True) -> Self:
        """An existing run.

        Raises:
            UsageError: The folder holds no run.
            StorageError: Its database is damaged.
        """
        if not (path / "config.toml").is_file():
            raise UsageError(f"{path} holds no run: there is no config.toml in it")
        return cls(path, load_config(path / "config.toml"), TrialStore.open(path / "trials.db", read_only=read_only))

    def set_config(self, config: ExperimentConfig) -> None:
        """Replaces the configuration on disk, e.g. by one with more trials."""
        self.config = config
        write_atomically(self.path / "config.toml", config.to_toml())

    def task(self) -> dict[str, Any]:
        """What the children read and write."""
        path = self.path / "task.json"
        try:
            task: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StorageError(f"{path}: cannot be read: {error}") from None
        return task

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other writers out; the kernel gives the lock back however this process ends.

        Raises:
            RunLockedError: Another process holds it; names that process.
        """
        with (self.path / "lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RunLockedError(f"{self.path} is in use by {file.read() or 'another process'}") from None
            # Whoever held the lock since this folder was opened has made a session of its own.
            self._session = len(self.store.sessions())
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}")
            file.flush()
            yield

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`."""
        for proposal, architecture in proposals:
            folder = self.path / "trials" / str(proposal.id)
            folder.mkdir(exist_ok=True)
            write_atomically(folder / "architecture.json", architecture.canonical_json() + "\n")
        self.store.start(proposals)

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """See :meth:`netwright.search.loop.Journal.finish`: the checkpoint first, then the row that names it."""
        sha256 = None
        if update is not None and state is not None:
            write_atomically(self._checkpoint(update.number), state)
            sha256 = hashlib.sha256(state).hexdigest()
        self.store.finish(trial, outcome, update, sha256)
        self.store.spend(self._session, time.monotonic() - self._started)
        if update is not None:
            self._checkpoint(update.number - KEPT_CHECKPOINTS).unlink(missing_ok=True)

    def _checkpoint(self, number: int) -> Path:
        return self.path / "controller" / f"{number:06d}.safetensors"

    @property
    def initial_controller(self) -> Path:
        """The checkpoint of another search from which this one's controller started; a file only where it did."""
        return self.path / "controller" / "initial.safetensors"

    def last_controller(self) -> Path:
        """The newest checkpoint of this search's controller.

        Raises:
            UsageError: There is none yet.
        """
        updates = self.store.updates()
        if not updates or updates[-1][1] is None:
            raise UsageError(f"{self.path} has no controller: its search made no update of one")
        return self._checkpoint(updates[-1][0].number)

    def checkpoints(self) -> Iterator[bytes]:
        """The controller's checkpoints that are as they were written, newest first."""
        for update, sha256 in reversed(self.store.updates()[-KEPT_CHECKPOINTS:]):
            path = self._checkpoint(update.number)
            state = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(state).hexdigest() == sha256:
                yield state

    def seconds(self) -> float:
        """Running time of all sessions together, this one included."""
        return sum(self.store.sessions()[: self._session]) + time.monotonic() - self._started


def environment() -> dict[str, object]:
    """Where a run is made: versions, commit, host, processor and cores."""
    packages = ("netwright", "torch", "numpy", "pydantic")
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "commit": _commit(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _commit() -> str | None:
    """The commit of netwright's own source, where it runs from a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
