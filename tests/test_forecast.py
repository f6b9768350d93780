"""How a search divides its time, and what a person is told of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from netwright.config import VerdictSettings
from netwright.forecast import RECENT, Forecast, Pace, usual_seconds
from netwright.store.rows import TrialRow
from netwright.trial import STOPPED_AFTER, Evaluation, Failure, FailureKind, Outcome, Phase, State, Trial

VERDICT = VerdictSettings(references=("vgg", "dense"), finalists=4, seeds=2, contenders=1)
AFTER = VERDICT.trainings_at_end(10)
FORECAST = Forecast(training=20.0, workers=2, left=1000.0, searched=0, trials=10, verdict=VERDICT)


def test_what_is_said_of_a_search_that_fits():
    assert AFTER == 4 + 2 * 2 + 2 * 2
    room = replace(FORECAST, left=10.0 * 2 * AFTER)
    said = "a training takes 20 seconds here: 10 trials about 100 seconds, the answer after them about 2 minutes"
    assert str(room) == said
    assert room.set_aside == 10.0 * AFTER
    assert str(replace(room, left=math.inf)) == said
    assert replace(room, left=math.inf).set_aside == room.set_aside


def test_a_search_of_little_time_gets_half_of_it():
    short = replace(FORECAST, left=100.0)
    assert short.set_aside == 50.0
    assert "; there is time for about 5 of them, the answer after them" in str(short)
    assert str(short).endswith("70 seconds of that beyond search.hours (a smaller verdict is shorter)")


def test_once_the_answer_has_begun_it_has_all_of_the_time():
    begun = replace(FORECAST, left=100.0, begun=True)
    assert begun.set_aside == 100.0
    assert str(begun) == ""
    assert str(replace(FORECAST, trials=0)) == ""


@pytest.mark.parametrize("searched", [0, 90])
def test_time_that_the_number_of_trials_leaves_unused_is_said(searched):
    """Tried: four hours for a recipe of 120 trials ended after half an hour, and nothing had said so."""
    hours = replace(FORECAST, left=10.0 * (987 + AFTER), searched=searched)
    said = "; search.hours would hold about {} trials, but search.trials ends the search at {}"
    assert str(hours).endswith(said.format("1,100", "100") if searched else said.format("990", "10"))
    enough = replace(hours, left=10.0 * (14 + AFTER))
    assert "search.trials" not in str(enough)


def test_without_an_answer_at_the_end_all_of_the_time_is_searched():
    without = replace(FORECAST, left=50.0, verdict=VERDICT.model_copy(update={"at_end": False}))
    assert without.set_aside == 0.0
    assert str(without).endswith("10 trials about 100 seconds; there is time for about 5 of them")


@pytest.mark.parametrize(
    ("trainings", "usual"),
    [
        ([], None),
        ([(0, 6.0), (1, 8.0)], 7.0),
        ([(0, 6.0), (1, 8.0), (1, 1.0), (0, 2.0)], 1.5),
        ([(0, 6.0), (0, 2.0), (1, 8.0)], 2.0),
    ],
)
def test_what_a_training_takes_is_told_without_the_first_of_each_worker(trainings, usual):
    """Tried: with them, a search on a card whose trainings took a second was told 2.2."""
    made = rows_of(trainings)
    others = [replace(made[0], **change) for change in NO_TRAININGS_OF_REFERENCES] if made else []
    assert usual_seconds([*made, *others]) == usual


NO_TRAININGS_OF_REFERENCES = (
    {"phase": Phase.SEARCH, "seconds": 100.0},
    {"state": State.FAILED, "seconds": 0.0, "worker": 7},  # too large for the device, say
)


def rows_of(trainings, phase=Phase.REFERENCE):
    """Rows of trainings on these workers, of so many seconds."""
    return [
        TrialRow(
            id=number, tokens=(), architecture="", digest="", notes={}, state=State.COMPLETE, started_at="",
            worker=worker, seconds=seconds, phase=phase,
        )
        for number, (worker, seconds) in enumerate(trainings)
    ]  # fmt: skip


EVALUATION = Evaluation(valid=0.5)
FAILURE = Failure(kind=FailureKind.OUT_OF_MEMORY, message="too large")


def finish(pace, *seconds, result=EVALUATION):
    failed = isinstance(result, Failure)
    for number, each in enumerate(seconds):
        state = State.FAILED if failed else State.COMPLETE
        trial = Trial(id=number, tokens=(), state=state, reward=0.5, valid=None if failed else 0.5, notes={})
        pace.finished(trial, Outcome(id=number, result=result, seconds=each), None)


def test_the_pace_is_that_of_whatever_takes_longer():
    """Tried: by all that was searched, children that were ended early, and a finalist is not, make it look short."""
    pace = Pace(rows_of([(0, 9.0), (0, 20.0)]))
    assert pace.seconds == 20.0
    finish(pace, 3.0, 5.0)
    assert pace.seconds == 20.0
    finish(pace, 40.0, 40.0)
    assert pace.seconds == 22.0
    finish(pace, *[0.1] * 100, result=FAILURE)
    finish(pace, *[0.1] * 100, result=Evaluation(valid=0.5, metrics={STOPPED_AFTER: 1}))
    finish(pace, *[0.0] * 100)  # known already
    assert pace.seconds == 22.0
    finish(pace, *[30.0] * RECENT)
    assert pace.seconds == 30.0


def test_the_pace_goes_on_where_it_was():
    assert Pace([]).seconds is None
    searched = rows_of([(0, 10.0), (1, 30.0)], Phase.SEARCH)
    failed = replace(searched[0], state=State.FAILED, seconds=900.0)
    stopped = replace(searched[0], seconds=1.0, metrics={STOPPED_AFTER: 1})
    assert Pace([*searched, failed, stopped]).seconds == 20.0
    assert Pace([*rows_of([(0, 25.0)]), *searched]).seconds == 25.0
