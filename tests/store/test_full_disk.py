"""A full disk: the search waits for room, and nothing half-written replaces what was good."""

import errno
import logging
import os
import resource
import subprocess
import threading
import time
from contextlib import closing

import pytest

import netwright.store.run_folder as run_folder_module
from helpers.searching import CONFIG, create, died, go_on, result
from netwright.errors import DiskFullError
from netwright.store.integrity import problems
from netwright.store.run_folder import RunFolder
from netwright.store.sqlite import TrialStore
from netwright.testing.searches import StopAfter

IMPATIENT = CONFIG.model_copy(update={"search": CONFIG.search.model_copy(update={"disk_seconds": 0.3})})


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(run_folder_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(run_folder_module, "LONGEST_PAUSE", 0.1)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one MiB; for root on Linux."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk):
    """Takes all room but a few bytes; returns the file to delete."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return ballast


def test_a_search_goes_on_when_there_is_room_again(small_disk, golden, caplog):
    """Tried: without the second attempts it ends at the first trial."""
    caplog.set_level(logging.WARNING)
    create(small_disk / "run").store.close()

    class FillAfterFive(StopAfter):
        def finished(self, trial, outcome, update):
            if trial.id == 5:
                threading.Timer(0.5, fill(small_disk).unlink).start()

    started = time.monotonic()
    go_on(small_disk / "run", observer=FillAfterFive(99))
    assert time.monotonic() - started >= 0.4, "it did wait"
    assert result(small_disk / "run") == result(golden)
    assert "no room for" in caplog.text
    assert f"{small_disk / 'run'}" in caplog.text
    assert "bytes; trying again for 600 s" in caplog.text
    assert "there is room again" in caplog.text


def test_a_search_that_waited_in_vain_says_where_and_can_go_on(small_disk, golden):
    """Full from the seventh trial on; all six before it are whole, and the rest comes after some space is freed.

    Tried: without the error at the end of the wait, it fails.
    """
    path = small_disk / "run"
    create(path, IMPATIENT).store.close()
    go_on(path, trials=6)
    before = result(path)
    filled = []

    class Fill(StopAfter):
        def started(self, job):
            filled.append(fill(small_disk))

    with pytest.raises(DiskFullError, match=r"no room for .*, nor was there any for 0\.3 s; free some space") as error:
        go_on(path, observer=Fill(99))
    assert error.value.exit_code == 4
    assert str(path) in str(error.value)
    rows, updates = result(path)
    assert (rows[:6], updates[:1]) == (before[0], before[1])
    assert list(problems(path)) == []
    filled[0].unlink()
    go_on(path)
    assert result(path) == result(golden)


@pytest.mark.parametrize("nth", [1, 2, 5, 9, 14, 30])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_any_write_may_find_the_disk_full_a_few_times(tmp_path, golden, monkeypatch, nth, code):
    create(tmp_path / "run").store.close()
    real, calls = os.fsync, 0

    def full_at_times(descriptor):
        nonlocal calls
        calls += 1
        if calls % 37 in (nth, nth + 1, nth + 2):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_times)
    go_on(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path, golden):
    """EFBIG, which SQLite reports as an error of its own; lifted after half a second."""
    create(tmp_path / "run").store.close()

    def search_under_a_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
        lift = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        threading.Timer(0.5, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, lift)).start()
        started = time.monotonic()
        go_on(tmp_path / "run")
        assert time.monotonic() - started > 0.4, "it did wait"

    assert died(search_under_a_limit) == 0
    assert result(tmp_path / "run") == result(golden)


def test_a_database_without_room_keeps_what_it_had(tmp_path):
    from helpers.searching import SPACE
    from netwright.store.rows import running_row
    from netwright.trial import Proposal

    with closing(TrialStore.create(tmp_path / "trials.db")) as store:
        tokens = tuple([0] * len(SPACE.plan()))
        architecture = SPACE.decode(tokens)
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        rows = [running_row(Proposal(id=number, tokens=tokens), architecture) for number in range(100)]
        with pytest.raises(DiskFullError, match="no room"):
            store.insert(rows)
        assert store.rows() == []
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.insert(rows)
        assert len(store.rows()) == 100


def test_old_checkpoints_make_room_first(tmp_path, golden, monkeypatch):
    """Tried: without giving them up, three are there while it waits."""
    create(tmp_path / "run").store.close()
    go_on(tmp_path / "run", trials=16)
    seen = []

    def note(seconds):
        seen.append(sorted(path.name for path in (tmp_path / "run" / "controller").iterdir()))
        monkeypatch.setattr(os, "fsync", real)

    real = os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(run_folder_module.time, "sleep", note)
    folder = RunFolder.open(tmp_path / "run", read_only=False)
    with closing(folder.store):
        monkeypatch.setattr(os, "fsync", full)
        folder.set_config(CONFIG)
    monkeypatch.undo()
    assert seen == [["000004.safetensors"]]
    go_on(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)
