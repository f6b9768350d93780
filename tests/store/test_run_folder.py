"""The run folder: one writer, checkpoints that are checked, and a resumption that equals no interruption."""

import json
import random
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest

import netwright.store.run_folder as run_folder_module
from helpers.searching import CONFIG, create, go_on, result
from netwright.errors import RunLockedError, StorageError, UsageError
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.store.sqlite import TrialStore
from netwright.testing.searches import StopAfter, Stopped


@pytest.mark.parametrize("stop", range(1, 20))
def test_stopped_after_any_number_of_trials_it_ends_the_same(tmp_path, golden, stop):
    """Tried: with a strategy that is not told again of the finished trials, it fails."""
    create(tmp_path / "run").store.close()
    with pytest.raises(Stopped):
        go_on(tmp_path / "run", observer=StopAfter(stop))
    assert len(result(tmp_path / "run")[0]) == stop
    go_on(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)


def test_raising_the_number_of_trials_goes_on_as_if_it_had_been_so_from_the_start(tmp_path, golden):
    create(tmp_path / "run").store.close()
    go_on(tmp_path / "run", trials=10)
    go_on(tmp_path / "run")
    assert result(tmp_path / "run") == result(golden)


STEPS = [("write_together", run_folder_module), ("insert", TrialStore), ("finish", TrialStore)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("step", "owner"), STEPS, ids=[name for name, _ in STEPS])
def test_a_death_before_or_after_any_step_that_writes_changes_nothing(tmp_path, golden, monkeypatch, step, owner, when):
    """The process dies again and again, each time at the next step of this kind, until the search is through."""
    create(tmp_path / "run").store.close()
    real = getattr(owner, step)
    deaths = 0
    for survived in range(1, 200):
        left = survived % 7 + 1  # so that each session comes a few steps further

        def deadly(*arguments):
            nonlocal left
            left -= 1
            if left == 0 and when == "before":
                raise Stopped
            real(*arguments)
            if left == 0:
                raise Stopped

        monkeypatch.setattr(owner, step, deadly)
        try:
            go_on(tmp_path / "run")
        except Stopped:
            deaths += 1
            continue
        finally:
            monkeypatch.undo()
        break
    assert deaths >= 4
    assert result(tmp_path / "run") == result(golden)


def flip(path, seed):
    stream = random.Random(seed)
    content = bytearray(path.read_bytes())
    if seed % 2:
        content[stream.randrange(len(content))] ^= 1 << stream.randrange(8)
    else:
        content = content[: stream.randrange(len(content))]
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", [1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_damaged_checkpoints_are_passed_over_and_replayed(tmp_path, golden, seed, damaged):
    """The newest ones, up to all three: what they held comes from an older one, or from the trials alone.

    Tried: without the comparison of digests, it fails.
    """
    path = tmp_path / "run"
    create(path).store.close()
    with pytest.raises(Stopped):
        go_on(path, observer=StopAfter(17))
    checkpoints = sorted((path / "controller").iterdir())
    assert [file.name for file in checkpoints] == [f"{number:06d}.safetensors" for number in (2, 3, 4)]
    for file in checkpoints[-damaged:]:
        flip(file, seed)
    with closing(RunFolder.open(path).store) as store:
        assert len(list(RunFolder(path, CONFIG, store).checkpoints())) == 3 - damaged
    go_on(path)
    assert result(path) == result(golden)


def test_the_newest_checkpoint_has_the_hash_that_the_trials_name(golden):
    import hashlib

    (_, sha256) = result(golden)[1][-1]
    assert hashlib.sha256((golden / "controller" / "000005.safetensors").read_bytes()).hexdigest() == sha256


def test_a_run_has_the_documented_files(golden):
    assert {path.name for path in golden.iterdir()} >= {"config.toml", "environment.json", "trials.db", "controller"}
    architectures = [json.loads((golden / "trials" / str(n) / "architecture.json").read_text()) for n in range(20)]
    assert architectures == [json.loads(row[2]) for row in result(golden)[0]]
    environment = json.loads((golden / "environment.json").read_text())
    assert {"versions", "commit", "host"} <= environment.keys()
    with closing(RunFolder.open(golden).store):
        assert RunFolder.open(golden).config == CONFIG


HOLD = """
import sys, time
from pathlib import Path
from netwright.store.lock import run_lock

with run_lock(Path(sys.argv[1]), new=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_of_the_first_and_a_dead_one_holds_no_lock(tmp_path):
    """Tried: without ``flock``, the second one is let in."""
    folder = create(tmp_path / "run")
    with (
        closing(folder.store),
        subprocess.Popen([sys.executable, "-c", HOLD, str(folder.path)], stdout=subprocess.PIPE, text=True) as holder,
    ):
        assert holder.stdout.readline() == "held\n"
        for new in (True, False):
            with (
                pytest.raises(RunLockedError, match=f"process {holder.pid} on ") as error,
                run_lock(folder.path, new=new),
            ):
                pass
        assert error.value.exit_code == 3
        with closing(RunFolder.open(folder.path).store) as reader:
            assert reader.rows() == []
        holder.kill()
        holder.wait()
        with run_lock(folder.path, new=False):
            assert f"process {holder.pid}" not in (folder.path / "lock").read_text()


def test_seconds_count_all_sessions(tmp_path, monkeypatch):
    clock = 100.0
    monkeypatch.setattr(run_folder_module.time, "monotonic", lambda: clock)
    for session in range(3):
        folder = create(tmp_path / "run") if session == 0 else RunFolder.open(tmp_path / "run", read_only=False)
        with closing(folder.store):
            clock += 10
            folder.store.spend(replace(folder._session, seconds=10.0))
            assert folder.seconds() == 10.0 * (session + 1)
        clock = 100.0


@pytest.mark.parametrize("there", ["a run", "another file", "a file of that name"])
def test_a_run_is_not_made_over_something_else(tmp_path, there):
    path = tmp_path / "run"
    if there == "a run":
        create(path).store.close()
    elif there == "another file":
        path.mkdir()
        (path / "thesis.tex").touch()
    else:
        path.touch()
    with pytest.raises(UsageError, match="--out"):
        create(path)


def test_an_empty_folder_may_become_a_run(tmp_path):
    create(tmp_path).store.close()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no config\.toml"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(("file", "error"), [("config.toml", UsageError), ("trials.db", StorageError)])
def test_a_missing_or_damaged_part_is_named(tmp_path, golden, file, error):
    path = tmp_path / "run"
    shutil.copytree(golden, path)
    (path / file).write_bytes(b"\xff\xfe not what it was")
    with pytest.raises(error, match=file):
        RunFolder.open(path)


def test_a_damaged_task_is_named(tmp_path, golden):
    path = tmp_path / "run"
    shutil.copytree(golden, path)
    (path / "task.json").write_text("{")
    folder = RunFolder.open(path)
    with closing(folder.store), pytest.raises(StorageError, match=r"task\.json"):
        folder.task()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="permissions of Linux")
def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        create(tmp_path / "file" / "run")


def test_a_session_that_finishes_no_trial_is_counted(tmp_path, monkeypatch):
    """Tried: without ``count_time``, nothing of it is on disk until it ends."""
    monkeypatch.setattr(run_folder_module, "COUNTED_EVERY", 0.0)
    folder = create(tmp_path / "run")
    folder.began -= 100
    folder.count_time()
    with closing(RunFolder.open(tmp_path / "run").store) as store:
        assert store.sessions() == [pytest.approx(100, abs=5)]
    folder.began -= 100
    with pytest.raises(KeyboardInterrupt), folder.counting():
        raise KeyboardInterrupt
    folder.store.close()
    with closing(RunFolder.open(tmp_path / "run").store) as store:
        assert store.sessions() == [pytest.approx(200, abs=5)]
