"""Run folders that earlier versions left behind are read, mended and gone on with; those of later ones are refused."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from helpers.searching import go_on
from netwright.errors import StorageError
from netwright.store.integrity import problems, rebuild
from netwright.store.run_folder import RunFolder
from netwright.trial import State

STORED = sorted((Path(__file__).parents[1] / "golden" / "folders").iterdir())
"""One per format that there was.

``before-trial-files`` is of commit fa5f282, and has no file per trial; ``before-phases`` is of commit f128258, and its
trials have neither phase nor seed; ``before-blocks`` is of commit 9b5ff54.
"""


@pytest.fixture(params=STORED, ids=lambda path: path.name)
def run(request, tmp_path):
    return shutil.copytree(request.param, tmp_path / "run")


def test_an_older_run_is_read_gone_on_with_and_can_then_be_made_anew(run):
    """Its nine trials stay as they are."""
    with closing(RunFolder.open(run).store) as store:
        before = store.rows()
    assert [row.state for row in before].count(State.FAILED) == 3
    assert len(before) == 9
    go_on(run)
    with closing(RunFolder.open(run).store) as store:
        after = store.rows()
    assert after[:9] == before
    assert len(after) == 20
    assert list(problems(run)) == []
    rebuild(run)
    with closing(RunFolder.open(run).store) as store:
        assert store.rows() == after


def test_a_later_run_is_refused_with_what_to_read_it_by(run):
    """Tried: without the comparison, its rows are read as if they were ours."""
    with closing(sqlite3.connect(run / "trials.db")) as connection:
        connection.execute("PRAGMA user_version = 4")
    with pytest.raises(StorageError, match=r"has format 4, and .* formats up to 3; .* environment\.json") as error:
        RunFolder.open(run)
    assert "--rebuild" not in str(error.value), "that would throw away what only the later version knows"
