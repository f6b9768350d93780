"""The life of a network after its search, from Python: trained, tested, exported and drawn."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch

import netwright
from netwright.errors import DataError, UsageError
from netwright.networks.finding import find_network
from netwright.networks.network import Network, training_network
from netwright.spaces.architecture import ChoiceArchitecture


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
    with pytest.raises(DataError, match=r"came from Python; hand it over there again as data=\.\.\."):
        trained.train(seeds=3)


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
