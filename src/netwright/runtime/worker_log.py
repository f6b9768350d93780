"""What children print: a file for each worker, kept small.

A worker's standard output and standard error, and those of whatever its children start, are the end of its file. That
the file stays small is the parent's concern: a child that prints in a loop sees to nothing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

LIMIT = 1 << 20
"""Bytes of a file beyond which it is started again; its last so many are kept, as ``<name>.1``."""

INTERVAL = 0.2
"""Seconds between two looks at the files: a child that prints 1 GB a second is 0.2 GB ahead at the most."""


def log_file(folder: Path, number: int) -> Path:
    """Where a worker's output goes."""
    return folder / f"worker-{number}.log"


def older(path: Path) -> Path:
    """Where the end of a file is kept that was started again."""
    return path.with_name(f"{path.name}.1")


def take_output(path: Path | None) -> None:
    """Turns what this process prints to the end of a file, or to standard error where there is none."""
    with suppress(OSError):  # of a full disk: what it prints must not get onto standard output all the same
        os.dup2(2, 1)
        if path is not None:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
        sys.stdout, sys.stderr = _stream(1), _stream(2)


class _Unfailing(io.FileIO):
    """A file that a full disk does not make fail: it is not the architecture's fault that nobody can note its words."""

    def write(self, content: Any) -> int:
        """As many bytes as there are, written or not."""
        try:
            return super().write(content)
        except OSError:
            return len(content)


def _stream(descriptor: int) -> io.TextIOWrapper:
    """Text to a descriptor, kept back nowhere, since workers are killed in the end."""
    raw: Any = _Unfailing(descriptor, "wb", closefd=False)  # as ``python -u`` has it, without a buffer between
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def note(line: str) -> None:
    """Adds a line to this process's output."""
    with suppress(OSError):
        os.write(1, f"{line}\n".encode())


class LogKeeper:
    """Keeps files small that others append to.

    In a thread of its own, since the search may be waiting for something else, such as room on the disk.

    Args:
        paths: The files, there or not.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._closed = Event()
        self._thread = Thread(target=self._keep, name="netwright-log-keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Looks a last time, and ends the thread."""
        self._closed.set()
        self._thread.join()

    def _keep(self) -> None:
        last = False
        while not last:
            last = self._closed.wait(INTERVAL)
            for path in self._paths:
                shorten(path)


def shorten(path: Path) -> None:
    """Starts a file again that is beyond :data:`LIMIT`; what is printed in this very moment is lost."""
    with suppress(OSError):
        if path.lstat().st_size > LIMIT:
            _start_again(path)


def _start_again(path: Path) -> None:
    with open(path, "rb+", opener=_open_no_link) as file:
        file.seek(-LIMIT, os.SEEK_END)
        end = file.read(LIMIT)
        try:
            with open(older(path), "wb", opener=_open_no_link) as copy:
                copy.write(end)
        finally:  # on a full disk, too: it must not grow on
            file.truncate(0)  # those who write do so at the end, wherever that is


def _open_no_link(path: str, flags: int) -> int:
    """A run folder from a stranger may have a link there, which leads elsewhere."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def last_line(path: Path, since: int) -> str:
    """The last line that is not blank of what was added to a file since it had so many bytes; empty without one."""
    try:
        content = path.read_bytes()
    except OSError:
        return ""
    lines = content[since if since <= len(content) else 0 :].decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
