"""A loss of power: what must be on disk before what, as the kernel is asked for it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))

SEARCH = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from searching import create, go_on
create(Path(sys.argv[1])).store.close()
go_on(Path(sys.argv[1]), trials=8)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_every_file_is_flushed_before_its_name_and_named_before_the_row(tmp_path):
    """The calls of a search of eight trials, recorded by strace.

    Tried: without the flush of the file, without that of its folder, without the checkpoint, or with SQLite's
    ``synchronous = NORMAL``, it fails.
    """
    run, log = tmp_path / "run", tmp_path / "calls"
    # Not -f: SQLite and our files are written by the one thread. -y names the file behind each descriptor.
    command = ["strace", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2,mkdir,pwrite64", "-o", log]
    done = subprocess.run(
        [*command, sys.executable, "-c", SEARCH, run, os.path.dirname(__file__)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    events = [event for line in log.read_text().splitlines() if (event := parsed(line, str(run.resolve())))]
    renames = [index for index, (what, path) in enumerate(events) if what == "rename"]
    assert len(renames) >= 3 + 3 * 8 + 2, "configuration, environment, task; three files per trial; two checkpoints"
    for index in renames:
        path = events[index][1]
        before = [what for what, other in events[:index] if is_temporary_of(other, path)]
        assert before[-1:] == ["fsync"], f"{path}: renamed before it was flushed"
        assert ("fsync", str(Path(path).parent)) in events[index + 1 : next_commit(events, index)], (
            f"{path}: its name was not flushed before the next transaction"
        )
    commits = [index for index, (what, path) in enumerate(events) if is_commit(what, path)]
    assert len(commits) >= 16, "two transactions per trial, each flushed"
    for number in (1, 2):
        checkpoint = next(i for i in renames if events[i][1].endswith(f"controller/{number:06d}.safetensors"))
        finish = next(i for i in renames if i > checkpoint and events[i][1].endswith("trial.json"))
        assert checkpoint < finish < next_commit(events, finish)
        assert not any(checkpoint < commit < finish for commit in commits), "no row names it before it is there"


def is_commit(what, path):
    return what in ("fsync", "fdatasync") and path.endswith("trials.db-wal")


def next_commit(events, index):
    return next((i for i in range(index, len(events)) if is_commit(*events[i])), len(events))


def is_temporary_of(temporary, path):
    return Path(temporary).parent == Path(path).parent and re.fullmatch(
        rf"\.{re.escape(Path(path).name)}\.\d+\.tmp", Path(temporary).name
    )


def parsed(line, run):
    """What was done to which file of the run: ("fsync", path), ("rename", new path)."""
    if match := re.match(r"(fsync|fdatasync)\(\d+<([^>]*)>\)\s+= 0", line):
        what, path = match[1], match[2]
    elif match := re.match(r'rename(?:at2?)?\(.*"([^"]*)"(?:, \w+)?\)\s+= 0', line):
        what, path = "rename", match[1]
    else:
        return None
    return (what, path) if path.startswith(run) else None


@pytest.fixture
def tmp_path(tmp_path):
    """On a real disk, where SQLite flushes; in memory it need not, and knows."""
    disk = tempfile.mkdtemp(dir="/var/tmp" if Path("/var/tmp").is_dir() else None)
    yield Path(disk)
    shutil.rmtree(disk)
