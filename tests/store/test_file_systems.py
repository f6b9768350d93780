"""Where a run may lie: network file systems are detected, and what cannot be written can be read."""

import logging
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import netwright.store.sqlite as sqlite_module
from helpers.searching import create, go_on, result
from netwright.store.files import file_system
from netwright.store.run_folder import RunFolder
from netwright.store.sqlite import TrialStore

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/scratch xfs rw 0 0
ws@lustre:/work /work\\040space lustre rw,flock 0 0
me@host:/data /mnt/far fuse.sshfs rw 0 0
tmpfs /mnt/far tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs", "ext4"),
        ("/home/me/runs/a", "nfs4"),
        ("/homeless", "ext4"),
        ("/home/scratch/run", "xfs"),
        ("/work space/run", "lustre"),
        ("/mnt/far/run", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(path, kind):
    assert file_system(Path(path), MOUNTS) == kind


def test_this_machines_own(tmp_path):
    assert file_system(tmp_path) == subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "--target", str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1].removeprefix("fuse.")


def journal_mode(path):
    with closing(TrialStore.open(path / "trials.db")) as store:
        return store._connection.execute("PRAGMA journal_mode").fetchone()[0]


def test_on_a_network_file_system_a_rollback_journal_is_used_with_a_warning(tmp_path, golden, monkeypatch, caplog):
    """A faked type: there is no network here. WAL needs memory that all who open the file share.

    Tried: without the look at the type, the mode is WAL.
    """
    monkeypatch.setattr(sqlite_module, "file_system", lambda path: "nfs4")
    create(tmp_path / "run").store.close()
    assert "network file system (nfs4)" in caplog.text
    go_on(tmp_path / "run")
    assert journal_mode(tmp_path / "run") == "delete"
    assert result(tmp_path / "run") == result(golden)
    monkeypatch.undo()
    caplog.set_level(logging.WARNING)
    caplog.clear()
    go_on(tmp_path / "run", trials=20)
    assert caplog.text == ""
    assert journal_mode(tmp_path / "run") == "wal", "copied to a local disk"


def test_a_run_on_a_disk_that_is_only_read_can_be_looked_at(tmp_path, golden):
    """Tried: without ``immutable``, SQLite wants to make its shared memory beside the file, and cannot."""
    import shutil

    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        shutil.copytree(golden, disk / "run", ignore=shutil.ignore_patterns("trials.db-*"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with closing(RunFolder.open(disk / "run").store) as store:
            assert len(store.rows()) == 20
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
