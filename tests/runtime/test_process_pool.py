"""Worker processes: whatever a child does, or has done to it, costs that child at the most."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from netwright.errors import NetwrightError
from netwright.runtime import process_pool
from netwright.runtime.process_pool import ProcessPool
from netwright.testing.executors import ExecutorContract, Obedient, job, wait_for
from netwright.trial import Evaluation, Failure, FailureKind

sys.path.insert(0, os.path.dirname(__file__))  # where spawned workers find them, too
from misbehaving import Misbehaving, Unstartable


class TestProcessPoolKeepsTheContract(ExecutorContract):
    def make(self, evaluator):
        return ProcessPool([evaluator] * 2)


@contextlib.contextmanager
def pool_of(evaluator, workers=1, **options):
    pool = ProcessPool([evaluator] * workers, **options)
    try:
        yield pool
    finally:
        pool.close()


def gone(pid, within=10.0):
    """Whether a process has ended, zombies included."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def wait_until(condition, within=30.0):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)


def test_epochs_and_threads_and_workers(tmp_path):
    told = []
    with pool_of(Misbehaving(tmp_path), 2, threads=3, on_epoch=lambda *what: told.append(what)) as pool:
        for number in range(4):
            pool.submit(job(number, "count threads"))
        outcomes = wait_for(pool)
    assert {outcome.result.valid for outcome in outcomes.values()} == {3}
    assert {outcome.worker for outcome in outcomes.values()} <= {0, 1}
    assert sorted(told) == [(number, 1, 0.5) for number in range(4)]


def test_a_worker_killed_from_outside_repeats_its_trial_with_the_same_seed(tmp_path):
    with pool_of(Misbehaving(tmp_path)) as pool:
        pool.submit(job(0))
        expected = wait_for(pool)[0].result.valid
        pool.submit(job(0, "wait once"))
        (victim,) = pool.pids
        # The child says that it has begun by making a file; the killed one leaves it, so the second run goes through.
        _kill_when(tmp_path / "begun-0", victim)
        result = wait_for(pool)[0].result
        assert isinstance(result, Evaluation)
        assert result.valid == expected
        assert pool.pids != [victim]
    assert gone(victim)


def _kill_when(path, pid):
    wait_until(path.exists)
    os.kill(pid, signal.SIGKILL)


def test_a_trial_whose_worker_is_killed_again_and_again_is_lost():
    with pool_of(Obedient(), retries=1) as pool:
        pool.submit(job(0, "die"))
        failure = wait_for(pool)[0].result
        assert isinstance(failure, Failure)
        assert failure.kind is FailureKind.LOST
        assert "2 times" in failure.message
        assert "-9" in failure.message
        pool.submit(job(1))
        assert isinstance(wait_for(pool)[1].result, Evaluation)


def test_an_idle_worker_killed_from_outside_is_replaced(tmp_path):
    """As at the end of a batch, when one worker waits for another: no trial is concerned, so none may fail."""
    with pool_of(Misbehaving(tmp_path), 2) as pool:
        for number in range(2):
            pool.submit(job(number))
        wait_for(pool)
        pool.submit(job(2, "nap"))
        idle = pool.pids[1]
        os.kill(idle, signal.SIGKILL)
        assert isinstance(wait_for(pool)[2].result, Evaluation)
        assert idle not in pool.pids
        for number in range(3, 5):
            pool.submit(job(number))
        assert all(isinstance(outcome.result, Evaluation) for outcome in wait_for(pool).values())


def test_workers_that_cannot_start_end_the_search_at_once():
    """Their traceback is on stderr; three deaths for each of all trials would bury it."""
    with pool_of(Unstartable()) as pool:
        pool.submit(job(0))
        with pytest.raises(NetwrightError, match="cannot start"):
            wait_for(pool)


def test_children_that_hang_are_ended_with_all_that_they_started(tmp_path, monkeypatch):
    """The limit is far below what a worker takes to start, which is not part of a child's time."""
    monkeypatch.setattr(process_pool, "TICK", 0.05)
    monkeypatch.setattr(process_pool, "GRACE", 0.3)
    orders = ("sleep", "ignore the request to end", "start a grandchild")
    with pool_of(Misbehaving(tmp_path), 3, seconds=0.5) as pool:
        pids = pool.pids
        for number, do in enumerate(orders):
            pool.submit(job(number, do))
        outcomes = wait_for(pool)
        for number in range(3):
            failure = outcomes[number].result
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.TIMEOUT
            assert "search.child_seconds" in failure.message
        assert all(gone(pid) for pid in pids)
        (grandchild,) = tmp_path.glob("grandchild-*")
        assert gone(int(grandchild.read_text()))
        pool.submit(job(3))
        assert isinstance(wait_for(pool)[3].result, Evaluation)


def test_a_pause_of_the_driver_does_not_count(monkeypatch):
    """A laptop that sleeps for an hour, by a clock that jumps between two looks at it."""
    with pool_of(Obedient(), seconds=30.0) as pool:
        pool.submit(job(0))
        wait_for(pool)  # the worker runs
        real, offset = time.monotonic, iter([0.0, 0.0, 3600.0, 3600.0])
        ahead = 0.0

        def jumping():
            nonlocal ahead
            ahead = next(offset, ahead)
            return real() + ahead

        monkeypatch.setattr(process_pool.time, "monotonic", jumping)
        pool.submit(job(1))
        while pool.busy:
            for outcome in pool.wait():
                assert isinstance(outcome.result, Evaluation)


def test_no_process_is_left_after_closing():
    pool = ProcessPool([Obedient()] * 2)
    pids = pool.pids
    pool.submit(job(0, "sleep"))
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 5
    assert all(gone(pid) for pid in pids)


DRIVER = """
    import os, sys, time
    from netwright.runtime.process_pool import ProcessPool
    from netwright.testing.executors import Obedient, job

    if __name__ == "__main__":
        pool = ProcessPool([Obedient()] * 2)
        if "warm" in sys.argv:
            pool.submit(job(0)); pool.submit(job(1))
            while pool.busy: pool.wait()
        pool.submit(job(2, "sleep"))
        print(*pool.pids, flush=True)
        try:
            while True: pool.wait()
        except KeyboardInterrupt:
            time.sleep(1)  # to die of it, if they heard it
            print("workers alive:", sum(worker.process.is_alive() for worker in pool._workers), flush=True)
            pool.close()
"""


def driver(tmp_path, *arguments):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    process = subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    return process, [int(pid) for pid in process.stdout.readline().split()]


@pytest.mark.parametrize("state", [pytest.param("cold", marks=pytest.mark.slow), "warm"])
def test_no_process_is_left_after_the_drivers_death(tmp_path, state):
    process, pids = driver(tmp_path, state)
    assert len(pids) == 2
    process.kill()
    process.communicate()
    assert all(gone(pid, within=20) for pid in pids)


@pytest.mark.parametrize("state", ["cold", pytest.param("warm", marks=pytest.mark.slow)])
def test_ctrl_c_reaches_the_driver_alone(tmp_path, state):
    """A terminal sends it to the whole group; ``cold``: while the workers still import, before they leave the group."""
    process, pids = driver(tmp_path, state)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "workers alive: 2" in out
    assert err == ""
    assert process.returncode == 0
    assert all(gone(pid) for pid in pids)


@pytest.mark.slow
def test_two_hundred_children_leave_no_descriptors_behind():
    with pool_of(Obedient(), 2) as pool:
        counts = []
        for start in (0, 100):
            for number in range(start, start + 100):
                pool.submit(job(number))
            wait_for(pool)
            counts.append(psutil.Process().num_fds())
    assert counts[0] == counts[1]
