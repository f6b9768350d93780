"""A search for a recurrent cell, on the text that is on every machine; stopped hard, and gone on with."""

import time

import pytest

from helpers.commands import begin, netwright, result, wait_for

TRIALS = 4
SMALL_TEXT = [
    *("search", "text", "--seed", "2", "--workers", 1, "--trials", TRIALS),
    *("--set", "strategy.options.batch=2", "--set", "strategy.options.warmup=2"),
    *("--set", "child.epochs=1", "--set", "child.hidden=16", "--set", "data.train_limit=3000"),
    *("--set", 'verdict.references=["lstm", "torch-gru"]', "--set", "verdict.reference_seeds=1"),
    *("--set", "verdict.contenders=1", "--set", "verdict.finalists=2", "--set", "verdict.seeds=2"),
]
TRAININGS = 2 + TRIALS + 2 + 2 * 2
"""References, search, one round of finalists, and the last seeds of two networks."""
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


def test_killed_and_resumed_it_ends_as_if_nothing_had_been(tmp_path):
    """Tried: without the trials that were under way among those to be run, one stays unfinished."""
    done = netwright(*SMALL_TEXT, "--out", tmp_path / "undisturbed", "--quiet")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    process = begin(*SMALL_TEXT, "--out", run, "--quiet")
    wait_for(run, process, 2)
    time.sleep(0.3)  # the next one is under way
    process.kill()
    process.communicate()
    done = netwright("search", "--resume", run, "--quiet")
    assert done.returncode == 0, done.stderr
    trials, updates = result(run)
    assert len(trials) == TRAININGS
    assert (trials, updates) == result(tmp_path / "undisturbed")
    assert "bits per character" in done.stdout[done.stdout.index("Answer:") :]
