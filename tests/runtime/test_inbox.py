"""What comes through a worker's pipe is checked, and a worker's life is tied to its parent's."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from contextlib import closing

import pytest

from helpers.misbehaving import Evil
from netwright.runtime import worker as workers
from netwright.runtime.inbox import LONGEST, GarbledError, Inbox
from netwright.runtime.process_pool import ProcessPool
from netwright.testing.executors import job, order
from netwright.trial import Failure, FailureKind


@pytest.fixture
def pipe():
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    with ours, theirs, closing(Inbox(ours)) as inbox:
        yield inbox, theirs


def test_messages_come_whole_and_in_order_however_they_are_cut(pipe):
    """Tried: with ``recv``, the first look at half a message waits for ever."""
    inbox, theirs = pipe
    theirs.send("first")
    content = pickle.dumps("second" * 1000)
    data = struct.pack("!i", len(content)) + content
    os.write(theirs.fileno(), data[:7])
    assert list(inbox.messages()) == ["first"]
    os.write(theirs.fileno(), data[7:])
    theirs.send("third")
    assert list(inbox.messages()) == ["second" * 1000, "third"]
    theirs.close()
    with pytest.raises(EOFError):
        list(inbox.messages())


@pytest.mark.parametrize(
    "sent",
    [struct.pack("!i", LONGEST + 1), struct.pack("!i", -1) + bytes(8), struct.pack("!i", 4) + b"junk"],
    ids=["too long", "of negative length", "no pickle"],
)
def test_what_is_no_message_is_said(pipe, sent):
    inbox, theirs = pipe
    os.write(theirs.fileno(), sent)
    with pytest.raises(GarbledError):
        list(inbox.messages())


@pytest.mark.parametrize("do", ["fork and return", "report from a thread that stays"])
def test_a_child_has_one_outcome_and_its_next_job_another(do):
    """Tried: with the copy's own words taken, the search gets two outcomes of one trial."""
    with closing(ProcessPool([Evil()])) as pool:
        for number in range(2):
            pool.submit(job(number, do))
        outcomes = [outcome for _ in range(2) for outcome in pool.wait()]
        assert [outcome.id for outcome in outcomes] == [0, 1]
        assert [outcome.result.valid for outcome in outcomes] == [0.25, 0.25]
        assert pool.busy == 0


@pytest.mark.slow
@pytest.mark.parametrize("do", ["send junk", "close the pipe"])
def test_what_a_child_does_to_its_pipe_is_its_own_fault(do):
    with closing(ProcessPool([Evil()])) as pool:
        pool.submit(job(0, do))
        (outcome,) = pool.wait()
        assert outcome.result.kind is FailureKind.ERROR
        assert "its process died twice" in outcome.result.message


def test_a_job_that_waited_for_a_core_is_not_to_blame(monkeypatch):
    """Tried: by the clock on the wall alone, it is timed out, and the controller taught that its network is bad."""
    waited = iter(range(10**6))
    monkeypatch.setattr(workers, "waited_seconds", lambda pid: 0.97 * next(waited))
    child = object.__new__(workers.Worker)
    child.job, child.held, child.number, child.ended = job(0), 0, 0, True
    child._seconds = child._left = 3.0
    child._passed = child._waited = 0.0
    child._waited_then = workers.waited_seconds(0)
    child.process = multiprocessing.current_process()
    looks = next(n for n in range(1, 100) if child._is_late(1.0))
    assert looks == 30  # ten times the limit, of which it waited nearly all
    monkeypatch.setattr(workers.Worker, "end", lambda self, grace=0.0: 0)
    outcome = child._time_out()
    assert isinstance(outcome.result, Failure)
    assert outcome.result.kind is FailureKind.LOST
    assert "this machine is too busy" in outcome.result.message
    child._left, child._passed = 3.0, 0.0
    monkeypatch.setattr(workers, "waited_seconds", lambda pid: None)
    assert next(n for n in range(1, 100) if child._is_late(1.0)) == 3
    assert child._time_out().result.kind is FailureKind.TIMEOUT


BUSY = """
import ctypes, os, sys, time
from netwright.runtime.process_pool import ProcessPool
from netwright.testing.executors import job
from netwright.trial import Evaluation
class Deaf:
    def evaluate(self, architecture, seed, report):
        open(sys.argv[1], "w").write(str(os.getpid()))
        ctypes.PyDLL(None).sleep(60)  # holds the lock of the interpreter, so that no thread runs
        return Evaluation(valid=0.5)
if __name__ == "__main__":
    pool = ProcessPool([Deaf()])
    pool.submit(job(0))
    pool.wait()
"""


def test_a_worker_that_hears_nothing_is_gone_with_its_parent(tmp_path):
    """Tried: with the thread alone, which needs the interpreter, it stays for as long as it computes."""
    script, sign = tmp_path / "busy.py", tmp_path / "pid"
    script.write_text(BUSY.replace("sys.argv[1]", repr(str(sign))))
    driver = subprocess.Popen([sys.executable, script])
    deadline = time.monotonic() + 60
    while not (sign.exists() and sign.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = int(sign.read_text())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 10
    while _is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_there(pid)


def _is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_test_of_the_deaf_worker_holds_the_lock():
    assert ctypes.PyDLL(None).getpid() == os.getpid()
    assert order("answer")["do"] == "answer"
