"""``netwright report`` on a run that is under way."""

import time

import pytest

from helpers.commands import SMALL, begin, finished, netwright


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_reports_a_search_that_goes_on(tmp_path):
    run = tmp_path / "run"
    process = begin(*SMALL, "--trials", 400, "--out", run, "--workers", 1)
    try:
        while finished(run) < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        done = netwright("report", run)
    finally:
        process.kill()
        process.communicate()
    assert done.returncode == 0, done.stderr
    assert "unfinished" in (run / "report.html").read_text(encoding="utf-8")


def test_a_folder_without_a_run_is_refused(tmp_path):
    done = netwright("report", tmp_path)
    assert done.returncode == 2
    assert "holds no run" in done.stderr
