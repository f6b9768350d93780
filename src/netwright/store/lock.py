"""The lock of a run folder: of several writers exactly one proceeds, and never over what lies there already."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from netwright.errors import RunLockedError, StorageError, UsageError, command
from netwright.store.files import is_temporary, make_folders

DATABASE = ("trials.db", "trials.db-journal", "trials.db-wal", "trials.db-shm")
FOLDERS = ("controller", "trials", "workers")
PARTS = ("lock", *FOLDERS, "environment.json", "task.json", "data.json", "digests.json", *DATABASE)
"""What a folder holds whose making was cut short: all of a run but ``config.toml``."""


@contextmanager
def run_lock(path: Path, *, new: bool) -> Iterator[None]:
    """Keeps other writers out of a run folder; the kernel gives the lock back however this process ends.

    Taken before anything in the folder is looked at, so that of several starters exactly one proceeds.

    Args:
        path: The folder.
        new: Whether a run is to be made there; if none has been by the end, the folder is left as it was.

    Raises:
        RunLockedError: Another process holds it; names that process.
        UsageError: There is a run already, or something else (``new``); there is none (otherwise).
        StorageError: The folder cannot be written, or lies where there are no locks.
    """
    if new and path.exists() and not path.is_dir():
        raise UsageError(f"{path} exists and is no folder; name another --out")
    if not new and not (path / "config.toml").is_file():
        raise UsageError(f"{path} holds no run: there is no config.toml in it")
    _refuse_links_at_the_top(path)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        file = _lock(path)
        try:
            if new:
                refuse_used(path)
                make_folders(made)  # they are there already, but their names might not outlast a loss of power
            yield
        finally:
            if not (path / "config.toml").exists():
                (path / "lock").unlink(missing_ok=True)
            file.close()
    finally:
        for folder in made:
            with suppress(OSError):  # it holds a run, or another process is making one
                folder.rmdir()


def _lock(path: Path) -> IO[str]:
    """The locked file, which says who holds it.

    Raises:
        RunLockedError: Another process holds it.
        StorageError: The folder cannot be written or has no locks, or ``lock`` in it is no file of its own.
    """
    for attempt in range(ATTEMPTS):
        try:
            path.mkdir(parents=True, exist_ok=True)
            file = _opened(path / "lock")
        except FileNotFoundError:  # its last holder has just taken the empty folder away; or it cannot be made at all
            time.sleep(attempt / 1000)
            continue
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                raise RunLockedError(f"{path} is in use by {file.read() or 'another process'}") from None
        except OSError as error:  # there are none, or no more of them
            with file:
                if not os.fstat(file.fileno()).st_size and not (path / "config.toml").exists():
                    (path / "lock").unlink(missing_ok=True)  # no holder has signed it, so it is ours
            raise StorageError(
                f"{path / 'lock'}: cannot be locked: {error.strerror}; put the run on a file system with locks, such "
                "as a local disk, NFS with its lock service, or Lustre mounted with flock"
            ) from None
        if _is_still(path / "lock", file):
            break
        file.close()  # of a holder that has left nothing behind: its lock keeps nobody out
    else:
        raise StorageError(f"{path}: cannot be made, or is taken away again and again; name another --out")
    with suppress(OSError):  # on a full disk the lock holds all the same, and merely does not say for whom
        os.ftruncate(file.fileno(), 0)
        holder = f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}"
        os.write(file.fileno(), holder.encode())
    return file


ATTEMPTS = 50
"""At taking a lock whose folder others take away; they do so once, when they end without a run."""


def _opened(path: Path) -> IO[str]:
    """The file of the lock, and nothing that its name may lead to: what is opened is written to.

    Raises:
        StorageError: It is a link, or no regular file.
        OSError: It cannot be opened.
    """
    if path.is_symlink():
        raise StorageError(f"{path}: a symbolic link, which may lead out of the run; remove it")
    descriptor = os.open(
        path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666
    )
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(f"{path}: is no regular file; remove it")
    return os.fdopen(descriptor, "a+", encoding="utf-8")


def refuse_links(run: Path) -> None:
    """A run folder from a stranger could have us write elsewhere: nothing in it that we write may be a link.

    Raises:
        StorageError: Something is; names it.
    """
    for place in links(run):
        raise StorageError(f"{place}: {LINK}")


LINK = "a symbolic link, which may lead out of the run; copy what it leads to"


def links(run: Path) -> Iterator[Path]:
    """All symbolic links in a run folder, at any depth.

    Raises:
        StorageError: A folder cannot be read.
    """
    waiting = [os.fspath(run)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        yield Path(entry.path)
                    elif entry.is_dir():
                        waiting.append(entry.path)
        except OSError as error:
            raise StorageError(f"{error.filename or run}: cannot be read: {error.strerror}") from None


def _refuse_links_at_the_top(path: Path) -> None:
    """As :func:`refuse_links`, of what is written before all is looked at; for a folder of a trial, also those above.

    Raises:
        StorageError: Something is a link; names it.
    """
    above = [path, path.parent, path.parent.parent] if path.parent.parent.name == "trials" else []
    entries = [path / name for name in (*PARTS, "config.toml", "tensorboard", "result.json")]
    for place in (*above, *entries):
        if place.is_symlink():
            raise StorageError(f"{place}: {LINK}")


def _is_still(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def held(path: Path) -> tuple[str, str]:
    """What the folder with a ``config.toml`` is called, and the command that resumes it."""
    if (path / "architecture.json").exists():
        return "training", command("train", "--resume", path)
    try:
        tuning = "tuning" in tomllib.loads((path / "config.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # whoever reads the rest of it says so
        tuning = False
    return ("tuning", command("tune", "--resume", path)) if tuning else ("run", command("search", "--resume", path))


def refuse_used(path: Path) -> None:
    """Checks that a run can be made at ``path``, before anything costly is done for it.

    Raises:
        UsageError: There is something already.
    """
    if (path / "config.toml").exists():
        what, how = held(path)
        raise UsageError(f"{path} already holds a {what}; resume it: {how}, or name another --out")
    if path.is_file() or (path.is_dir() and any(not _is_ours(entry) for entry in path.iterdir())):
        raise UsageError(f"{path} exists, is not empty and holds no run; name another --out")


def _is_ours(entry: Path) -> bool:
    """Whether an entry of a folder may be what the making of a run left that was cut short."""
    if entry.name in FOLDERS:
        return entry.is_dir() and not any(file.name != "initial.safetensors" for file in entry.iterdir())
    if entry.name == "architecture.json":  # of a training; somebody's own stands beside no digests
        return (entry.parent / "digests.json").is_file()
    return entry.name in PARTS or is_temporary(entry.name)
