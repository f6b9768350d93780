"""``netwright train``: resumes where it was killed, several seeds, and what it reports is what the files say."""

import json
import os
import statistics

import pytest

from helpers.commands import begin, netwright
from netwright.recipes import find_recipe
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.store.lock import run_lock

TRAINING = ["--recipe", "digits", "--epochs", "4", "--set", "data.train_limit=200"]


@pytest.fixture
def architecture(tmp_path):
    path = tmp_path / "architecture.json"
    layers = [{"filter_height": 3, "filter_width": 3, "filters": 16, "inputs": inputs} for inputs in ([], [0], [0, 1])]
    layers = tuple(ConvLayer(**layer | {"inputs": tuple(layer["inputs"])}) for layer in layers)
    path.write_text(ConvArchitecture(layers=layers).canonical_json())
    return path


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.long
def test_killed_and_resumed_it_has_the_same_weights(architecture, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = netwright("train", architecture, *TRAINING, "--out", whole)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ETA") == 4
    process = begin("train", architecture, *TRAINING, "--out", killed)
    for line in process.stderr:
        if "epoch 2" in line:
            process.kill()
            break
    process.communicate()
    assert not (killed / "seed-0" / "result.json").exists()
    left = killed / "seed-0" / ".checkpoint.safetensors.999999999.tmp"  # of a process that died while it wrote
    left.write_bytes(b"half")
    done = netwright("train", "--resume", killed)
    assert done.returncode == 0, done.stderr
    assert "epoch 2 " not in done.stderr
    assert not left.exists()
    for name in ("model.safetensors", "result.json"):
        assert (killed / "seed-0" / name).read_bytes() == (whole / "seed-0" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_several_seeds_give_mean_and_deviation(architecture, tmp_path):
    done = netwright("train", architecture, *TRAINING, "--out", tmp_path / "out", "--seeds", 2, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    tests = [seed["test"] for seed in result["seeds"]]
    assert len(set(tests)) == 2
    assert result["test_mean"] == statistics.mean(tests)
    assert result["test_std"] == statistics.stdev(tests)
    assert netwright("train", architecture, *TRAINING, "--out", tmp_path / "out").returncode == 2
    # Tried: resumed as one training, the result is of the first seed alone.
    resumed = netwright("train", "--resume", tmp_path / "out", "--json")
    assert json.loads(resumed.stdout)["seeds"] == result["seeds"]
    config = tmp_path / "out" / "config.toml"
    config.write_text(config.read_text().replace('device = "auto"', 'device = "cuda:7"'))
    elsewhere = netwright("train", "--resume", tmp_path / "out", "--seeds", 3, "--device", "cpu", "--json")
    assert len(json.loads(elsewhere.stdout)["seeds"]) == 3, elsewhere.stderr


def test_two_trainings_never_write_one_folder(architecture, tmp_path):
    """Tried: without the lock, the second one trains."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "architecture.json").write_bytes(architecture.read_bytes())
    (folder / "config.toml").write_text(find_recipe("digits").to_toml())
    (folder / "task.json").write_text("{}")
    with run_lock(folder, new=False):
        second = netwright("train", "--resume", folder)
    assert second.returncode == 3, second.stderr
    assert f"{folder} is in use by process {os.getpid()}" in second.stderr
    assert not (folder / "seed-0").exists()
