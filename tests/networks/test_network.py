"""The life of a network after its search, from Python: trained, tested, exported and drawn."""

import json
from contextlib import closing
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import safetensors.torch
import torch

import netwright
from helpers.eight_bits import without_onnx
from netwright.cli.main import app
from netwright.errors import DataError, StorageError, UsageError
from netwright.networks.finding import find_network
from netwright.networks.network import Network, training_network
from netwright.networks.tensor_file import read_about, with_about
from netwright.settings_file import override
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.store.run_folder import RunFolder


def test_trained_tested_and_exported_with_data_from_python(run, data, tmp_path):
    """Tried: without the note that the data came from Python, the command line resumes with the recipe's digits."""
    with netwright.load_run(run) as opened:
        trained = opened.best.train(seeds=2, data=data)
        assert opened.best.weights == trained.weights
    assert trained.training == run / "trials" / "0" / "training"
    result = trained.test()
    assert result == json.loads((trained.training / "result.json").read_text())
    assert len(result["seeds"]) == 2
    for seed in result["seeds"]:
        right = sum(seed["confusion"][label][label] for label in range(2))
        assert [sum(row) for row in seed["confusion"]] == [10, 10]
        assert right / 20 == seed["test"]
    with torch.inference_mode():
        assert trained.build()(torch.zeros(3, 1, 8, 8)).shape == (3, 2)
    written = trained.export(tmp_path / "exported")
    assert {path.name for path in written} == {"architecture.json", "model.py", "model.safetensors"}
    assert all(path.is_file() for path in written)

    # Into the folder of another export, of which nothing is left. Tried: without the unlinking, its weights are.
    untrained = replace(trained, weights=None, training=None)
    assert {path.name for path in untrained.export(tmp_path / "exported")} == {"architecture.json", "model.py"}
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {"architecture.json", "model.py"}

    assert trained.train(seeds=2, data=data).weights == trained.weights
    call = f"netwright.load_run('{run}').network(0).train(data=...)"
    with pytest.raises(DataError, match="came from Python; hand it over there again as data=") as error:
        trained.train(seeds=3)
    assert call in str(error.value)
    with netwright.load_run(run) as opened:  # which is what the message says
        assert len(opened.network(0).train(data=data, seeds=3).test()["seeds"]) == 3


def test_the_command_line_says_by_which_calls_data_from_python_are_handed_over(run, data, tmp_path):
    """Each of these calls is made in this file or in ``tests/end_to_end/test_journeys.py``."""
    trained = find_network(str(run)).train(tmp_path / "training", epochs=1, data=data)
    with pytest.raises(DataError) as error:
        app(["train", "--resume", str(trained.training), "--seeds", "2"], standalone_mode=False)
    assert f"netwright.networks.find_network('{trained.training}').train(data=...)" in str(error.value)
    assert len(find_network(str(trained.training)).train(data=data, seeds=2).test()["seeds"]) == 2

    folder = RunFolder.open(run, read_only=False)
    with closing(folder.store):
        folder.set_config(override(folder.config, {"data.source": "python"}))
    out = tmp_path / "out"
    calls = {
        ("search", "--resume", run): f"netwright.run_search('digits', '{run}', data=..., evaluator=...)",
        ("tune", run, "--out", out): f"netwright.tune(netwright.load_run('{run}'), '{out}', data=...)",
        ("train", run): f"netwright.load_run('{run}').network(0).train(data=...)",
        ("train", run, "--out", out): f"netwright.load_run('{run}').network(0).train('{out}', data=...)",
    }
    for command, call in calls.items():
        with pytest.raises(UsageError, match="came from Python") as error:
            app([str(argument) for argument in command], standalone_mode=False)
        assert call in str(error.value)
        assert not out.exists()


def test_a_training_is_resumed_by_the_call_that_began_it(run, data):
    """Tried: refused whenever settings were given, a script that was stopped cannot be run again."""
    settings = {"child.learning_rate": 0.05}
    first = find_network(str(run)).train(epochs=1, data=data, settings=settings)
    again = find_network(str(run)).train(epochs=1, data=data, settings=settings, seeds=2)
    assert again.weights == first.weights
    assert len(again.test()["seeds"]) == 2


def test_an_export_is_a_network_again(run, data, tmp_path):
    """Tried: without the record among the weights, an export is an architecture that nobody trained."""
    trained = find_network(str(run)).train(epochs=1, data=data)
    trained.export(tmp_path / "export")
    again = find_network(str(tmp_path / "export"))
    assert again.predict(data.test.images) == trained.predict(data.test.images)
    assert again.task["classes"] == ["even", "odd"]
    assert not again.assumed
    assert str(tmp_path) not in (tmp_path / "export" / "model.safetensors").read_bytes()[:5000].decode(errors="replace")
    again.export(tmp_path / "second")
    assert {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()
    }
    assert again.train(tmp_path / "more", data=data).config.child.epochs == 1

    weights = tmp_path / "export" / "model.safetensors"
    tensors = safetensors.torch.load(weights.read_bytes())
    foreign = {"kind": "images", "task": {"image": [1, 8]}, "child": {}}
    for content in (
        with_about(safetensors.torch.save(tensors), foreign),
        with_about(safetensors.torch.save({"a": torch.zeros(1)}), read_about(weights.read_bytes())),
        weights.read_bytes()[:-1],
    ):
        weights.write_bytes(content)
        with pytest.raises(StorageError, match="not the weights of this export"):
            find_network(str(tmp_path / "export"))
    weights.write_bytes(safetensors.torch.save(tensors))  # as others write them
    assert find_network(str(tmp_path / "export")).weights is None


def test_eight_bits_are_made_with_the_data_that_it_was_trained_on(run, data, tmp_path, monkeypatch):
    """Tried: without the comparison, what it has learned from is measured as a test part."""
    quantized = without_onnx(monkeypatch)
    trained = find_network(str(run)).train(tmp_path / "training", epochs=1, data=data)
    trained.export(tmp_path / "export")
    again = find_network(str(tmp_path / "export"))
    other = replace(data, test=data.train)
    for network in (trained, again):
        with pytest.raises(DataError, match=r"tensors: not what .*training began with: other examples"):
            network.export(tmp_path / "files", int8=True, data=other)
        network.export(tmp_path / "files", int8=True, data=data)
    assert quantized == [data, data]
    with pytest.raises(DataError, match="came from Python") as error:
        trained.export(tmp_path / "files", int8=True)
    call = f"netwright.networks.find_network({str(trained.training)!r}).trained(0).export(DIR, int8=True, data=...)"
    assert call in str(error.value)
    find_network(str(trained.training)).trained(0).export(tmp_path / "files", int8=True, data=data)
    with pytest.raises(UsageError, match="an export does not say where the data are"):
        again.export(tmp_path / "files", int8=True)


def test_a_trained_network_is_trained_again_for_as_long_as_before(run, data, tmp_path):
    """Tried: without ``final``, the epochs are multiplied by six once more."""
    first = find_network(str(run)).train(epochs=2, data=data)
    assert first.config.child.epochs == 2
    again = first.train(tmp_path / "again", data=data)
    assert again.config == first.config
    assert again.weights == first.weights
    assert first.train(tmp_path / "shorter", epochs=1, data=data).config.child.epochs == 1


def test_a_training_keeps_its_settings(run, data):
    network = find_network(str(run)).train(epochs=1, data=data)
    with pytest.raises(UsageError, match="train into another folder"):
        network.train(epochs=2, data=data)


def test_what_is_not_trained_yet_or_nowhere_says_so(run):
    with pytest.raises(UsageError, match="not trained yet"):
        find_network(str(run)).test()
    with pytest.raises(UsageError, match="name the folder"):
        find_network("figure7").train()


def test_an_export_does_not_go_into_a_folder_of_ours(run, data):
    """Tried: without the check, the run is taken for a training from then on, and a trial for another one."""
    network = find_network(str(run)).train(epochs=1, data=data)
    for folder, what in ((run, "a run"), (run / "trials" / "0", "a trial"), (network.training, "a training")):
        before = sorted(path.name for path in folder.iterdir())
        with pytest.raises(UsageError, match=f"is the folder of {what}; export into another one"):
            network.export(folder)
        assert sorted(path.name for path in folder.iterdir()) == before


def test_an_export_does_not_touch_the_files_of_another_project(run, tmp_path):
    """Tried: without the check, the first is written over and the second, which this export lacks, is deleted."""
    project = tmp_path / "project"
    project.mkdir()
    own = {"model.py": "# mine", "vocabulary.json": "[]", "train.py": "import model"}
    for name, content in own.items():
        (project / name).write_text(content)
    with pytest.raises(UsageError, match=r"holds model\.py, vocabulary\.json and is no earlier export.* of its own"):
        find_network(str(run)).export(project)
    assert {path.name: path.read_text() for path in project.iterdir()} == own
    for name in ("model.py", "vocabulary.json"):
        (project / name).unlink()
    find_network(str(run)).export(project)
    find_network(str(run)).export(project)
    assert (project / "train.py").read_text() == "import model"


def test_it_is_drawn(run):
    network = find_network(str(run))
    text = repr(network)
    assert text.startswith(f"<Network of kind conv, not trained, training in {network.training}>")
    assert "layer 1" in text
    assert ElementTree.fromstring(network._repr_html_()).tag.endswith("svg")
    plain = Network(architecture=ChoiceArchitecture(space="s", choices=(("width", "<b>"),)), task={})
    assert "&lt;b&gt;" in plain._repr_html_()
    assert "<b>" not in plain._repr_html_()


def test_a_run_is_told_and_drawn(run):
    with netwright.load_run(run) as opened:
        assert repr(opened) == f"<Run {run}: digits, 1 trials, best 0.5 (trial 0)>"
        assert "<svg" in opened._repr_html_()


def test_a_training_knows_that_it_is_one(run, data):
    trained = find_network(str(run)).train(epochs=1, data=data)
    assert training_network(trained.training).final
    assert not find_network(str(run)).final
