"""The system's clock may jump: durations and limits are by the monotonic one, and wall time is for display."""

import ast
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import netwright
import netwright.store.rows as rows_module
from helpers.searching import create, go_on, result
from netwright.store.run_folder import RunFolder
from netwright.testing.searches import StopAfter


@pytest.mark.parametrize("days", [1, -1, -10_000])
def test_a_jump_of_the_clock_in_the_middle_of_a_search_changes_nothing(tmp_path, golden, monkeypatch, days):
    """Times of day jump after the seventh trial; trials, updates and consumed seconds do not.

    Tried: with the seconds of a session taken from ``datetime.now()``, they are negative, or a day.
    """
    real, jump = datetime.now, timedelta(0)

    class Jumping(datetime):
        @classmethod
        def now(cls, zone=None):
            return real(zone) + jump

    monkeypatch.setattr(rows_module, "datetime", Jumping)

    class Jump(StopAfter):
        def finished(self, trial, outcome, update):
            nonlocal jump
            if trial.id == 7:
                jump = timedelta(days=days)

    create(tmp_path / "run").store.close()
    go_on(tmp_path / "run", observer=Jump(99))
    assert result(tmp_path / "run") == result(golden)
    store = RunFolder.open(tmp_path / "run").store
    (seconds,) = store.sessions()
    assert 0 < seconds < 60
    assert all(0 <= row.seconds < 60 for row in store.rows())
    store.close()


DATES = ("rows.py", "lock.py", "search.py", "tune.py", "train.py", "page.py", "main.py")


@pytest.mark.parametrize("path", sorted(Path(netwright.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_nothing_measures_time_by_the_wall_clock(path):
    """No ``time.time()`` anywhere; ``datetime.now()`` only where a date is shown or a folder is named.

    Tried: with ``time.time()`` in the pool, it fails.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            called = f"{node.func.value.id}.{node.func.attr}"
            assert called != "time.time", f"{path}:{node.lineno}"
            if called == "datetime.now":
                assert path.name in DATES, path
