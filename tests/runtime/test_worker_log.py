"""What children print: in a file of their worker, which stays small."""

import subprocess
import sys
from contextlib import closing
from threading import Event, Thread

import pytest

from helpers.misbehaving import Deadly, Misbehaving, Unstartable
from netwright.errors import NetwrightError
from netwright.runtime import worker_log
from netwright.runtime.process_pool import ProcessPool
from netwright.runtime.worker_log import LIMIT, last_line, log_file, older, shorten
from netwright.testing.executors import job, wait_for
from netwright.trial import Evaluation

DRIVER = """
import sys
from pathlib import Path

from helpers.misbehaving import Misbehaving
from netwright.runtime.process_pool import ProcessPool
from netwright.testing.executors import job, wait_for

if __name__ == "__main__":
    pool = ProcessPool([Misbehaving(sys.argv[1])], logs=Path(sys.argv[1]))
    for number in range(2):
        pool.submit(job(number, "print in all ways"))
    wait_for(pool)
    pool.close()
"""


def test_what_children_print_is_in_their_workers_file_and_nowhere_else(tmp_path):
    """By Python, below it, and by a process that the child starts; on both outputs.

    Tried: it fails when either descriptor is left as it was, and when Python keeps its lines back, since workers are
    killed in the end.
    """
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, tmp_path / "driver.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    printed = log_file(tmp_path, 0).read_text()
    ways = ("by print", "by print to standard error", "directly to 1", "directly to 2", "by a grandchild")
    for trial in range(2):
        lines = printed.split(f"[trial {trial}]\n")[1].splitlines()
        assert set(ways) <= set(lines[: len(ways)])


def test_a_line_without_its_end_is_under_the_trial_that_began_it(tmp_path):
    """Tried: it fails with text that is kept back until a line ends."""
    with closing(ProcessPool([Misbehaving(tmp_path)], logs=tmp_path)) as pool:
        for number in range(3):
            pool.submit(job(number, "print a part of a line"))
        wait_for(pool)
    printed = log_file(tmp_path, 0).read_text()
    assert [part.split("]\n")[1] for part in printed.split("[trial ")[1:]] == [
        "loss of 1000 ",
        "loss of 1001 ",
        "loss of 1002 ",
    ]


@pytest.mark.slow
def test_a_child_that_prints_without_end_fills_no_disk(tmp_path, monkeypatch):
    """Tried: it fails without the keeper: the file has all 300 MB."""
    monkeypatch.setattr(worker_log, "INTERVAL", 0.02)
    path, sizes, ended = log_file(tmp_path, 0), [], Event()

    def watch():
        while not ended.wait(0.005):
            sizes.append(path.stat().st_size if path.exists() else 0)

    with closing(ProcessPool([Misbehaving(tmp_path)], logs=tmp_path)) as pool:
        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        pool.submit(job(0, "print without end", mb=300))
        try:
            outcome = wait_for(pool)[0]
        finally:
            ended.set()
            watcher.join()
        assert isinstance(outcome.result, Evaluation)
    assert max(sizes) < 150_000_000
    assert path.stat().st_size <= LIMIT
    assert older(path).stat().st_size == LIMIT
    assert set(older(path).read_bytes()) <= set(b"x\n")


def test_a_full_disk_fails_no_child_that_prints(tmp_path):
    """Tried: it fails with Python's own streams: the controller would learn from a failure that is none."""
    with closing(ProcessPool([Misbehaving(tmp_path)], logs=tmp_path)) as pool:
        pool.submit(job(0, "print on a full disk"))
        assert isinstance(wait_for(pool)[0].result, Evaluation)


def test_a_worker_that_cannot_start_has_its_error_shown_and_its_file_named(tmp_path):
    """Also where the file has lines of an earlier session. Tried: it fails when these are taken for its own."""
    log_file(tmp_path, 0).write_text("an old line\n")
    with closing(ProcessPool([Unstartable()], logs=tmp_path)) as pool:
        pool.submit(job(0))
        with pytest.raises(NetwrightError) as error:
            wait_for(pool)
    path = log_file(tmp_path, 0)
    assert f"ImportError: no such module in the worker; all that it printed is in {path}" in str(error.value)
    assert path.read_text().startswith("an old line\n")
    assert "Traceback" in path.read_text()
    assert last_line(path, path.stat().st_size) == ""


def test_workers_that_are_killed_before_they_start_name_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr("netwright.runtime.worker.TICK", 0.1)
    with closing(ProcessPool([Deadly()], logs=tmp_path)) as pool:
        pool.submit(job(0))
        with pytest.raises(NetwrightError, match=r"cannot start: .*; what they printed is in ") as error:
            wait_for(pool)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("name", ["worker-0.log", "worker-0.log.1"])
def test_a_link_in_the_folder_of_a_stranger_is_not_written_through(tmp_path, name):
    """Tried: it fails when links are followed: what the child prints is in the other file."""
    other, folder = tmp_path / "precious", tmp_path / "workers"
    folder.mkdir()
    other.write_text("precious")
    if name.endswith(".1"):
        log_file(folder, 0).write_bytes(b"x" * (LIMIT + 1))
    (folder / name).symlink_to(other)
    with closing(ProcessPool([Misbehaving(tmp_path)], logs=folder)) as pool:
        pool.submit(job(0, "print in all ways"))
        assert isinstance(wait_for(pool)[0].result, Evaluation)
    assert other.read_text() == "precious"


def test_a_file_that_is_begun_anew_keeps_its_end_and_whoever_writes_goes_on(tmp_path):
    path = tmp_path / "worker-0.log"
    with path.open("ab", buffering=0) as file:
        file.write(b"a" * LIMIT)
        shorten(path)
        assert not older(path).exists()
        file.write(b"b")
        shorten(path)
        file.write(b"c")
    assert path.read_bytes() == b"c"
    assert older(path).read_bytes() == b"a" * (LIMIT - 1) + b"b"
    shorten(tmp_path / "not there")
