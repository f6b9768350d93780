"""From a search to a network that runs without netwright, and tests as well there as it was reported to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch

import netwright as library
from helpers.commands import SMALL_RECIPE, netwright
from netwright.cli.main import app
from netwright.experiment import load_data
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.tasks import IMAGES

STRANGER = """
import sys
sys.modules["netwright"] = None  # not to be imported
sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import load_file
from model import CLASSES, Network, prepare

network = Network()
network.load_state_dict(load_file(sys.argv[1] + "/model.safetensors"))
network.eval()
test = load_file(sys.argv[2])
with torch.inference_mode():
    right = sum(
        (network(prepare(images)).argmax(1) == labels).sum().item()
        for images, labels in zip(test["images"].split(500), test["labels"].split(500))
    )
assert not any(name.startswith("netwright.") for name in sys.modules)
print(right / len(test["labels"]), len(CLASSES))
"""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_search_train_export_and_a_stranger(tmp_path):
    run, files = tmp_path / "run", tmp_path / "exported"

    def step(*arguments):
        done = netwright(*arguments)
        assert done.returncode == 0, done.stderr
        return done

    small = ["--set", "child.epochs=2", "--set", "space.filters=[4, 8]", "--workers", 1]
    step("search", SMALL_RECIPE, "--trials", 8, "--out", run, *small)
    reported = json.loads(step("train", run, "--epochs", 4, "--json").stdout)
    pytest.importorskip("onnxruntime")
    step("export", run, "--to", files, "--onnx")
    assert {path.name for path in files.iterdir()} == {
        "architecture.json", "model.onnx", "model.py", "model.safetensors"
    }  # fmt: skip

    with library.load_run(run) as opened:
        best = opened.best
    test = load_data(best.config, IMAGES).test
    safetensors.torch.save_file({"images": test.images, "labels": test.labels}, tmp_path / "test.safetensors")
    command = [sys.executable, "-I", "-c", STRANGER, str(files), str(tmp_path / "test.safetensors")]
    stranger = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stranger.returncode == 0, stranger.stderr
    accuracy, classes = stranger.stdout.split()
    assert float(accuracy) == reported["seeds"][0]["test"]
    assert int(classes) == 10

    exported = safetensors.torch.load_file(files / "model.safetensors")
    module = best.build()
    assert not module.training
    assert sum(weights.numel() for weights in exported.values()) == sum(w.numel() for w in module.state_dict().values())
    assert Path(reported["folder"]) == best.training


def call(*arguments):
    return app([str(argument) for argument in arguments], standalone_mode=False)


def test_what_a_file_does_not_say_is_assumed_aloud(tmp_path, capsys):
    """Tried: without it, ten classes of CIFAR-10 are drawn as if the file named them."""
    layer = ConvLayer(filter_height=3, filter_width=3, filters=4)
    file = tmp_path / "mine.json"
    file.write_text(ConvArchitecture(layers=(layer,)).canonical_json())
    assumed = "assumed: images of 3 × 32 × 32, 10 classes, as in the recipe cifar10"
    call("show", file)
    assert capsys.readouterr().out.endswith(f"{file} does not say what it is for; {assumed}.\n")
    call("show", file, "--format", "json")
    assert "assumed" not in capsys.readouterr().out
    call("show", "nascell")
    assert "assumed" not in capsys.readouterr().out
    call("export", file, "--to", tmp_path / "export")
    assert f"{file} does not say what it is for; {assumed}\n" in capsys.readouterr().err


def test_a_published_cell_is_exported_without_data(tmp_path, capsys):
    call("export", "nascell", "--to", tmp_path / "cell")
    assert capsys.readouterr().out == f"{tmp_path / 'cell'}: architecture.json, model.py\n"
