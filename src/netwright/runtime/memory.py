"""What the system says of memory: how much a process holds, how much there is, how often the kernel killed for it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 2**20


def resident_bytes(pid: int) -> int:
    """What a process holds in memory now; 0 where the system does not tell, or the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def available_bytes() -> int | None:
    """The most that processes here may hold together: of the machine, or of the container; None if nobody tells."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for folder in _control_groups():
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max": no limit
                limits.append(int((folder / name).read_text()))
    return min(limits, default=None)


def kills_for_memory() -> int:
    """How many processes the kernel has killed for memory so far, here and on the whole machine.

    Only a change of this number means anything.
    """
    counters = [Path("/proc/vmstat")]
    counters += [folder / name for folder in _control_groups() for name in ("memory.events", "memory.oom_control")]
    return sum(_oom_kills(path) for path in counters)


def _oom_kills(path: Path) -> int:
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


def _control_groups() -> list[Path]:
    """The folders of this process's memory control group, of version 1 and 2."""
    found = []
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                roots = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
            elif "memory" in controllers.split(","):
                roots = [Path("/sys/fs/cgroup/memory")]
            else:
                continue
            # In a container the path may be the host's, and what is mounted the container's own.
            found += [root / path.lstrip("/") for root in roots] + roots
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]


@contextmanager
def memory_limit(mib: int | None) -> Iterator[None]:
    """Lets this process take so much private memory beyond what it has; an allocation beyond that fails.

    Shared memory does not count, nor do libraries. Linux only; elsewhere nothing is limited.

    Args:
        mib: In MiB; None limits nothing.
    """
    now = _private_bytes()
    if mib is None or now is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now + mib * MIB, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _private_bytes() -> int | None:
    """What the kernel counts against RLIMIT_DATA."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return None
