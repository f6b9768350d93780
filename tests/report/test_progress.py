"""What a person is told while a search runs, where there is no terminal."""

import io
import statistics
import time
from dataclasses import replace

import pytest
from rich.console import Console

from netwright.measure import ACCURACY, BITS_PER_CHARACTER
from netwright.recipes import find_recipe
from netwright.report.progress import RECENT, Progress, trainings_in_all
from netwright.settings_file import override
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Phase, State, Trial


def shown(before=(), total=100, measure=ACCURACY, **options):
    """A progress whose lines go into a text."""
    text = io.StringIO()
    return Progress(Console(file=text, width=80), total, list(before), measure=measure, **options), text


def finish(progress, number, reward=0.5, phase=Phase.SEARCH, result=None):
    result = result or Evaluation(valid=reward)
    state = State.FAILED if isinstance(result, Failure) else State.COMPLETE
    trial = Trial(id=number, tokens=(), state=state, reward=reward, valid=reward, phase=phase)
    progress.finished(trial, Outcome(id=number, result=result, seconds=1.0), None)


def test_a_line_says_what_a_trial_was_for_and_how_the_search_stands():
    progress, text = shown(total=3)
    finish(progress, 0, 0.9, Phase.REFERENCE)
    finish(progress, 1, 0.25)
    finish(progress, 2, 0.0, result=Failure(kind=FailureKind.ERROR, message="Traceback\nValueError: why"))
    first, second, third = text.getvalue().splitlines()
    assert first.startswith(
        "[1/3] reference, trial 0: validation accuracy 0.9000  reward 0.9  1.0 s  best accuracy -  mean reward (last"
    )
    assert second.startswith(
        "[2/3] trial 1: validation accuracy 0.2500  reward 0.25  1.0 s  best accuracy 0.2500  mean reward (last 20) 0"
    )
    assert third.startswith("[3/3] trial 2: failed (error): ValueError: why")


def test_every_number_is_named_by_what_it_measures():
    """On a terminal, too, where a line tells of each child under way."""
    progress, text = shown(total=3, measure=BITS_PER_CHARACTER)
    finish(progress, 0, 2.5)
    assert "validation bits per character 2.5000" in text.getvalue()
    assert "best bits per character 2.5000" in text.getvalue()
    screen = io.StringIO()
    console = Console(file=screen, width=100, force_terminal=True)
    with Progress(console, 3, [], measure=BITS_PER_CHARACTER) as progress:
        progress.progressed(1, 2, 3.25)
    assert "epoch 2, validation bits per character 3.2500" in screen.getvalue()


def test_the_mean_is_that_of_the_last_trials_also_after_a_resumption(write_run):
    """Tried: with a moving average that starts at the first reward, or at nothing after a resumption, it is another."""
    rows = write_run(trials=RECENT + 5).store.rows()
    progress, text = shown(rows)
    finish(progress, len(rows), 0.125)
    recent = [*(row.reward for row in rows[-(RECENT - 1) :]), 0.125]
    assert f"mean reward (last {RECENT}) {statistics.fmean(recent):.4g}" in text.getvalue()


def test_the_time_left_is_no_more_than_there_is():
    """``--hours`` ends a search before its trials are done."""
    progress, text = shown(total=10**9, ends=time.monotonic() + 90)
    time.sleep(0.01)
    finish(progress, 0)
    assert text.getvalue().rstrip().endswith(("ETA 0:01:30", "ETA 0:01:29"))


def test_the_time_left_is_that_of_the_answer_once_it_has_begun(monkeypatch):
    """Tried: counted by all trials that the search might have had, or ended by ``--hours``, it is 0:00:00."""
    now = 1000.0
    monkeypatch.setattr("netwright.report.progress.time.monotonic", lambda: now)
    progress, text = shown(total=10**6, answer=lambda searched: 4 * searched, ends=1030.0)
    for number, phase in enumerate([Phase.REFERENCE, Phase.SEARCH, Phase.SEARCH, Phase.FINAL, Phase.FINAL]):
        now += 10
        finish(progress, number, phase=phase)
    told = [line.rpartition(" ")[2] for line in text.getvalue().splitlines()]
    assert told == ["0:00:20", "0:00:40", "0:01:20", "0:01:10", "0:01:00"]


def test_the_time_left_is_that_of_the_search_where_a_run_with_an_answer_searches_further(monkeypatch, write_run):
    """Tried: counted as if the answer had begun, it is 0:00:00."""
    now = 1000.0
    monkeypatch.setattr("netwright.report.progress.time.monotonic", lambda: now)
    rows = [replace(row, phase=Phase.FINAL) for row in write_run(trials=4).store.rows()]
    progress, text = shown(rows, total=10**6, answer=lambda searched: 4, ends=2000.0)
    now += 10
    finish(progress, len(rows))
    assert text.getvalue().rstrip().endswith("ETA 0:16:30")


@pytest.mark.parametrize("at_end", [True, False])
def test_all_trainings_are_counted(at_end):
    config = override(find_recipe("digits"), {"search.trials": 50, "verdict.at_end": at_end})
    verdict = config.verdict
    afterwards = verdict.trainings_at_end(50) if at_end else 0
    assert trainings_in_all(config) == verdict.trainings_before + 50 + afterwards
    assert trainings_in_all(config.model_copy(update={"verdict": None})) == 50
    of_three = verdict.trainings_at_end(3) if at_end else 0
    assert trainings_in_all(config, 3) == verdict.trainings_before + 3 + of_three


def test_quiet_shows_nothing(write_run):
    rows = [replace(row, phase=Phase.REFERENCE) for row in write_run(trials=2).store.rows()]
    progress, text = shown(rows, quiet=True)
    finish(progress, 2)
    assert text.getvalue() == ""
