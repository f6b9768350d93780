"""What the machine gives this process: memory and processor cores, as control groups, limits and affinity leave them.

The one place that asks; a container or a scheduler gives less than the machine has, and whoever counts on more is
killed or waits. And the one place that tells the system how this process wants to hold memory.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""

OTHER_LIBRARY = (OSError, TypeError, AttributeError)
"""What asking for a function of GNU's C library ends in where there is another."""

HEAP_SETTINGS = {-3: 32 << 20, -1: 256 << 20}
"""Of GNU's C library, in bytes: ``M_MMAP_THRESHOLD``, from which on a block is mapped by itself (no more is allowed),
and ``M_TRIM_THRESHOLD``, the free memory at the heap's end from which on it goes back to the system."""


def available_bytes() -> int | None:
    """The most that processes here may hold together: of the machine, or of the container; None if nobody tells."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for folder in control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max": no limit
                limits.append(int((folder / name).read_text()))
    return min(limits, default=None)


def resident_bytes(pid: int | str = "self") -> int:
    """What a process holds in memory now; 0 where the system does not tell, or the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


@cache
def keep_freed_memory() -> None:
    """Lets what this process frees serve it again; where the C library is not GNU's, nothing.

    A training step makes and drops some megabytes again and again. As it comes, the library gives them back each time,
    and the system clears each page anew when it is next written: several percent of a small child's training.
    """
    with suppress(*OTHER_LIBRARY):
        mallopt = ctypes.CDLL(None).mallopt
        for setting, size in HEAP_SETTINGS.items():
            mallopt(setting, size)


def give_back_freed_memory() -> None:
    """Gives the system what :func:`keep_freed_memory` keeps."""
    with suppress(*OTHER_LIBRARY):
        ctypes.CDLL(None).malloc_trim(0)


def waited_seconds(pid: int | str = "self") -> float | None:
    """How long a process was ready to compute and had no core, since it began; None where the system does not tell.

    Of its main thread, which waits for all others in the end.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def cores() -> int:
    """Processor cores that this process may use: by its affinity, and by the quota of its container, rounded up."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for folder in control_groups("cpu") if (quota := _quota(folder)) is not None]
    return max(min([known, *quotas]), 1)


def _quota(group: Path) -> float | None:
    """Cores' worth of time that a control group gives; None where it does not limit it."""
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()  # "max 100000": no limit
        return int(quota) / int(period)
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def control_groups(controller: str) -> list[Path]:
    """The folders of this process's control group and of those above it, of version 1 and 2.

    Args:
        controller: ``memory`` or ``cpu``.
    """
    found: list[Path] = []
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                roots = [CONTROL_GROUPS, CONTROL_GROUPS / "unified"]
            elif controller in controllers.split(","):
                roots = [CONTROL_GROUPS / controllers, CONTROL_GROUPS / controller]
            else:
                continue
            for root in roots:
                found += _upwards(root, path)
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """A group and those above it; in a container the path may be the host's, and only the root be there."""
    group = root / path.lstrip("/")
    yield group
    yield from (parent for parent in group.parents if parent.is_relative_to(root))
