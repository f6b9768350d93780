"""Networks by what a person calls them; every folder of ours has a network in it, or says why not."""

import shutil

import pytest

from netwright.errors import UsageError
from netwright.networks.finding import find_network
from netwright.networks.network import training_network


def test_the_folder_of_a_trial_is_that_trial_of_its_run(run, monkeypatch):
    """Tried: without the look at the run, it is taken for an architecture without one, with CIFAR-10 as its task."""
    expected = find_network(str(run), "0")
    assert expected.config.name == "digits"
    assert expected.task["classes"] == ["even", "odd"]
    assert find_network(str(run / "trials" / "0")) == expected
    monkeypatch.chdir(run / "trials" / "0")
    found = find_network(".")
    assert (found.task, found.config) == (expected.task, expected.config)
    assert found.training == run / "trials" / "0" / "training"


def test_a_copied_folder_of_a_trial_is_an_architecture_without_a_run(run, tmp_path):
    copy = shutil.copytree(run / "trials" / "0", tmp_path / "exported")
    found = find_network(str(copy))
    assert found.architecture == find_network(str(run)).architecture
    assert found.training is None
    assert found.config.name == "cifar10"


def test_a_folder_that_is_no_training_says_what_it_lacks(run):
    with pytest.raises(UsageError, match=r"holds no training: there is no architecture.json"):
        training_network(run)
    with pytest.raises(UsageError, match=r"run has no trial two; it has 0 to 0, and best"):
        find_network(str(run), "two")
    with pytest.raises(UsageError, match=r"no task.json and no config.toml"):
        training_network(run / "trials" / "0")


def test_a_cell_without_a_text_is_no_language_model():
    """Tried: with the task of images in place of none, the error is KeyError: 'vocabulary'."""
    with pytest.raises(UsageError, match="train it on a text first"):
        find_network("nascell").build()
