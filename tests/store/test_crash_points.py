"""A process may die at any step of writing, and the search ends the same."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

import netwright
from helpers.searching import CONFIG, begin_or_go_on, create, died, go_on, result
from netwright.store import crash_points
from netwright.store.crash_points import EXIT_CODE, LABELS
from netwright.store.integrity import problems, rebuild
from netwright.testing.searches import StopAfter, Stopped

SEARCHING = [label for label in LABELS if not label.startswith(("rebuild.", "passed."))]
REBUILDING = [label for label in LABELS if label.startswith("rebuild.")]


# What is passed over has tests of its own: tests/search/test_budget.py.
ONCE = ("folder.", "config.")
"""Steps that a search passes only at its beginning."""


@pytest.mark.parametrize(
    ("label", "passing"),
    [(label, n) for label in SEARCHING for n in ((1,) if label.startswith(ONCE) else (1, 3, 5))],
)
def test_killed_at_a_step_and_resumed_it_equals_the_undisturbed_run(tmp_path, golden, label, passing):
    """Exit code 137 at the n-th passing of the step, then a resumption; the folder is whole before and after.

    Tried: with the trial's file written after the row, and with ``config.toml`` written first, labels fail here.
    """
    if label == "config.replaced":
        create(tmp_path / "run").store.close()
        action = lambda: replace_config(tmp_path / "run")  # noqa: E731
    else:
        action = lambda: begin_or_go_on(tmp_path / "run")  # noqa: E731
    assert died(action, f"{label}:{passing}") == EXIT_CODE
    if (tmp_path / "run" / "config.toml").exists():
        assert [line for line in problems(tmp_path / "run") if "left by a writer" not in line] == []
    begin_or_go_on(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)
    assert list(problems(tmp_path / "run")) == []


@pytest.mark.parametrize("label", [label for label in SEARCHING if label != "config.replaced"])
def test_interrupted_at_a_step_and_resumed_it_equals_the_undisturbed_run(tmp_path, golden, monkeypatch, label):
    """Ctrl-C where the process died above: what tidies up on the way out does no harm either.

    Tried: without the last trial among those that the strategy is told of on resumption, it fails.
    """

    def interrupt(code):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(crash_points, "_passed", Counter())
        patched.setattr(os, "_exit", interrupt)
        patched.setenv(crash_points.VARIABLE, f"{label}:{1 if label.startswith(ONCE) else 5}")
        with pytest.raises(KeyboardInterrupt):
            begin_or_go_on(tmp_path / "run")
    begin_or_go_on(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)


def replace_config(path):
    from netwright.store.run_folder import RunFolder

    RunFolder.open(path, read_only=False).set_config(CONFIG)


@pytest.mark.parametrize("label", REBUILDING)
def test_killed_while_it_makes_the_database_anew_it_can_be_made_anew_again(tmp_path, golden, label):
    shutil.copytree(golden, tmp_path / "run")
    assert died(lambda: rebuild(tmp_path / "run"), label) == EXIT_CODE
    rebuild(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)


def test_killed_after_every_trial_of_a_search_no_trial_is_lost_or_doubled(tmp_path, golden):
    """Twenty deaths in a row, each in the middle of the next trial's last transaction."""
    for _ in range(40):
        if died(lambda: begin_or_go_on(tmp_path / "run"), "finish.done:2") == 0:
            break
    assert result(tmp_path / "run") == result(golden)


def test_every_label_is_at_a_step_and_every_step_has_a_label():
    source = "".join(path.read_text() for path in Path(netwright.__file__).parent.rglob("*.py"))
    assert sorted(re.findall(r'crash_point\("([a-z.]+)"\)', source)) == sorted(LABELS)


def test_nobody_dies_without_being_asked(tmp_path):
    assert died(lambda: create(tmp_path / "run")) == 0


def test_a_rebuilt_run_stopped_anywhere_goes_on_as_if_nothing_had_been(tmp_path, golden):
    for stop in (1, 6, 11):
        path = tmp_path / str(stop)
        create(path).store.close()
        with pytest.raises(Stopped):
            go_on(path, observer=StopAfter(stop))
        rebuild(path)
        go_on(path)
        assert result(path) == result(golden)
