"""Who is to blame for the death of a worker, on every case of the table; and where the system's numbers come from."""

import signal

import pytest

from netwright import machine
from netwright.runtime import memory
from netwright.runtime.attempts import Attempts, Cause, Death, death_of_process
from netwright.testing.executors import job
from netwright.trial import FailureKind

GIB = 2**30
KILLED = Death(cause=Cause.KILLED, detail="SIGKILL", available=8 * GIB)
CRASHED = Death(cause=Cause.CRASHED, detail="SIGSEGV", available=8 * GIB)
SMALL = Death(cause=Cause.OUT_OF_MEMORY, held=2 * GIB, available=8 * GIB)
LARGE = Death(cause=Cause.OUT_OF_MEMORY, held=7 * GIB, available=8 * GIB)
ALONE = "with no other beside it"
GONE = Death(cause=Cause.ANNOUNCED)


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
    assert death_of_process(exit_code, killed_for_memory=killed_for_memory).cause is cause


def verdicts(attempts, deaths):
    """What is said after each death of a job; ``(death, ALONE)`` is one with no other job beside it."""
    told = []
    for one in deaths:
        death, alone = (one[0], True) if isinstance(one, tuple) else (one, False)
        failure = attempts.note(job(0), death, alone=alone)
        told.append(failure and failure.kind)
    return told


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
        ([(SMALL, ALONE)], None),
        ([SMALL, (SMALL, ALONE)], FailureKind.OUT_OF_MEMORY),
        ([(SMALL, ALONE), (SMALL, ALONE)], FailureKind.OUT_OF_MEMORY),
        ([GONE] * 20, None),
        ([KILLED, GONE, KILLED, GONE], None),
        ([KILLED, GONE, KILLED, KILLED], FailureKind.LOST),
        ([CRASHED, GONE, CRASHED], FailureKind.ERROR),
    ],
)
def test_the_verdict(deaths, kind):
    """Tried: with every death counted alike, seven of these fail; with announced ones counted, four."""
    *before, last = verdicts(Attempts(retries=2), deaths)
    assert before == [None] * len(before)
    assert last == kind


def test_what_has_ended_is_forgotten():
    """Tried: without ``forget``, or without it after a verdict, the next run of a job with this number is blamed."""
    attempts = Attempts(retries=2)
    assert verdicts(attempts, [CRASHED, CRASHED, CRASHED]) == [None, FailureKind.ERROR, None]
    attempts.forget(0)
    assert verdicts(attempts, [CRASHED]) == [None]


def test_memory_that_nobody_tells_of_is_tried_again_alone():
    """As of Ray's memory monitor, and outside Linux."""
    unknown = Death(cause=Cause.OUT_OF_MEMORY)
    attempts = Attempts(retries=2)
    assert attempts.note(job(0), unknown, alone=False) is None
    assert attempts.must_run_alone(job(0))
    assert not attempts.must_run_alone(job(1))
    failure = attempts.note(job(0), unknown, alone=True)
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert "it held an unknown amount, with no other child beside it" in failure.message
    assert not attempts.must_run_alone(job(0))
    verdicts(attempts, [KILLED, CRASHED])
    assert not attempts.must_run_alone(job(0))


def test_a_job_that_must_run_alone_begins_beside_no_other_and_no_other_beside_it():
    attempts = Attempts(retries=2)
    assert attempts.may_begin(job(0), [job(1), job(2)])
    attempts.note(job(0), SMALL, alone=False)
    assert attempts.may_begin(job(0), [])
    assert not attempts.may_begin(job(0), [job(1)])
    assert not attempts.may_begin(job(1), [job(2), job(0)])
    assert attempts.may_begin(job(1), [job(2)])


def test_the_message_names_what_was_held_and_the_settings_that_help():
    message = Attempts(retries=2).note(job(0), LARGE, alone=False).message
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
    monkeypatch.setattr(machine, "control_groups", lambda controller: [tmp_path])
    whole = machine.available_bytes()
    assert whole > 2**28
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_bytes() == whole
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    assert machine.available_bytes() == 2**28


def test_what_a_process_holds():
    import os

    assert machine.resident_bytes(os.getpid()) > 2**20
    assert machine.resident_bytes(2**30) == 0
