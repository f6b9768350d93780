"""``netwright search``: from the command line to trained children, and through everything that may stop it."""

import json
import os
import random
import shutil
import signal
import time

import psutil
import pytest

from helpers.commands import SMALL, begin, finished, netwright, result, wait_for

TRIALS = 10
# Each starts several processes that import PyTorch, on a machine that others use.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The run that all others are compared with: one worker, nothing in its way."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    done = netwright(*SMALL, "--workers", 1, "--trials", TRIALS, "--out", path)
    assert done.returncode == 0, done.stderr
    return path, done


def test_it_ends_with_the_best_network_and_where_to_find_all(undisturbed):
    path, done = undisturbed
    for text in ("The best five", "layer 0", "parameters", "multiply-adds", str(path)):
        assert text in done.stdout
    assert f"small: {TRIALS} trials into {path}\n" in done.stderr
    assert f"[{TRIALS}/{TRIALS}] trial {TRIALS - 1}: " in done.stderr
    assert "ETA" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout, "no terminal, no colours"
    trials, updates = result(path)
    assert [trial[0] for trial in trials] == list(range(TRIALS))
    assert len(updates) == TRIALS // 4


def test_two_workers_come_to_the_same_as_one_and_json_is_all_there_is_on_standard_output(tmp_path, undisturbed):
    run = tmp_path / "run"
    done = netwright(*SMALL, "--workers", 2, "--trials", TRIALS, "--out", run, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    summary = json.loads(done.stdout)
    assert summary["trials"] == TRIALS
    assert summary["run"] == str(run)
    assert summary["best"]["architecture"]["kind"] == "conv"
    assert 0 <= summary["best"]["metrics"]["valid"] <= 1
    assert result(run) == result(undisturbed[0])


def family(process):
    """The driver and all below it."""
    with psutil.Process(process.pid).oneshot():
        return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


def test_ctrl_c_saves_and_says_how_to_resume(tmp_path, undisturbed):
    """Signalled at the whole group, as a terminal does; resumed, it ends as if nothing had been.

    Tried: without the catching of Ctrl-C around the search, nothing says how to resume.
    """
    run = tmp_path / "run"
    process = begin(*SMALL, "--workers", 1, "--trials", TRIALS, "--out", run)
    wait_for(run, process, 3)
    members = family(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"stopped, and saved; to resume: netwright search --resume {run}"
    assert "Traceback" not in err
    assert 3 <= finished(run) < TRIALS
    _, alive = psutil.wait_procs(members, timeout=10)
    assert alive == []
    done = netwright("search", "--resume", run, "--quiet")
    assert done.returncode == 0, done.stderr
    assert result(run) == result(undisturbed[0])


@pytest.mark.long
def test_a_request_to_end_is_answered_like_ctrl_c(tmp_path):
    """Tried: without a handler of SIGTERM, the exit code is its number."""
    run = tmp_path / "run"
    process = begin(*SMALL, "--workers", 1, "--trials", 1000, "--out", run)
    wait_for(run, process, 1)
    process.terminate()
    started = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert process.returncode == 130
    assert f"--resume {run}" in err.splitlines()[-1]


@pytest.mark.parametrize("delay", [0.3, 1.5, 2.5, 3.5, 5.0])
def test_ctrl_c_at_any_moment_of_the_start_shows_no_traceback(tmp_path, delay):
    process = begin(*SMALL, "--workers", 2, "--trials", 1000, "--out", tmp_path / "run")
    time.sleep(delay)
    members = family(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err or delay < 1, err  # before our first line runs, Python itself answers
    _, alive = psutil.wait_procs(members, timeout=10)
    assert alive == []


@pytest.mark.long
def test_a_second_ctrl_c_ends_at_once_and_loses_nothing(tmp_path, undisturbed):
    """Tried: without killing all workers first, it still passes, since these children end by themselves; the one in
    ``test_process_pool.py`` does not.
    """
    run = tmp_path / "run"
    process = begin(*SMALL, "--workers", 2, "--trials", TRIALS, "--out", run)
    wait_for(run, process, 3)
    members, before = family(process), finished(run)
    for pause in (0.05, 0.0):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(pause)
    process.communicate(timeout=30)
    assert process.returncode in (130, 1, -signal.SIGINT)
    _, alive = psutil.wait_procs(members, timeout=10)
    assert alive == []
    assert finished(run) >= before
    done = netwright("search", "--resume", run, "--quiet")
    assert done.returncode == 0, done.stderr
    assert result(run) == result(undisturbed[0])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_kill_9_at_any_moment_then_resume_comes_to_the_same(tmp_path, undisturbed):
    """Killed twice: after a random number of trials, a random moment later; by the commands that a user types.

    ``test_kills.py`` does it more often, with children that train nothing.
    """
    run = tmp_path / "run"
    chance = random.Random(0)
    arguments = [*SMALL, "--workers", 2, "--trials", TRIALS, "--out", run]
    for reached in sorted(chance.sample(range(TRIALS), 2)):
        process = begin(*arguments, "--quiet")
        wait_for(run, process, reached)
        time.sleep(chance.random() * 0.1)
        members = family(process) if process.poll() is None else []
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(members, timeout=15)
        assert alive == [], "workers outlive their driver"
        if (run / "config.toml").exists():
            arguments = ["search", "--resume", run]
    done = netwright(*arguments, "--quiet")
    assert done.returncode == 0, done.stderr
    assert result(run) == result(undisturbed[0])


def test_kill_9_of_a_worker_only_repeats_its_trial(tmp_path, undisturbed):
    run = tmp_path / "run"
    process = begin(*SMALL, "--workers", 1, "--trials", TRIALS, "--out", run)
    wait_for(run, process, 2)
    # The worker is the one that holds a PyTorch; the other child is multiprocessing's resource tracker.
    worker = max(psutil.Process(process.pid).children(), key=lambda child: child.memory_info().rss)
    worker.kill()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert result(run) == result(undisturbed[0])


def test_a_run_in_use_is_refused_with_3_and_readers_are_let_in(tmp_path):
    run = tmp_path / "run"
    process = begin(*SMALL, "--workers", 1, "--trials", 1000, "--out", run)
    try:
        wait_for(run, process, 1)
        second = netwright("search", "--resume", run)
        assert second.returncode == 3
        assert f"process {process.pid}" in second.stderr
        assert len(second.stderr.splitlines()) == 1
        reader = netwright("trials", run, "--json")
        assert reader.returncode == 0
        assert len(json.loads(reader.stdout)) >= 1
    finally:
        process.kill()
        process.communicate()


def test_when_all_children_fail_it_ends_with_5_and_can_go_on(tmp_path):
    run = tmp_path / "run"
    done = netwright(
        *("search", "text", "--workers", 1, "--trials", 50, "--out", run),
        *("--set", "child.tied=true", "--set", "child.embedding=64"),  # LSTMs of as many weights are wider
        *("--set", 'verdict.references=["lstm", "open-lstm"]', "--set", "search.max_failures=3"),
    )  # fmt: skip
    assert done.returncode == 5
    assert "3 trials in a row failed" in done.stderr
    assert "leave child.embedding out" in done.stderr
    assert done.stderr.splitlines()[-1] == f"stopped, and saved; to resume: netwright search --resume {run}"
    assert finished(run) == 3


@pytest.mark.long
def test_fewer_trials_than_are_done_is_no_reason_to_train_more(tmp_path, undisturbed):
    run = tmp_path / "run"
    shutil.copytree(undisturbed[0], run)
    assert netwright("search", "--resume", run, "--trials", 5, "--quiet").returncode == 0
    assert result(run) == result(undisturbed[0])
    more = netwright("search", "--resume", run, "--trials", TRIALS + 2, "--quiet")
    assert more.returncode == 0
    assert finished(run) == TRIALS + 2
    assert result(run)[0][:TRIALS] == result(undisturbed[0])[0]


def test_what_the_other_commands_say_of_a_run(undisturbed):
    path, _ = undisturbed
    objects = json.loads(netwright("trials", path, "--json").stdout)
    assert len(objects) == TRIALS
    assert {"id", "state", "tokens", "reward", "metrics", "architecture"} <= objects[0].keys()
    rewards = [trial["reward"] for trial in objects]
    assert rewards == sorted(rewards, reverse=True)
    table = netwright("trials", path, "--top", 2).stdout
    assert len(table.splitlines()) == 3
    shown = netwright("show", path, "--format", "json").stdout
    assert json.loads(shown) == objects[0]["architecture"]
    other = netwright("show", path, "--trial", 4)
    assert "layer 1" in other.stdout
    checked = netwright("doctor", path)
    assert checked.returncode == 0
    assert f"{TRIALS} trials" in checked.stdout
    assert "whole" in checked.stdout


@pytest.mark.long
def test_pictures_by_a_relative_path_are_found_from_another_directory(tmp_path):
    """Tried: with the path as it was given, the resumption looks for the pictures where it stands."""
    there, elsewhere, run = tmp_path / "there", tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    chance = random.Random(0)
    for number in range(40):
        picture = there / "photos" / ("cats", "dogs")[number % 2] / f"{number}.ppm"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"P6 8 8 255\n" + chance.randbytes(192))
    begun = netwright(*SMALL, "--data", "images:photos", "--trials", 1, "--workers", 1, "--out", run, cwd=there)
    assert begun.returncode == 0, begun.stderr
    done = netwright("search", "--resume", run, "--trials", 2, cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    assert finished(run) == 2
