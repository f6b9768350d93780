"""The system's clock jumps under a whole ``netwright search``: the driver's, its workers' and SQLite's."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from helpers.commands import SMALL, begin, finished, netwright, result, wait_for

TRIALS, DAY = 10, 86_400
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C compiler"),
]


@pytest.mark.long
def test_a_day_forwards_and_two_days_back_change_nothing(tmp_path):
    """After the third and the sixth trial.

    Tried: with ``time.time()`` in the progress display, the time left is 16 hours. In the pool it does no harm: between
    two looks at the clock no more than two ticks count.
    """
    library, jump, run = tmp_path / "jumping_clock.so", tmp_path / "jump", tmp_path / "run"
    source = Path(__file__).with_name("jumping_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    jump.write_text("0")
    arguments = [*SMALL, "--workers", 1, "--trials", TRIALS, "--hours", 1, "--set", "search.child_seconds=100"]
    process = begin(*arguments, "--out", run, LD_PRELOAD=str(library), JUMP=str(jump))
    for trials, seconds in ((3, DAY), (6, -DAY)):
        wait_for(run, process, trials)
        jump.write_text(str(seconds))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert finished(run) == TRIALS

    with closing(sqlite3.connect(run / "trials.db")) as connection:
        dates = [datetime.fromisoformat(date) for (date,) in connection.execute("SELECT finished_at FROM trials")]
        times = [seconds for (seconds,) in connection.execute("SELECT seconds FROM trials")]
        ((session,),) = connection.execute("SELECT seconds FROM sessions")
    assert (max(dates) - min(dates)).total_seconds() > 1.9 * DAY, "the clock did jump"
    assert all(0 <= seconds < 100 for seconds in times)
    assert 0 < session < 300
    remaining = re.findall(r"ETA (\S+)", err)
    assert len(remaining) == TRIALS
    assert all(re.fullmatch(r"0:0\d:\d\d", left) for left in remaining), remaining

    undisturbed = tmp_path / "undisturbed"
    assert netwright(*arguments, "--out", undisturbed, "--quiet").returncode == 0
    assert result(run) == result(undisturbed)
