"""Memory of children: how often the kernel killed for it, and a limit on what one may take."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netwright.machine import control_groups, give_back_freed_memory

MIB = 2**20


def kills_for_memory() -> int:
    """How many processes the kernel has killed for memory so far, here and on the whole machine.

    Only a change of this number means anything.
    """
    counters = [Path("/proc/vmstat")]
    counters += [
        folder / name for folder in control_groups("memory") for name in ("memory.events", "memory.oom_control")
    ]
    return sum(_oom_kills(path) for path in counters)


def _oom_kills(path: Path) -> int:
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


@contextmanager
def memory_limit(mib: int | None) -> Iterator[None]:
    """Lets this process take so much private memory beyond what it has; an allocation beyond that fails.

    Shared memory does not count, nor do libraries. Linux only; elsewhere nothing is limited.

    Args:
        mib: In MiB; None limits nothing.
    """
    if mib is not None:
        give_back_freed_memory()  # what an earlier child left is no room beyond the limit
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
