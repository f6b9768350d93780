"""A run folder of a stranger: nothing outside it is written, and what is damaged in it is found."""

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from helpers.searching import create, go_on
from netwright.errors import StorageError, UsageError
from netwright.store.digests import DIGESTS
from netwright.store.files import leftovers, write_atomically
from netwright.store.integrity import problems
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("strangers") / "run"
    with run_lock(path, new=True):
        folder = create(path)
        folder.set_samples(SAMPLES)
        folder.store.close()
    go_on(path, trials=6)
    return path


@pytest.fixture
def stranger(made, tmp_path):
    return shutil.copytree(made, tmp_path / "evil")


PLACES = (
    "lock", "trials.db", "trials.db-wal", "config.toml", "task.json", "digests.json", "environment.json",
    "controller", "trials", "workers", "trials/2", "trials/2/trial.json", "trials/2/training", "tensorboard",
    "controller/x.safetensors", "workers/worker-0.log",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_no_link_leads_out_of_the_folder(stranger, tmp_path, place):
    """Tried: without the look, ``lock`` and the logs are written through."""
    precious = tmp_path / "precious"
    precious.write_text("ssh-ed25519 AAAA")
    path = stranger / place
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(precious)
    with pytest.raises((StorageError, UsageError), match=f"{place}.*symbolic link|holds no run"):
        go_on(stranger, trials=8)
    assert precious.read_text() == "ssh-ed25519 AAAA"


def test_a_temporary_name_that_was_laid_there_is_not_followed(tmp_path):
    """Tried: opened as any file, the link is written through: numbers of processes are small in a container."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / f".result.json.{os.getpid()}.tmp").symlink_to(precious)
    write_atomically(tmp_path / "result.json", "{}")
    assert precious.read_text() == "mine"
    assert (tmp_path / "result.json").read_text() == "{}"


def test_only_our_own_temporary_files_are_taken_away(tmp_path):
    for name in (".notes.tmp", ".x.999999999.tmp", ".#emacs.tmp", "..tmp"):
        (tmp_path / name).touch()
    assert [path.name for path in leftovers(tmp_path)] == [".x.999999999.tmp"]


def test_a_lock_that_is_a_pipe_or_a_loop_of_links_is_no_lock(stranger, tmp_path):
    (stranger / "lock").unlink(missing_ok=True)
    os.mkfifo(stranger / "lock")
    with pytest.raises(StorageError, match="no regular file"), run_lock(stranger, new=False):
        pass


def test_a_folder_that_cannot_be_made_is_said_and_not_tried_for_ever(tmp_path, monkeypatch):
    """Tried: without a number of attempts, it never ends."""
    here = tmp_path / "gone"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    with pytest.raises(StorageError), run_lock(type(here)("run"), new=True):
        pass


def test_every_flipped_bit_of_what_describes_a_run_is_found(made, tmp_path):
    """Tried: without digests.json, a digit of config.toml may change unseen."""
    assert list(problems(made)) == []
    names = (
        "config.toml",
        "task.json",
        "environment.json",
        "samples.json",
        DIGESTS,
        "trials/3/architecture.json",
        "trials/3/trial.json",
    )
    run = shutil.copytree(made, tmp_path / "run")
    for name in names:
        whole = (run / name).read_bytes()
        for position in range(0, len(whole), max(len(whole) // 12, 1)):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << position % 8
            (run / name).write_bytes(flipped)
            assert any(name in problem for problem in problems(run)), (name, position)
        (run / name).write_bytes(whole)
    assert list(problems(run)) == []


@pytest.mark.parametrize(
    "content",
    ["", "[]", "[" * 100_000, '{"a"', "3", '"x"', "nul"],
    ids=["empty", "list", "deep", "cut", "3", "x", "nul"],
)
@pytest.mark.parametrize("name", ["task.json", "environment.json", "data.json"])
def test_a_damaged_description_is_a_storage_error_and_found(stranger, name, content):
    (stranger / name).write_text(content)
    assert any(name in problem for problem in problems(stranger))
    if name == "task.json":
        with pytest.raises(StorageError, match=r"task\.json: cannot be read"):
            RunFolder.open(stranger).task()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["task.json", "samples.json", "trials/2/trial.json", "controller/000001.safetensors"])
def test_a_pipe_in_place_of_a_file_does_not_stop_the_doctor(stranger, name):
    """Tried: a trial's file that is read as any file is waited for, for ever."""
    (stranger / name).unlink()
    os.mkfifo(stranger / name)
    assert any(name in problem for problem in problems(stranger))
    assert RunFolder.open(stranger).samples() == ([] if name == "samples.json" else SAMPLES)


@pytest.mark.parametrize("name", ["lock", "workers", "controller", "trials"])
def test_the_doctor_names_what_no_search_could_be_resumed_with(stranger, name):
    """Tried: without the look, a folder in the place of the lock, and a file in that of a folder, are called whole."""
    if (stranger / name).is_dir():
        shutil.rmtree(stranger / name)
        (stranger / name).write_text("x")
    else:
        (stranger / name).unlink(missing_ok=True)
        (stranger / name).mkdir()
    assert any(f"{stranger / name}: " in problem for problem in problems(stranger))
    with pytest.raises((StorageError, UsageError)):
        go_on(stranger, trials=8)


def test_the_doctor_names_links_which_a_search_would_refuse(stranger, tmp_path):
    """Tried: without the look, a run with a link to a copy of its own file is called whole, and cannot be resumed."""
    shutil.move(stranger / "task.json", tmp_path / "task.json")
    (stranger / "task.json").symlink_to(tmp_path / "task.json")
    assert [problem for problem in problems(stranger) if "symbolic link" in problem]


SAMPLES = [{"label": "a", "pictures": ["iVBO"]}]

FORGOTTEN = {
    "a reward of an update": "UPDATE updates SET reward = reward + 1 WHERE number = 1",
    "the trial of an update": "UPDATE updates SET trial = 5 WHERE number = 1",
    "an update": "DELETE FROM updates",
    "the last two trials": "DELETE FROM trials WHERE id > 3",
    "the end of two trials": "UPDATE trials SET state = 'running', told = NULL WHERE id > 3",
    "seconds": "UPDATE sessions SET seconds = 0",
    "the beginning of a session": "UPDATE sessions SET started_at = '1999'",
    "a session": "DELETE FROM sessions",
    "a definition": "ALTER TABLE trials RENAME COLUMN worker TO walker",
}


@pytest.mark.parametrize("statement", FORGOTTEN.values(), ids=FORGOTTEN.keys())
def test_what_the_database_forgot_or_changed_is_found_by_the_files_of_the_trials(stranger, statement):
    """SQLite calls all of these whole.

    Tried: with the rows of trials compared alone, all but the last are not found.
    """
    with closing(sqlite3.connect(stranger / "trials.db")) as connection, connection:
        connection.execute(statement)
    assert any("trials.db" in problem for problem in problems(stranger))


def test_one_trial_whose_end_the_database_lacks_is_no_damage(stranger):
    """So a search leaves it that dies between the trial's file and its row."""
    with closing(sqlite3.connect(stranger / "trials.db")) as connection, connection:
        connection.execute("UPDATE trials SET state = 'running', told = NULL WHERE id = 5")
    assert list(problems(stranger)) == []


def test_a_search_under_way_is_not_taken_for_damage(stranger, monkeypatch):
    """A trial's file is written before its row, and notes that are added later, too: the doctor looks again.

    Tried: with one look, it tells of a trial that is not what the database says.
    """
    with closing(sqlite3.connect(stranger / "trials.db")) as connection, connection:
        before = connection.execute("SELECT notes FROM trials WHERE id = 4").fetchone()
        connection.execute("UPDATE trials SET notes = '{}' WHERE id = 4")

    def meanwhile(seconds):
        with closing(sqlite3.connect(stranger / "trials.db")) as connection, connection:
            connection.execute("UPDATE trials SET notes = ? WHERE id = 4", before)

    monkeypatch.setattr("netwright.store.integrity.time.sleep", meanwhile)
    assert list(problems(stranger)) == []


def test_a_replaced_configuration_is_whole_and_so_is_one_whose_writer_died_between(stranger):
    folder = RunFolder.open(stranger, read_only=False)
    before = (stranger / "config.toml").read_bytes()
    folder.set_config(folder.config.model_copy(update={"name": "other"}))
    folder.set_task({"image": [1, 2, 3]})
    folder.store.close()
    assert list(problems(stranger)) == []
    (stranger / "config.toml").write_bytes(before)
    assert list(problems(stranger)) == []
    assert len(json.loads((stranger / DIGESTS).read_text())["files"]["config.toml"]) == 2


FORGED = {
    "a file elsewhere": {"../../precious": ["0" * 64]},
    "a file of the system": {"/etc/passwd": ["0" * 64]},
    "no list": {"config.toml": "0" * 64},
    "no texts": {"config.toml": [0]},
}


@pytest.mark.parametrize("files", FORGED.values(), ids=FORGED.keys())
def test_digests_of_somebody_who_knows_how_they_are_made(stranger, files):
    """The digest of the file itself is right. Tried: without the look at names, files anywhere are read."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    (stranger / DIGESTS).write_text(json.dumps({"files": files, "digest": digest}))
    (found,) = problems(stranger)
    assert f"{stranger / DIGESTS}: damaged: {next(iter(files))}: expected " in found
