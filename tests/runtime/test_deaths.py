"""Who is to blame for the death of a worker, on every case of the table; and where the system's numbers come from."""

import signal

import pytest

from netwright.runtime import memory
from netwright.runtime.deaths import Cause, Death, judge, must_run_alone
from netwright.trial import FailureKind

GIB = 2**30
KILLED = Death(exit_code=-signal.SIGKILL)
CRASHED = Death(exit_code=-signal.SIGSEGV)
SMALL = Death(exit_code=-signal.SIGKILL, killed_for_memory=True, peak=2 * GIB)
LARGE = Death(exit_code=-signal.SIGKILL, killed_for_memory=True, peak=7 * GIB)
ALONE = Death(exit_code=-signal.SIGKILL, killed_for_memory=True, peak=2 * GIB, alone=True)


@pytest.mark.parametrize(
    ("exit_code", "killed_for_memory", "cause"),
    [
        (-signal.SIGKILL, False, Cause.KILLED),
        (-signal.SIGTERM, False, Cause.KILLED),
        (-signal.SIGKILL, True, Cause.OUT_OF_MEMORY),
        (-signal.SIGTERM, True, Cause.KILLED),
        (-signal.SIGSEGV, False, Cause.CRASHED),
        (-signal.SIGSEGV, True, Cause.CRASHED),
        (-signal.SIGBUS, False, Cause.CRASHED),
        (-signal.SIGABRT, False, Cause.CRASHED),
        (0, False, Cause.CRASHED),
        (3, False, Cause.CRASHED),
    ],
)
def test_the_cause_of_a_death(exit_code, killed_for_memory, cause):
    assert Death(exit_code=exit_code, killed_for_memory=killed_for_memory).cause is cause


@pytest.mark.parametrize(
    ("deaths", "kind"),
    [
        ([KILLED], None),
        ([KILLED, KILLED], None),
        ([KILLED, KILLED, KILLED], FailureKind.LOST),
        ([CRASHED], None),
        ([CRASHED, CRASHED], FailureKind.ERROR),
        ([CRASHED, KILLED], None),
        ([CRASHED, KILLED, CRASHED], FailureKind.ERROR),
        ([CRASHED, KILLED, KILLED], FailureKind.LOST),
        ([LARGE], FailureKind.OUT_OF_MEMORY),
        ([KILLED, LARGE], FailureKind.OUT_OF_MEMORY),
        ([SMALL], None),
        ([ALONE], None),
        ([SMALL, ALONE], FailureKind.OUT_OF_MEMORY),
        ([ALONE, ALONE], FailureKind.OUT_OF_MEMORY),
    ],
)
def test_the_verdict(deaths, kind):
    """Tried: with every death counted alike, five of these fail."""
    verdict = judge(deaths, available=8 * GIB, retries=2)
    assert (verdict and verdict.kind) == kind


def test_memory_that_nobody_tells_of_is_tried_again_alone():
    assert judge([LARGE], available=None, retries=2) is None
    assert must_run_alone([LARGE])
    assert judge([LARGE, ALONE], available=None, retries=2).kind is FailureKind.OUT_OF_MEMORY
    assert not must_run_alone([KILLED, CRASHED])


def test_the_message_names_what_was_held_and_the_settings_that_help():
    message = judge([LARGE], available=8 * GIB, retries=2).message
    for text in ("7168 MiB of 8192 MiB", "search.child_memory_mb", "child.max_parameters", "child.batch_size"):
        assert text in message


@pytest.mark.parametrize(
    "text", ["oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\n"]
)
def test_the_kernels_counter_is_read_in_both_versions(tmp_path, text):
    (tmp_path / "counter").write_text(text)
    assert memory._oom_kills(tmp_path / "counter") == 3
    assert memory._oom_kills(tmp_path / "not there") == 0


def test_the_smallest_limit_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_control_groups", lambda: [tmp_path])
    whole = memory.available_bytes()
    assert whole > 2**28
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() == whole
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    assert memory.available_bytes() == 2**28


def test_what_a_process_holds():
    import os

    assert memory.resident_bytes(os.getpid()) > 2**20
    assert memory.resident_bytes(2**30) == 0
