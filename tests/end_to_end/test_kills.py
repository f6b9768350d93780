"""``kill -9`` of a search with two workers, again and again at random moments: nothing lost, nothing twice."""

import os
import random
import signal
import time
import traceback
import warnings

import psutil
import pytest

import netwright
from helpers.commands import SMALL_RECIPE, finished, result
from helpers.own import SlowlyByDigest
from netwright.search.observers import Observers
from netwright.spaces.conv import ConvSpace
from netwright.store.integrity import problems

SPACE = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
SETTINGS = {"search.workers": 2, "strategy.options.batch": 8}


class Tell(Observers):
    """Writes a letter per event."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe

    def started(self, job):
        os.write(self.pipe, b"s")

    def finished(self, trial, outcome, update):
        os.write(self.pipe, b"f")


def begin(run, trials):
    """A search in a process of its own, forked since that saves it the loading of PyTorch; its number, its events."""
    settings = {**SETTINGS, "search.trials": trials}
    events, pipe = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside torch's threads, of which it uses none
        pid = os.fork()
    if pid:
        os.close(pipe)
        return pid, events
    try:
        os.close(events)
        netwright.run_search(
            SMALL_RECIPE, run, space=SPACE, evaluator=SlowlyByDigest(), settings=settings, observer=Tell(pipe)
        )
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait_for(events, kind, count):
    while count > 0:
        event = os.read(events, 1)
        assert event, "it has ended already"
        count -= event == kind


def exit_code(pid, events):
    os.close(events)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kills", "trials"), [(6, 80), pytest.param(25, 240, marks=pytest.mark.long)])
def test_after_kills_the_table_and_the_controller_are_those_of_the_undisturbed_search(tmp_path, kills, trials):
    """Each session is killed a moment after it has finished a random number of trials, by chance none.

    Tried: without the trials that were under way among those to be run, the search ends early.
    """
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    chance, reached = random.Random(25), []
    for _ in range(kills):
        pid, events = begin(run, trials)
        wait_for(events, b"s", 1)
        wait_for(events, b"f", chance.randrange(12))
        time.sleep(chance.random() * 0.1)
        members = psutil.Process(pid).children(recursive=True)
        assert len(members) >= 2, "it has no workers"
        os.kill(pid, signal.SIGKILL)
        assert exit_code(pid, events) == -signal.SIGKILL
        _, alive = psutil.wait_procs(members, timeout=15)
        assert alive == [], "workers outlive their driver"
        reached.append(finished(run))
    assert reached == sorted(reached), "finished trials were lost"
    assert 0 < reached[-1] < trials, reached
    for path in (run, undisturbed):
        pid, events = begin(path, trials)
        while os.read(events, 4096):
            pass
        assert exit_code(pid, events) == 0
    told, updates = result(run)
    assert [trial[0] for trial in told] == list(range(trials)), "none lost, none twice"
    assert (told, updates) == result(undisturbed)
    assert list(problems(run)) == []
    print(f"{kills} kills, after {reached} trials")
