"""The numbers behind the report, on examples that can be checked by hand."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.report.course import (
    Bin,
    Work,
    best_so_far,
    binned,
    busy_workers,
    moving_average,
    observed_plan,
    preferences,
    work_by_worker,
)
from netwright.spaces.grammar import Anchor, Choice


def row(**columns):
    return SimpleNamespace(**columns)


def test_bins_hold_equally_many_points():
    points = [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 5.0)]
    assert binned(points, 2) == [Bin(x=0.5, low=1.0, mean=2.0, high=3.0), Bin(x=2.5, low=5.0, mean=5.0, high=5.0)]
    assert [b.mean for b in binned(points, 10)] == [1.0, 3.0, 5.0, 5.0]
    assert binned([], 5) == []


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=300), st.integers(1, 50))
def test_there_are_never_more_bins_than_asked_for(points, most):
    assert len(binned(points, most)) <= most


def test_the_moving_average_begins_with_what_there_is():
    assert moving_average([(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0)], 2) == [(0, 1.0), (1, 2.0), (2, 4.0), (3, 6.0)]


def test_best_so_far_has_the_records_only():
    assert best_so_far([(0, 0.2), (1, 0.1), (2, 0.2), (3, 0.9)]) == [(0, 0.2), (3, 0.9)]


def test_preferences_are_shares_by_period():
    plan = (Choice("filters", (8, 16)), Anchor(2))
    strings = [(0, 0b01), (0, 0b11), (1, 0b10), (1,)]  # the last one is of a smaller architecture
    filters, anchor = preferences(plan, strings, 2)
    assert (filters.labels, filters.shares) == (("8", "16"), ((1.0, 0.0), (0.0, 1.0)))
    assert (anchor.labels, anchor.shares) == (("0", "1"), ((1.0, 0.0), (0.5, 1.0)))


def test_a_decision_that_nobody_took_has_no_share():
    (preference,) = preferences([Choice("filters", (8, 16))], [()], 3)
    assert preference.shares == ((None,), (None,))


def test_an_unknown_space_is_guessed_from_its_choices():
    text = '{"kind": "choice", "space": "s", "choices": [["width", 32], ["shape", "%s"]]}'
    rows = [row(tokens=(2, 0), architecture=text % "wide"), row(tokens=(2, 1), architecture=text % "tall")]
    assert observed_plan(rows) == (Choice("width", (0, 1, 32)), Choice("shape", ("wide", "tall")))


def test_work_is_counted_by_worker():
    rows = [row(worker=w, seconds=s) for w, s in [(1, 2.0), (0, 1.0), (1, 3.0), (None, None)]]
    assert work_by_worker(rows) == {0: Work(trials=1, seconds=1.0), 1: Work(trials=2, seconds=5.0)}


def test_busy_workers_over_time():
    # One worker from 0 to 4 s, another one from 2 to 4 s.
    rows = [row(finished_at="2026-01-01T00:00:04.000+00:00", seconds=seconds) for seconds in (4.0, 2.0)]
    hours, workers = zip(*busy_workers(rows, 2), strict=True)
    assert [3600 * hour for hour in hours] == pytest.approx([1.0, 3.0])
    assert workers == pytest.approx((1.0, 2.0))
