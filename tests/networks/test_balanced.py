"""Balanced accuracy from a folder of pictures to the report: its own name wherever a number stands."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.run_folders import IMAGES, command, done
from netwright.config import ImageTraining
from netwright.errors import UsageError
from netwright.recipes import find_recipe
from netwright.settings_file import override

BALANCED = ["--set", "child.measure=balanced-accuracy"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty good pieces and eight with a scratch, and a search among them by stub children."""
    root = tmp_path_factory.mktemp("balanced")
    random = np.random.default_rng(0)
    for label, count in {"good": 40, "scratched": 8}.items():
        (root / "pieces" / label).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "pieces" / label / f"{number}.png")
    (root / "images.toml").write_text(IMAGES)
    source = ["--data", f"images:{root / 'pieces'}", "--set", "data.validation=0.3"]
    done("search", root / "images.toml", "--out", root / "run", *source, *BALANCED, "--quiet")
    return root


def test_the_data_check_names_it(folder):
    said = done("data", "check", f"images:{folder / 'pieces'}")
    assert "are of class 'good'" in said
    assert " ".join(BALANCED) in said


def test_tables_the_answer_and_the_report_call_it_by_its_name(folder):
    """Tried: with the measure of the kind of task in ``task.json``, all of them say accuracy."""
    run = folder / "run"
    measure = {"name": "balanced accuracy", "unit": "", "lower_is_better": False}
    assert json.loads((run / "task.json").read_text())["measure"] == measure
    assert "  balanced accuracy  " in done("trials", run)
    assert {row["measure"] for row in json.loads(done("trials", run, "--json"))} == {"balanced accuracy"}
    assert json.loads(done("verdict", run, "--json"))["measure"] == measure
    assert "By validation balanced accuracy and parameters" in done("front", run)
    done("report", run)
    assert "validation balanced accuracy" in (run / "report.html").read_text()


def test_a_training_tells_the_accuracy_beside_it(folder):
    """Tried: with the accuracy as the test result, both numbers are the same."""
    code, out, err = command("train", folder / "run", "--epochs", 1, "--out", folder / "training")
    assert code == 0, err
    (seed,) = json.loads((folder / "training" / "result.json").read_text())["seeds"]
    counts = np.array(seed["confusion"])
    shares = counts.diagonal() / counts.sum(1)
    assert seed["test"] == pytest.approx(shares.mean())
    share = counts.trace() / counts.sum()
    assert seed["test"] != pytest.approx(share)
    assert out.startswith(f"test balanced accuracy {seed['test']:.4f} (accuracy {share:.4f})\n")
    again = json.loads(done("train", "--resume", folder / "training", "--json"))
    assert (again["test_accuracy"], again["measure"]["name"]) == (pytest.approx(share), "balanced accuracy")
    assert "validation balanced accuracy" in err


def test_it_is_a_setting_of_images_alone_and_accuracy_without_it():
    assert ImageTraining().measure == "accuracy"
    with pytest.raises(UsageError, match="measure"):
        override(find_recipe("text"), {"child.measure": "balanced-accuracy"})
    with pytest.raises(UsageError, match=r"child\.measure.*balanced-accuracy"):
        override(find_recipe("images"), {"child.measure": "balanced"})
