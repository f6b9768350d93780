"""Worker processes: whatever a child does, or has done to it, costs that child at the most."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing.popen_spawn_posix import Popen
from pathlib import Path

import psutil
import pytest

from helpers.misbehaving import Deadly, Misbehaving, SlowToLoad, Unstartable, WarmsUp
from netwright.errors import NetwrightError
from netwright.interrupts import listen
from netwright.runtime import worker
from netwright.runtime.process_pool import ProcessPool
from netwright.runtime.worker import Worker
from netwright.testing.executors import ExecutorContract, Obedient, job, wait_for
from netwright.trial import Evaluation, Failure, FailureKind


class TestProcessPoolKeepsTheContract(ExecutorContract):
    def make(self, evaluator, limits):
        return ProcessPool(
            [evaluator] * 2,
            seconds=limits.seconds,
            memory_mb=limits.memory_mb,
            on_epoch=limits.on_epoch,
            retries=limits.retries,
        )


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


@pytest.mark.parametrize("threads", [1, 2])
def test_epochs_and_threads_and_workers(tmp_path, threads):
    """The child loads PyTorch itself, and finds as many threads as it was given."""
    told = []
    with pool_of(Misbehaving(tmp_path), 2, threads=threads, on_epoch=lambda *what: told.append(what)) as pool:
        for number in range(4):
            pool.submit(job(number, "count threads"))
        outcomes = wait_for(pool)
    assert {outcome.result.valid for outcome in outcomes.values()} == {threads}
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
    """The limit is far below what a worker takes to start, which is not part of a child's time.

    Tried: without the end of the whole group, the grandchild lives on; without the countdown, nothing ends.
    """
    monkeypatch.setattr(worker, "TICK", 0.05)
    monkeypatch.setattr(worker, "GRACE", 0.3)
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

        monkeypatch.setattr(worker.time, "monotonic", jumping)
        pool.submit(job(1))
        while pool.busy:
            for outcome in pool.wait():
                assert isinstance(outcome.result, Evaluation)


def only_failure(pool, number=0):
    failure = wait_for(pool)[number].result
    assert isinstance(failure, Failure)
    return failure


def test_a_crash_is_tried_again_once_and_then_the_architectures_fault(tmp_path):
    """Tried: with crashes taken for kills from outside, the failure is ``LOST`` and comes a run later."""
    with pool_of(Misbehaving(tmp_path)) as pool:
        pool.submit(job(0, "segfault"))
        failure = only_failure(pool)
        assert failure.kind is FailureKind.ERROR
        assert failure.message == "its process died twice: crashed (SIGSEGV); then crashed (SIGSEGV)"
        pool.submit(job(1, "exit at once"))
        failure = only_failure(pool, 1)
        assert failure.kind is FailureKind.ERROR
        assert "(exit code 3); then" in failure.message
        pool.submit(job(2, "segfault once"))
        assert isinstance(wait_for(pool)[2].result, Evaluation)


def test_a_grandchild_that_holds_the_pipe_open_does_not_hide_the_workers_death(tmp_path):
    """Tried: without ending the group before its messages are read, the job hangs until its time is over."""
    with pool_of(Misbehaving(tmp_path), retries=0, seconds=60) as pool:
        pool.submit(job(0, "fork a grandchild and die"))
        started = time.monotonic()
        assert only_failure(pool).kind is FailureKind.LOST
        assert time.monotonic() - started < 20
        (grandchild,) = tmp_path.glob("grandchild-*")
        assert gone(int(grandchild.read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA of Linux")
def test_what_an_evaluator_loads_once_is_no_memory_of_its_first_child():
    """Such as a compiler of kernels. Tried: within the first child, its limit is too small for that."""
    with pool_of(WarmsUp(200), memory_mb=100, threads=1) as pool:
        for number in range(2):
            pool.submit(job(number, "nothing"))
        outcomes = wait_for(pool)
    assert [outcomes[n].result for n in range(2)] == [Evaluation(valid=1.0, metrics={"threads": 1})] * 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA of Linux")
@pytest.mark.parametrize("do", ["allocate", "allocate with torch"])
def test_a_child_that_takes_more_memory_than_allowed_fails_alone_and_is_told_the_limit(tmp_path, do):
    """Whoever asks for it: numpy, or PyTorch, which has an error of its own; its import is the child's, too.

    Tried: without the limit, the child is well.
    """
    with pool_of(Misbehaving(tmp_path), memory_mb=500) as pool:
        pool.submit(job(0, do, mib=800, seconds="0"))
        pool.submit(job(1, do, mib=100, seconds="0"))
        outcomes = wait_for(pool)
    failure = outcomes[0].result
    assert isinstance(failure, Failure), failure
    assert failure.kind is FailureKind.OUT_OF_MEMORY
    assert "search.child_memory_mb = 500 MiB" in failure.message
    assert isinstance(outcomes[1].result, Evaluation), outcomes[1].result


CONTROL_GROUPS = Path("/sys/fs/cgroup/memory")
IN_A_CONTROL_GROUP = """
    import sys
    from pathlib import Path

    from helpers.misbehaving import Misbehaving
    from netwright.runtime.process_pool import ProcessPool
    from netwright.testing.executors import job, wait_for

    if __name__ == "__main__":
        pool = ProcessPool([Misbehaving(sys.argv[1])] * 2)
        (Path(sys.argv[2]) / "cgroup.procs").write_text(str(__import__("os").getpid()))
        for pid in pool.pids:
            (Path(sys.argv[2]) / "cgroup.procs").write_text(str(pid))
        for number, mib in enumerate(map(int, sys.argv[3:])):
            pool.submit(job(number, "allocate bit by bit", mib=mib))
        for number, outcome in sorted(wait_for(pool).items()):
            print(number, getattr(outcome.result, "kind", "complete"), flush=True)
        pool.close()
"""


@pytest.fixture
def small_memory():
    """A control group of 400 MiB without swap; for root, with version 1 of them."""
    group = CONTROL_GROUPS / f"netwright-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(400 * 2**20))
        with contextlib.suppress(OSError):  # where swap is not counted
            (group / "memory.memsw.limit_in_bytes").write_text(str(400 * 2**20))
    except OSError:
        pytest.skip("needs the right to make control groups of version 1")
    yield group
    deadline = time.monotonic() + 10
    while True:
        try:
            return group.rmdir()
        except OSError:  # the last process has not quite left
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "kinds"),
    [
        pytest.param((600, 8), ("out_of_memory", "complete"), id="one that never fits"),
        pytest.param((220, 220), ("complete", "complete"), id="two that fit one after the other"),
    ],
)
def test_the_kernel_kills_for_want_of_memory_and_the_right_one_is_blamed(tmp_path, small_memory, sizes, kinds):
    """The kernel's own killer, in a control group that is too small.

    Tried: without the kernel's counter, the one that never fits is ``LOST`` and the controller never hears of it.
    """
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(IN_A_CONTROL_GROUP))
    done = subprocess.run(
        [sys.executable, script, tmp_path, small_memory, *map(str, sizes)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{number} {kind}" for number, kind in enumerate(kinds)]


@pytest.mark.slow
def test_a_job_for_which_memory_was_short_runs_again_with_no_other_beside_it(tmp_path, monkeypatch):
    """A kill that is taken for the kernel's; the spans of all jobs are by the one monotonic clock.

    Tried: with every job handed out as soon as a worker is idle, two spans overlap.
    """
    monkeypatch.setattr(Worker, "killed_for_memory", True)
    with pool_of(Misbehaving(tmp_path), 2) as pool:
        for number in range(6):
            pool.submit(job(number, "die once, then take a while" if number in (0, 3) else "take a while"))
        outcomes = wait_for(pool)
    assert all(isinstance(outcome.result, Evaluation) for outcome in outcomes.values())
    spans = [tuple(map(float, (tmp_path / f"span-{number}").read_text().split())) for number in range(6)]
    for alone in (0, 3):
        others = [span for number, span in enumerate(spans) if number != alone]
        assert all(end <= spans[alone][0] or spans[alone][1] <= began for began, end in others)


@pytest.mark.slow
def test_a_start_that_takes_too_long_is_tried_again(tmp_path, monkeypatch):
    """Tried: without a limit on the start, the job waits forever."""
    monkeypatch.setattr(worker, "TICK", 0.1)
    with pool_of(SlowToLoad(str(tmp_path)), start_seconds=3) as pool:
        (first,) = pool.pids
        pool.submit(job(0))
        assert isinstance(wait_for(pool)[0].result, Evaluation)
        assert gone(first)


@pytest.mark.parametrize("evaluator", [SlowToLoad(), Deadly()], ids=["hangs", "is killed"])
def test_workers_that_never_start_end_the_search_with_the_reason(monkeypatch, evaluator):
    """Tried: without the count, workers are started until somebody stops it."""
    monkeypatch.setattr(worker, "TICK", 0.1)
    monkeypatch.setattr(worker, "GRACE", 0.1)
    with pool_of(evaluator, start_seconds=0.5) as pool:
        pool.submit(job(0))
        with pytest.raises(NetwrightError, match=r"worker 0 cannot start: .*, and 2 others before it"):
            wait_for(pool)


def test_what_children_print_is_not_on_standard_output(tmp_path):
    """``netwright search --json | jq`` must get the summary only.

    Tried: without the redirection, both are there.
    """
    code = (
        "from helpers.misbehaving import Misbehaving\nfrom netwright.runtime.process_pool import ProcessPool\n"
        "from netwright.testing.executors import job, wait_for\n"
        f"if __name__ == '__main__':\n    pool = ProcessPool([Misbehaving({str(tmp_path)!r})])\n"
        "    pool.submit(job(0, 'print'))\n    wait_for(pool)\n    pool.close()\n    print('mine')\n"
    )
    (tmp_path / "driver.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "driver.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "mine\n"
    assert "directly" in done.stderr
    assert len(done.stderr) >= 1_000_000


PAUSED = """
    import sys
    from helpers.misbehaving import Misbehaving
    from netwright.runtime.process_pool import ProcessPool
    from netwright.testing.executors import job, wait_for

    if __name__ == "__main__":
        pool = ProcessPool([Misbehaving(sys.argv[1])], seconds=4.0)
        print(*pool.pids, flush=True)
        pool.submit(job(0, "work", seconds="1.0"))
        print(type(wait_for(pool)[0].result).__name__, flush=True)
        pool.close()
"""


@pytest.mark.slow
def test_a_machine_that_sleeps_costs_no_child_its_time(tmp_path):
    """Driver and child stopped for longer than the child may take (SIGSTOP, SIGCONT), with a second of work to do.

    Tried: with all the time that passed taken off, it is a ``TIMEOUT``.
    """
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(PAUSED))
    process = subprocess.Popen([sys.executable, script, tmp_path], stdout=subprocess.PIPE, text=True)
    pids = [process.pid, *map(int, process.stdout.readline().split())]
    wait_until((tmp_path / "working-0").exists)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert process.communicate(timeout=30)[0] == "Evaluation\n"


def test_no_process_is_left_after_closing():
    """Tried: with workers that are not killed, it fails."""
    pool = ProcessPool([Obedient()] * 2)
    pids = pool.pids
    pool.submit(job(0, "sleep"))
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 5
    assert all(gone(pid) for pid in pids)


def test_a_second_ctrl_c_while_it_closes_leaves_no_process(monkeypatch):
    """It comes as the first worker is waited for.

    Tried: with each worker killed only when it is its turn to be waited for, the second one lives on.
    """

    def interrupted(worker):
        raise KeyboardInterrupt

    pool = ProcessPool([Obedient()] * 2)
    pool.submit(job(0, "sleep"))
    with monkeypatch.context() as patched:
        patched.setattr(Worker, "end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.close()
    assert all(gone(pid) for pid in pool.pids)
    pool.close()


@pytest.mark.parametrize("listening", [True, False], ids=["a program", "a script"])
@pytest.mark.parametrize("logs", [True, False])
def test_ctrl_c_in_the_middle_of_a_workers_start_leaves_no_process(tmp_path, monkeypatch, own_signals, listening, logs):
    """It comes when the process is there and nobody has noted it; one that is forgotten would be waited for, for ever.

    Tried: without ``held_back`` in the pool, the process lives on.
    """
    pids, launch = [], Popen._launch

    def interrupted(self, process):
        launch(self, process)
        pids.append(self.pid)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    monkeypatch.setattr(Popen, "_launch", interrupted)
    if listening:
        listen()
    with pytest.raises(KeyboardInterrupt) as caught:  # whose frames keep the pipe open, as a notebook does
        ProcessPool([Obedient()] * 2, logs=tmp_path if logs else None)
    assert len(pids) == 1
    assert gone(pids[0])
    assert caught.tb is not None


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
    """Tried: without the thread that waits for the parent, the busy worker lives on."""
    process, pids = driver(tmp_path, state)
    assert len(pids) == 2
    process.kill()
    # Before the pipes end, for which the busy one would keep us waiting.
    assert all(gone(pid, within=20) for pid in pids)
    process.communicate()


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
