"""What the machine gives this process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from netwright.machine import give_back_freed_memory, keep_freed_memory

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
import ctypes
from netwright.machine import give_back_freed_memory, keep_freed_memory
from netwright.runtime.memory import _private_bytes

keep_freed_memory()
before = _private_bytes()
blocks = [ctypes.create_string_buffer(1 << 20) for _ in range(100)]
del blocks
kept = _private_bytes()
give_back_freed_memory()
print((kept - before) >> 20, (_private_bytes() - before) >> 20)
"""


@gnu
def test_what_is_kept_can_be_given_back() -> None:
    """Else a child that may take so much would have what the one before it left beside that."""
    done = subprocess.run([sys.executable, "-c", HEAP], check=True, capture_output=True, text=True)
    kept, left = map(int, done.stdout.split())
    assert kept >= 100
    assert left < 10


def test_where_there_is_another_library_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str | None) -> object:
        raise OSError("no such library")

    monkeypatch.setattr("ctypes.CDLL", without)
    keep_freed_memory.__wrapped__()
    give_back_freed_memory()
