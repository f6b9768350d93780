"""The run folder: everything that a search leaves behind, and the lock that keeps a second writer out."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

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

    @classmethod
    def create(cls, path: Path, config: ExperimentConfig, environment: dict[str, object]) -> Self:
        """A new run.

        Raises:
            UsageError: The folder holds something already.
            StorageError: It cannot be written.
        """
        if (path / "config.toml").exists():
            raise UsageError(f"{path} already holds a run; go on with it by --resume {path}, or name another --out")
        try:
            if path.exists() and any(path.iterdir()):
                raise UsageError(f"{path} is not empty and holds no run; name another --out")
            (path / "controller").mkdir(parents=True)
            (path / "trials").mkdir()
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
        write_atomically(path / "environment.json", json.dumps(environment, indent=2) + "\n")
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


def environment(commit: str | None = None) -> dict[str, object]:
    """Where a run is made: versions, host, processor and threads."""
    from importlib.metadata import version

    packages = ("netwright", "torch", "numpy", "pydantic")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "commit": commit,
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
