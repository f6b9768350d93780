"""Of several starters exactly one proceeds, and what it does not make it does not leave behind."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.searching import create, died
from netwright.errors import StorageError, UsageError
from netwright.store import lock as lock_module
from netwright.store.lock import refuse_used, run_lock

STARTER = """
import sys, time
from pathlib import Path

from netwright.config import ExperimentConfig
from netwright.errors import NetwrightError
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder

print("ready", flush=True)
sys.stdin.readline()  # all together
try:
    with run_lock(Path(sys.argv[1]), new=True):
        RunFolder.create(Path(sys.argv[1]), ExperimentConfig(name="test"), {})
        print("won", flush=True)
        sys.stdin.readline()
except NetwrightError as error:
    print(error.exit_code, error, flush=True)
"""


def test_of_ten_starters_on_one_fresh_folder_one_wins_and_nine_are_told_of_it(tmp_path):
    """Tried: with the lock taken after the folder is made, losers end with 4, or two win."""
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(tmp_path / "runs" / "new")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(10)
    ]
    try:
        assert [starter.stdout.readline() for starter in starters] == ["ready\n"] * 10
        for starter in starters:
            starter.stdin.write("go\n")
            starter.stdin.flush()
        said = [starter.stdout.readline() for starter in starters]
        (winner,) = [starter for starter, line in zip(starters, said, strict=True) if line == "won\n"]
        losers = [line for line in said if line != "won\n"]
        assert all(line.startswith("3 ") for line in losers), losers
        assert sum(f"process {winner.pid} on " in line for line in losers) >= 5, "some asked before it had signed"
    finally:
        for starter in starters:
            starter.communicate("done\n")


def left_in(path):
    return sorted(entry.name for entry in path.iterdir())


def test_a_start_that_comes_to_nothing_leaves_nothing_behind(tmp_path):
    """As when the data cannot be read, which is found out under the lock.

    Tried: without the removal, an empty folder and its lock stay.
    """
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "a" / "b" / "run", new=True):
        raise ZeroDivisionError
    assert left_in(tmp_path) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path / "mine", new=True):
        raise ZeroDivisionError
    assert left_in(tmp_path) == ["mine"]
    assert left_in(tmp_path / "mine") == []


def test_a_lock_on_a_file_that_is_gone_keeps_nobody_out(tmp_path, monkeypatch):
    """Between the opening of the lock's file and the lock, its last holder may have removed it, and a third made one.

    Tried: without the comparison of the two files, both hold "the" lock.
    """
    import netwright.store.lock as module

    path, real, first = tmp_path / "run", module.fcntl.flock, True
    path.mkdir()

    def late(file, how):
        nonlocal first
        if first:
            first = False
            (path / "lock").unlink()
        real(file, how)

    monkeypatch.setattr(module.fcntl, "flock", late)
    with run_lock(path, new=True):
        monkeypatch.undo()
        assert died(lambda: run_lock(path, new=True).__enter__()) == 1, "it is held"


def test_a_folder_where_nothing_can_be_locked_is_refused_by_the_name_of_the_lock(tmp_path, monkeypatch):
    """As on Lustre that is mounted without locks: a person read "Function not implemented", and of no file.

    Tried: with busy locks caught alone, an OSError without a name comes out, and an empty folder with its lock stays.
    """
    monkeypatch.setattr(lock_module.fcntl, "flock", not_implemented)
    said = f"{tmp_path / 'new' / 'lock'}: cannot be locked: Function not implemented; put the run on a file system "
    with pytest.raises(StorageError, match=f"{re.escape(said)}.*local disk.*Lustre mounted with flock") as error:
        run_lock(tmp_path / "new", new=True).__enter__()
    assert error.value.exit_code == 4
    assert left_in(tmp_path) == []
    monkeypatch.undo()
    create(tmp_path / "run").store.close()
    with run_lock(tmp_path / "run", new=False):
        pass
    before = left_in(tmp_path / "run")
    monkeypatch.setattr(lock_module.fcntl, "flock", not_implemented)
    with pytest.raises(StorageError, match="cannot be locked"):
        run_lock(tmp_path / "run", new=False).__enter__()
    assert left_in(tmp_path / "run") == before


def test_a_lock_that_another_has_signed_stays_where_there_are_no_more_locks_to_be_had(tmp_path, monkeypatch):
    """Tried: with it taken away, a third one would lock a file of its own, beside the one that is held."""
    with run_lock(tmp_path / "run", new=True):
        monkeypatch.setattr(lock_module.fcntl, "flock", not_implemented)
        with pytest.raises(StorageError, match="cannot be locked"):
            run_lock(tmp_path / "run", new=True).__enter__()
        assert left_in(tmp_path / "run") == ["lock"]


def not_implemented(file, how):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def test_a_folder_whose_making_was_cut_short_can_be_made_anew(tmp_path):
    """All that may be there before ``config.toml`` is; but not a single trial."""
    for name in ("environment.json", "task.json", "trials.db", "trials.db-wal", ".config.toml.123.tmp"):
        (tmp_path / name).write_text("cut sh")
    (tmp_path / "controller").mkdir()
    (tmp_path / "trials").mkdir()
    with run_lock(tmp_path, new=True):
        create(tmp_path).store.close()
    (tmp_path / "config.toml").unlink()
    (tmp_path / "trials" / "0").mkdir()
    with pytest.raises(UsageError, match="not empty"), run_lock(tmp_path, new=True):
        pass


def test_nothing_is_put_into_a_folder_that_holds_no_run(tmp_path):
    with pytest.raises(UsageError, match=r"no config\.toml"), run_lock(tmp_path, new=False):
        pass
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    with (
        pytest.raises((UsageError, StorageError), match=str(tmp_path / name)),
        run_lock(Path(tmp_path / name), new=True),
    ):
        pass


def test_a_training_whose_making_was_cut_short_can_be_begun_again(tmp_path):
    """Tried: its architecture was taken for somebody's own, and no command made or resumed it."""
    (tmp_path / "architecture.json").touch()
    with pytest.raises(UsageError, match="is not empty"):
        refuse_used(tmp_path)
    (tmp_path / "digests.json").touch()
    refuse_used(tmp_path)


@pytest.mark.parametrize(
    ("extra", "content", "said"),
    [
        ("task.json", "", "holds a run; resume it: netwright search --resume"),
        ("task.json", "[tuning]\n", "holds a tuning; resume it: netwright tune --resume"),
        ("architecture.json", "", "holds a training; resume it: netwright train --resume"),
    ],
)
def test_a_folder_that_is_used_says_what_it_holds_and_what_resumes_that(tmp_path, extra, content, said):
    """Tried: with one sentence for all, a training was to be resumed as a search, which it is not."""
    (tmp_path / "config.toml").write_text(content)
    (tmp_path / extra).touch()
    with pytest.raises(UsageError, match=said):
        refuse_used(tmp_path)
