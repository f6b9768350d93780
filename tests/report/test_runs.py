"""Runs as Python objects: the trials as a frame, and networks with or without trained weights."""

import pytest
import torch

import netwright
from netwright.children.child import Child
from netwright.errors import UsageError
from netwright.networks.finding import find_network
from netwright.networks.training import train_seeds
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.store.files import write_atomically

SPACE = ChoiceSpace("perceptrons", (Choice("width", (4, 8)), Choice("activation", ("relu", "tanh"))))


def test_trials_are_a_frame(write_run):
    with netwright.load_run(write_run(trials=6, failures={2: "boom"}, running=1).path) as run:
        frame = run.trials()
    assert list(frame.index) == list(range(7))
    assert list(frame["state"]) == ["complete", "complete", "failed", *["complete"] * 3, "running"]
    assert list(frame["phase"]) == ["search"] * 7
    assert frame["valid"].notna().sum() == frame["parameters"].notna().sum() == 5
    assert frame.loc[2, "error"] == "boom"
    assert (frame["finished_at"].dropna() >= frame["started_at"].iloc[:6]).all()
    assert len(frame.loc[0, "curve"]) == 2


def test_before_the_first_trial(write_run):
    run = netwright.load_run(write_run().path)
    assert len(run.trials()) == 0
    assert {"state", "reward", "valid", "started_at"} <= set(run.trials().columns)
    with pytest.raises(UsageError, match="no finished trial"):
        _ = run.best
    with pytest.raises(UsageError, match="no trial 3"):
        run.network(3)


@pytest.mark.parametrize(("recipe", "output"), [("digits", (2, 10)), ("text", None)])
def test_the_best_is_a_module_with_fresh_weights(write_run, recipe, output):
    run = netwright.load_run(write_run(recipe, trials=5).path)
    best = run.trials()["reward"].idxmax()
    assert run.best.architecture == run.network(int(best)).architecture
    module = run.best.build()
    assert isinstance(module, torch.nn.Module)
    assert module.training
    if output is not None:
        assert module(torch.zeros(2, 1, 8, 8)).shape == output


def test_a_space_of_ones_own_has_no_module(write_run):
    run = netwright.load_run(write_run(trials=2, space=SPACE).path)
    with pytest.raises(UsageError, match="builds an architecture of kind 'choice'"):
        run.best.build()


class Trainer:
    """Learns nothing, in one epoch."""

    def __init__(self, network):
        self.network, self.epoch = network, 0

    def run_epoch(self):
        self.epoch += 1
        torch.nn.init.constant_(self.network.classifier.bias, 7.0)
        return 1.0

    def state(self):
        return {"bias": self.network.classifier.bias.detach()}


def child_of(network):
    return Child(network=network, trainer=Trainer(network), validate=lambda: 0.5, test=lambda: 0.5)


def test_once_trained_it_comes_with_its_weights(write_run):
    folder = write_run(trials=3)
    fresh = netwright.load_run(folder.path).network(1)
    fresh.training.mkdir(parents=True)
    for name in ("config.toml", "task.json"):
        write_atomically(fresh.training / name, (folder.path / name).read_bytes())
    write_atomically(fresh.training / "architecture.json", fresh.architecture.canonical_json())
    with pytest.raises(UsageError, match="has not finished seed 0"):
        find_network(str(folder.path), "1").trained()
    assert netwright.load_run(folder.path).network(1).weights is None  # the library does not mind

    train_seeds(lambda seed: child_of(fresh.build()), 1, 1, fresh.training, lambda *epoch: None)
    module = netwright.load_run(folder.path).network(1).build()
    assert not module.training
    assert (module.classifier.bias == 7.0).all()
    assert find_network(str(fresh.training)).trained().weights is not None
