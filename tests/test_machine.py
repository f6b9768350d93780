"""What the machine gives this process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from netwright.machine import OTHER_LIBRARY, give_back_freed_memory, keep_freed_memory

gnu = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")

STEPS = """
import resource, sys
import torch
from netwright.machine import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()

def step():
    return [torch.ones(size << 16) for size in range(1, 24)]

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@gnu
def test_memory_that_a_step_frees_serves_the_next() -> None:
    """Page faults of steps that take and free some megabytes, each of 256 pages."""
    kept, as_it_comes = (
        int(subprocess.run([sys.executable, "-c", STEPS, way], check=True, capture_output=True, text=True).stdout)
        for way in ("kept", "")
    )
    assert as_it_comes > 10_000
    assert kept < as_it_comes / 10


HEAP = """
import ctypes, resource
from netwright.machine import keep_freed_memory
from netwright.runtime.memory import _private_bytes, memory_limit

keep_freed_memory()
before = _private_bytes()
blocks = [ctypes.create_string_buffer(1 << 20) for _ in range(100)]
del blocks
print((_private_bytes() - before) >> 20)
with memory_limit(50):
    print((resource.getrlimit(resource.RLIMIT_DATA)[0] - before) >> 20)
"""


@gnu
def test_what_is_kept_is_no_room_beyond_the_limit_of_the_next_child() -> None:
    done = subprocess.run([sys.executable, "-c", HEAP], check=True, capture_output=True, text=True)
    kept, limit = map(int, done.stdout.split())
    assert kept >= 100
    assert 45 < limit < 60


@pytest.mark.parametrize("error", OTHER_LIBRARY)
def test_where_there_is_another_library_nothing_happens(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str | None) -> object:
        raise error("no such library, or no such function")

    monkeypatch.setattr("ctypes.CDLL", without)
    keep_freed_memory.__wrapped__()
    give_back_freed_memory()
