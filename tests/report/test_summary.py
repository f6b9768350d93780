"""Summaries of runs, on rows made by hand."""

import pytest

from netwright.answer import verdict_in
from netwright.measure import ACCURACY, PERPLEXITY
from netwright.report.answer import answer_text
from netwright.report.summary import failures_by_kind, last_line, quarter_means, trial_table, trials_text
from netwright.store.ranking import best_first, best_trial
from netwright.store.rows import TrialRow
from netwright.trial import State


def row(number, reward=None, failure=None, **more):
    state = State.FAILED if failure else State.RUNNING if reward is None else State.COMPLETE
    fields = {
        "id": number, "tokens": (0,), "architecture": "{}", "digest": "", "notes": {}, "state": state,
        "reward": reward, "valid": None if state is not State.COMPLETE else 0.5,
        "metrics": {} if state is not State.COMPLETE else {"parameters": 1234},
        "curve": (), "failure": failure, "error": None if failure is None else "Traceback\n  long\nValueError: why",
        "started_at": "", "finished_at": None, "seconds": 1.25, "worker": 0, "told": None,
    }  # fmt: skip
    return TrialRow(**fields | more)


ROWS = [row(0, 0.2), row(1, 0.0, "timeout"), row(2), row(3, 0.9), row(4, 0.2), row(5, None, "lost"), row(6, -0.5)]


def test_best_first_then_failed_then_running():
    assert [r.id for r in best_first(ROWS)] == [3, 0, 4, 6, 1, 5, 2]


def test_the_best_is_complete_or_none():
    assert best_trial(ROWS).id == 3
    assert best_trial([row(0, 5.0, "error"), row(1)]) is None
    assert best_trial([]) is None


def test_failures_are_counted_by_kind():
    assert failures_by_kind([*ROWS, row(9, 0.0, "timeout")]) == {"timeout": 2, "lost": 1}


def test_quarters_are_by_number_and_leave_out_what_has_no_reward():
    rows = [row(n, float(n)) for n in range(8)] + [row(8, None, "lost")]
    assert quarter_means(rows) == (0.5, 6.5)
    assert quarter_means(rows[:7]) is None


def test_the_table_has_a_line_each_and_the_reason_of_a_failure():
    lines = trial_table(ROWS, PERPLEXITY).splitlines()
    assert len(lines) == 1 + len(ROWS)
    assert lines[0].split() == ["trial", "state", "reward", "perplexity", "parameters", "seconds"]
    assert lines[0].index("perplexity") + len("perplexity") == lines[1].index("0.5000") + len("0.5000")
    assert "1,234" in lines[1]
    assert lines[2].endswith("timeout: ValueError: why")


@pytest.mark.parametrize(("text", "last"), [("", ""), ("\n\n", ""), ("a", "a"), ("a\n b\nc\n", "c")])
def test_the_last_line_is_what_happened(text, last):
    assert last_line(text) == last


def test_trials_of_a_run_with_an_answer_say_what_each_was_for(write_answered_run):
    """Tried: without it, the best trial in the list is a network drawn by hand."""
    folder = write_answered_run()
    head, *lines = trials_text(folder).splitlines()
    assert head.split()[:4] == ["trial", "what", "for", "state"]
    words = ("search", "drawn-a", "drawn-b", "for the answer")
    assert [sum(f"  {word} " in line for line in lines) for word in words] == [8, 1, 3, 4]
    assert trials_text(folder, top=1).splitlines()[0].split()[:3] == ["trial", "what", "for"], "whatever is shown"


def test_trials_of_a_search_alone_need_no_such_column(write_run):
    assert trials_text(write_run(trials=3)).splitlines()[0].split()[:2] == ["trial", "state"]


def test_the_answer_fits_a_terminal_of_eighty_columns(write_answered_run):
    verdict = verdict_in(write_answered_run())
    wide, narrow = answer_text(verdict, ACCURACY), answer_text(verdict, ACCURACY, 80)
    assert max(map(len, wide.splitlines())) > 80
    assert max(map(len, narrow.splitlines())) <= 80
    assert sorted(wide.split()) == sorted(narrow.split())
