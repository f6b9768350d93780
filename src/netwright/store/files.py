"""Writing files so that a crash at any moment leaves the old content or the new, never a part."""

from __future__ import annotations

import errno
import itertools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from netwright.errors import DiskFullError, StorageError
from netwright.store.crash_points import crash_point

MANY = 32
"""Files that are flushed by one call for the whole system rather than one by one."""

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

NETWORK_FILE_SYSTEMS = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p", "sshfs")
)
"""Types as in ``/proc/mounts``, without ``fuse.``: several machines may write, and memory maps are not shared."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replaces ``path`` by ``content``, on disk before this returns.

    The content goes to a temporary file beside it, which is flushed, renamed, and its folder flushed.

    Raises:
        DiskFullError: There is no room; the old file is untouched.
        StorageError: The folder cannot be written; the old file is untouched.
    """
    write_together({path: content})


def write_together(files: Mapping[Path, bytes | str]) -> None:
    """Replaces several files as :func:`write_atomically` does one, each wholly or not at all, in order.

    Raises:
        DiskFullError: There is no room; each file is as it was, or already whole.
        StorageError: A folder cannot be written.
    """
    contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    path = next(iter(contents), Path())
    at_once = len(contents) >= MANY and sys.platform == "linux"  # elsewhere it may return before all is on disk
    try:
        for path, data in contents.items():
            with _new_file(temporary[path]) as file:
                file.write(data)
                file.flush()
                crash_point("file.written")
                if not at_once:
                    os.fsync(file.fileno())
            crash_point("file.flushed")
        if at_once:
            os.sync()
        for path in contents:
            temporary[path].replace(path)
            crash_point("file.renamed")
        if at_once:
            os.sync()
        else:
            for folder in dict.fromkeys(path.parent for path in contents):
                flush_folder(folder)
    except OSError as error:
        for leftover in temporary.values():
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
        raise _storage_error(error, path, sum(map(len, contents.values()))) from None


def _new_file(path: Path) -> IO[bytes]:
    """A file that was not there: a link that somebody laid under its name is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileExistsError:  # left by a process of this number that died, or laid there
        path.unlink()
        descriptor = os.open(path, flags, 0o666)
    return os.fdopen(descriptor, "wb")


def set_aside(path: Path) -> Path | None:
    """Gives a damaged file the name ``<name>.corrupt-<n>``, with the first number that is free; see :func:`free_name`.

    Returns:
        Where it is now; None when there was no such file.

    Raises:
        StorageError: The folder cannot be written.
    """
    if not path.exists():
        return None
    kept = free_name(path)
    try:
        path.replace(kept)
        flush_folder(path.parent)
    except OSError as error:
        raise _storage_error(error, path, 0) from None
    return kept


def free_name(path: Path) -> Path:
    """The name under which a damaged file is kept beside the one that takes its place."""
    names = (path.with_name(f"{path.name}.corrupt-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def make_folders(folders: Sequence[Path]) -> None:
    """Makes folders, some of which may be there, so that they outlast a loss of power.

    Raises:
        DiskFullError: There is no room.
        StorageError: They cannot be made.
    """
    folder = Path()
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for parent in dict.fromkeys(folder.absolute().parent for folder in folders):
            flush_folder(parent)
    except OSError as error:
        raise _storage_error(error, folder, 4096) from None


def _storage_error(error: OSError, path: Path, size: int) -> StorageError:
    if error.errno in DISK_IS_FULL:
        return DiskFullError(f"{path}: no room for {size} bytes")
    return StorageError(f"{path}: cannot be written: {error.strerror}")


def flush_folder(folder: Path) -> None:
    """Makes names that were made or changed in ``folder`` last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(folder: Path) -> list[Path]:
    """The temporary files, there and up to two folders below, of writers that died in the middle of writing."""
    patterns = (".*.tmp", "*/.*.tmp", "*/*/.*.tmp")
    found = [path for pattern in patterns for path in folder.glob(pattern) if is_temporary(path.name)]
    return [path for path in found if not _is_alive(path.name.split(".")[-2])]


def is_temporary(name: str) -> bool:
    """Whether a name is one that :func:`write_together` gives: ``.<name>.<number of the process>.tmp``."""
    return re.fullmatch(r"\..+\.\d+\.tmp", name) is not None


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def file_system(path: Path, mounts: str | None = None) -> str:
    """The type of the file system that a path lies on, e.g. ``ext4``; empty where the system does not tell.

    Args:
        path: Anything, there or not.
        mounts: The text of ``/proc/mounts``.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
    place, found = path.resolve(), ("", "")
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        # Of several mounts on one point, the last one is on top.
        if place.is_relative_to(point) and len(point) >= len(found[0]):
            found = point, kind
    return found[1].removeprefix("fuse.")
