"""A loss of power: what must be on disk before what, and what a search makes of what it finds."""

import random
import re
import shutil
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from helpers.disk import Disk, record
from helpers.searching import begin_or_go_on, result
from netwright.store.integrity import problems
from netwright.store.sqlite import TrialStore
from netwright.trial import State

TRIALS = 8
SEARCH = f"""
import os, sys
from pathlib import Path
from helpers.searching import begin_or_go_on
from netwright.search.observers import Observers

class Tell(Observers):
    def finished(self, trial, outcome, update):
        os.write(2, b"finished")

begin_or_go_on(Path(sys.argv[1]), trials={TRIALS}, observer=Tell())
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


@pytest.fixture(scope="module")
def recorded():
    """The calls of a search of eight trials; on a real disk, where SQLite flushes: in memory it need not, and knows."""
    with tempfile.TemporaryDirectory(dir="/var/tmp" if Path("/var/tmp").is_dir() else None) as name:
        disk = Path(name).resolve()
        run = disk / "runs" / "run"
        calls = record([sys.executable, "-c", SEARCH, run], disk / "calls")
        return run, calls


def test_every_file_is_flushed_before_its_name_and_named_before_the_row(recorded):
    """Tried: without the flush of the file, without that of its folder, without the checkpoint, or with SQLite's
    ``synchronous = NORMAL``, it fails.
    """
    run, calls = recorded
    events = [(call.name, call.new_path) for call in calls if call.new_path.is_relative_to(run)]
    renames = [index for index, (what, path) in enumerate(events) if what.startswith("rename")]
    assert len(renames) >= 3 + 3 * TRIALS + 2, "configuration, environment, task; three files a trial; two checkpoints"
    for index in renames:
        path = events[index][1]
        before = [what for what, other in events[:index] if is_temporary_of(other, path)]
        assert before[-1:] == ["fsync"], f"{path}: renamed before it was flushed"
        assert ("fsync", path.parent) in events[index + 1 : next_commit(events, index)], (
            f"{path}: its name was not flushed before the next transaction"
        )
    commits = [index for index, (what, path) in enumerate(events) if is_commit(what, path)]
    assert len(commits) >= 2 * TRIALS, "two transactions per trial, each flushed"
    for number in (1, 2):
        checkpoint = next(i for i in renames if events[i][1].match(f"controller/{number:06d}.safetensors"))
        finish = next(i for i in renames if i > checkpoint and events[i][1].name == "trial.json")
        assert checkpoint < finish < next_commit(events, finish)
        assert not any(checkpoint < commit < finish for commit in commits), "no row names it before it is there"


def is_commit(what, path):
    return what in ("fsync", "fdatasync") and path.name == "trials.db-wal"


def next_commit(events, index):
    return next((i for i in range(index, len(events)) if is_commit(*events[i])), len(events))


def is_temporary_of(temporary, path):
    return temporary.parent == path.parent and re.fullmatch(rf"\.{re.escape(path.name)}\.\d+\.tmp", temporary.name)


@pytest.mark.parametrize("keep", ["nothing", "some", "everything"])
def test_whatever_a_loss_of_power_leaves_no_told_trial_is_lost_and_the_search_ends_the_same(
    tmp_path, recorded, golden, keep
):
    """What is found after about every eighth call is gone on with: nothing of what was not flushed, or some, or all.

    It found that a folder of runs, made with the first run in it, was not flushed, and that a database's journal from
    its making kept the run from being made again.

    Tried: without the flush of files, of their folders, of made folders, or of those above a new run, it fails.
    """
    run, calls = recorded
    root = run.parent.parent
    chance = random.Random(keep)
    disk, told, found = Disk(root), 0, 0
    for index, call in enumerate(calls):
        told += call.name == "write" and call.arguments[0][0] == "2" and call.arguments[1] == b"finished"
        disk.do(call)
        if call.path.is_relative_to(run) and chance.random() < 0.12:
            found += 1
            image = tmp_path / str(index)
            disk.find_after_power_loss(image, keep, chance)
            go_on_after(image / run.relative_to(root), told, golden)
            shutil.rmtree(image)
    assert told == TRIALS
    assert found > 40


def go_on_after(run, told, golden):
    if told:
        with closing(TrialStore.open(run / "trials.db")) as store:
            assert sum(row.state is not State.RUNNING for row in store.rows()) >= told
    begin_or_go_on(run)
    assert result(run) == result(golden)
    assert [line for line in problems(run) if "left by a writer" not in line] == []
