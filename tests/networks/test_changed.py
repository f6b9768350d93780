"""A training says when its source has changed since the search that its network is from, and the report believes it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import netwright
from netwright.cli.main import app
from netwright.experiment import describe, load_data
from netwright.networks.changed import changed_since_search
from netwright.networks.finding import find_network
from netwright.networks.training import final_config
from netwright.networks.tuning import prepare_tuning, tuning_of
from netwright.report.trained import final_trainings, trained_section
from netwright.settings_file import override
from netwright.store.run_folder import RunFolder
from netwright.tasks import IMAGES

CHANGED = "the data have changed since the search"


def draw(folder, numbers, classes=("even", "odd")):
    """Pictures of each class."""
    random = np.random.default_rng(numbers[0])
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))
    return draw(tmp_path / "photos", range(20))


@pytest.fixture
def searched(run, photos):
    """The run as if it had searched on these photos, with the limits that recipes set."""
    folder = RunFolder.open(run, read_only=False)
    with closing(folder.store):
        settings = {"data.source": f"images:{photos}", "data.train_limit": 18, "data.validation_limit": 5}
        config = override(folder.config, settings)
        folder.set_config(config)
        task = describe(load_data(config, IMAGES), IMAGES, config.child)
        (run / "task.json").write_text(json.dumps(task))
    return run


def train(run, *options):
    app(["train", str(run), "--epochs", "1", *map(str, options)], standalone_mode=False)


def told(run):
    return trained_section(final_trainings(RunFolder.open(run)))


def test_a_training_on_what_was_searched_on_is_as_it_was(searched, photos, tmp_path, caplog):
    """Tried: compared with the data of the training itself, whose limits are lifted, nothing is ever the same."""
    train(searched)
    assert CHANGED not in caplog.text
    assert "changed_since_search" not in (searched / "trials" / "0" / "training" / "task.json").read_text()
    assert "The test part had no say in the search" in told(searched)
    assert f"images:{photos}: the validation part has only 10 images" in caplog.text  # as the search itself warned
    other = draw(tmp_path / "other", range(100, 120))
    train(searched, "--data", f"images:{other}", "--out", tmp_path / "elsewhere")
    assert CHANGED not in caplog.text


@pytest.mark.parametrize("change", ["added", "unreadable"])
def test_pictures_that_were_added_or_lost_since_the_search_are_told_of(searched, photos, tmp_path, caplog, change):
    """Tried: without the comparison, the report says that the test part had no say in the search."""
    options = []
    if change == "added":
        draw(photos, range(20, 24))
    else:
        (photos / "odd" / "7.png").write_bytes(b"no picture")
        options = ["--set", "data.skip_bad=0.1"]  # by the settings of the search they cannot even be read
    train(searched, *options)
    assert f"images:{photos}: {CHANGED}" in caplog.text
    training = searched / "trials" / "0" / "training"
    assert json.loads((training / "task.json").read_text())["changed_since_search"] is True
    assert "had no say" not in told(searched)
    assert "The data had changed between the search and the training" in told(searched)

    caplog.clear()  # what is trained once more is the same network
    again = find_network(str(training)).train(tmp_path / "again")
    assert CHANGED in caplog.text
    assert again.task["changed_since_search"] is True


def test_data_from_python_are_compared_too(run, data, tmp_path, caplog):
    folder = RunFolder.open(run, read_only=False)
    with closing(folder.store):
        folder.set_config(override(folder.config, {"data.source": "python"}))
        (run / "task.json").write_text(json.dumps(describe(data, IMAGES, folder.config.child)))
    find_network(str(run)).train(tmp_path / "same", epochs=1, data=data)
    assert CHANGED not in caplog.text
    images = np.random.default_rng(1).random((60, 8, 8))
    other = netwright.from_tensors(images, np.arange(60) % 2, classes=["even", "odd"])
    find_network(str(run)).train(tmp_path / "other", epochs=1, data=other)
    assert f"tensors: {CHANGED}" in caplog.text


def test_a_tuning_on_changed_data_tells_the_training_after_it(searched, photos, caplog):
    """Tried: without the note in its task, the training finds the data as the tuning left them, and says nothing."""
    network = find_network(str(searched))
    config = tuning_of([network], {})
    candidates = {"0": network.architecture}
    assert "changed_since_search" not in prepare_tuning(config, candidates, searched=[network]).task
    draw(photos, range(20, 24))
    parts = prepare_tuning(config, candidates, searched=[network])
    assert f"images:{photos}: {CHANGED}" in caplog.text
    tuned = replace(network, task=parts.task)
    assert changed_since_search(tuned, final_config(tuned), None)
