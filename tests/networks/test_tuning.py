"""Where a tuning runs."""

import json
from dataclasses import replace

import pytest
import torch

from netwright.children.image_evaluator import ImageEvaluator
from netwright.cli.main import app
from netwright.config import OwnReward
from netwright.errors import UsageError
from netwright.networks.finding import find_network
from netwright.networks.tuning import prepare_tuning, tuning_of
from netwright.report.page import report_page
from netwright.settings_file import override
from netwright.store.run_folder import RunFolder
from netwright.trial import no_report


def test_a_tuning_is_local_unless_told(run):
    """Tried: without it, the tuning of a run on a cluster starts a local Ray, with all the actors of the cluster."""
    network = find_network(str(run))
    network = replace(network, config=override(network.config, {"search.executor": "ray", "cluster.replicas": 100}))
    assert tuning_of([network], {}).search.executor == "local"
    assert tuning_of([network], {}, executor="ray").search.executor == "ray"


def test_a_setting_that_changes_nothing_is_not_tried(run):
    network = find_network(str(run))
    cosine = replace(network, config=override(network.config, {"child.schedule": "cosine"}))
    assert "decay_at" not in tuning_of([cosine], {}).tuning.grid
    assert "decay_at" in tuning_of([cosine], {"child.schedule": "steps"}).tuning.grid


def test_a_tuning_is_not_bound_by_what_bound_its_search(run):
    """Tried: with the search's hours, a grid ends before its last point and nobody says so; a reward that came from
    Python is missed after the first training.
    """
    network = find_network(str(run))
    config = override(network.config, {"search.hours": 1.0, "stopping.quantile": 0.5})
    tuning = tuning_of([replace(network, config=config)], {})
    assert tuning.search.hours is None
    assert tuning.stopping is None
    for lower, kind in ((False, "accuracy"), (True, "perplexity")):
        own = config.model_copy(update={"reward": OwnReward(lower_is_better=lower)})
        assert tuning_of([replace(network, config=own)], {}).reward.kind == kind


def test_the_command_takes_an_address_of_a_cluster_with_its_executor_only(run):
    with pytest.raises(UsageError, match="add --executor ray"):
        app(["tune", str(run), "--ray-address", "auto"], standalone_mode=False)
    assert not (run.parent / "runs").exists()


def test_the_command_takes_no_device_of_this_machine_on_a_cluster(run, monkeypatch):
    """The run may have one: a search on this machine is tuned on a cluster."""
    monkeypatch.setattr("netwright.session.find_spec", lambda name: True)  # of Ray, which is not reached
    with pytest.raises(UsageError, match="--device cuda: without effect on Ray"):
        app(["tune", str(run), "--executor", "ray", "--device", "cuda"], standalone_mode=False)


def test_a_tuning_on_a_cluster_is_resumed_there(run, tmp_path, monkeypatch, capsys):
    """Tried: without the address, the line that is printed resumes it on a Ray of this machine."""
    monkeypatch.setattr("netwright.session.find_spec", lambda name: True)
    monkeypatch.setattr("netwright.cli.conduct.run", interrupt)
    out, address = str(tmp_path / "tuning"), ["--ray-address", "head:6379"]
    tuning = ["tune", str(run), "--executor", "ray", *address, "--out", out, "--quiet"]
    assert app(tuning, standalone_mode=False) == 130
    said = f"stopped, and saved; to resume: netwright tune --resume {out} --ray-address head:6379\n"
    assert capsys.readouterr().err == said


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("settings", "device", "share"),
    [
        ({"search.workers": 2, "search.device": "cuda"}, "cuda:0", 0.5),
        ({"search.executor": "ray", "cluster.child_gpus": 0.25}, "cuda", 0.25),
    ],
)
def test_trainings_of_a_tuning_that_share_a_card_have_their_part_of_its_memory(
    run, data, monkeypatch, settings, device, share
):
    """A card of make-believe. Tried: without a share of its own, or with one that it keeps to itself, each has all."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    network = find_network(str(run))
    config = tuning_of([network], {"tuning.grid": {"learning_rate": [0.05, 0.1]}, **settings})
    parts = prepare_tuning(config, {"0": network.architecture}, data=data)
    assert {(evaluator.device, evaluator.device_share) for evaluator in parts.evaluators} == {(device, share)}
    trained_with = []

    def evaluate(evaluator, architecture, seed, report):
        trained_with.append((architecture, evaluator.settings.learning_rate, evaluator.device_share))

    monkeypatch.setattr(ImageEvaluator, "evaluate", evaluate)
    parts.evaluators[0].evaluate(parts.space.decode((0, 1)), 0, no_report)
    assert trained_with == [(network.architecture, 0.1, share)]


def test_a_tuning_keeps_what_it_learns_from_for_its_report(run, data, tmp_path):
    """Tried: without the samples, the section is missing; without the report of the data, ``data.json`` is."""
    network = find_network(str(run))
    grid = {"tuning.grid": {"learning_rate": [0.05, 0.1]}, "search.workers": 1, "child.epochs": 1}
    config = tuning_of([network], grid, trials=1)
    parts = prepare_tuning(config, {"0": network.architecture}, data=data)
    folder = RunFolder.create(tmp_path / "tuning", config, parts.task, report=parts.report)
    folder.set_samples(parts.samples)  # as the session does that runs it
    assert [sample["label"] for sample in folder.samples()] == ["even", "odd"]
    assert "What it learns from" in report_page(folder)
    assert json.loads((folder.path / "data.json").read_text())["uses"]["train"] == 30
