"""Writing files so that a crash at any moment leaves the old content or the new, never a part."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from netwright.errors import StorageError

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replaces ``path`` by ``content``, on disk before this returns.

    The content goes to a temporary file beside it, which is flushed, renamed, and its folder flushed.

    Raises:
        StorageError: The disk is full or the folder cannot be written; the old file is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno in DISK_IS_FULL:
            raise StorageError(f"{path}: no room for {len(data)} bytes; free some space and resume") from None
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def flush_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
