"""How ``netwright verdict`` comes to its answer."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from helpers.commands import SMALL_RECIPE, netwright
from helpers.run_folders import IMAGES as IMAGES_TOML
from helpers.run_folders import done
from netwright import load_run
from netwright.cli.main import app
from netwright.errors import UsageError
from netwright.recipes import find_recipe
from netwright.settings_file import override
from netwright.spaces.published import CELLS
from netwright.tasks import IMAGES, TEXT
from netwright.verdicts import wanted_verdict


def test_top_is_how_many_networks_are_trained_again_whatever_share_the_run_has():
    """Tried: with the run's share beside it, fifty are trained of a thousand."""
    config = override(find_recipe("cifar10-small"), {"verdict.finalist_share": 0.05})
    assert wanted_verdict(config, IMAGES, finalists=3).finalists_among(1000) == 3
    assert wanted_verdict(config, IMAGES).finalists_among(1000) == 50


def test_without_references_of_its_own_a_run_is_held_against_those_that_are_built_in():
    """Tried: with none, finalists are trained, and then the search is said to have found no network."""
    config = override(find_recipe("text"), {"verdict.references": []})
    assert wanted_verdict(config, TEXT).references == CELLS
    assert wanted_verdict(config, TEXT, references=["nascell"]).references == ("nascell",)
    with pytest.raises(UsageError, match="nothing to hold the networks of this run against"):
        wanted_verdict(config, replace(TEXT, references=()))


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Begins a search with some options, and trains nothing; whatever is conducted leaves its options in the list."""
    conducted = []

    def conduct(folder, config, parts, **options):
        conducted.append(options)

    def begin(*options):
        app(["search", SMALL_RECIPE, *options, "--out", str(tmp_path / "run")], standalone_mode=False)
        return tmp_path / "run", conducted

    monkeypatch.setattr("netwright.session.find_spec", lambda name: True)  # of Ray, which is not reached
    for name in ("search", "verdict"):
        monkeypatch.setattr(f"netwright.cli.{name}.conduct", conduct)
    return begin


def test_a_verdict_on_a_search_on_a_cluster_is_trained_there(begun, monkeypatch):
    """Tried: without the option, its children are trained by a Ray of this machine."""
    run, conducted = begun("--executor", "ray", "--ray-address", "head:6379")
    parts = SimpleNamespace(config=None)
    monkeypatch.setattr("netwright.cli.verdict.prepare_verdict", lambda *arguments, **options: parts)
    with pytest.raises(UsageError, match="there is no verdict"):
        app(["verdict", str(run), "--ray-address", "other:6379"], standalone_mode=False)
    assert [options["ray_address"] for options in conducted] == ["head:6379", "other:6379"]


def test_a_verdict_on_a_search_on_one_machine_takes_no_address(begun):
    run, _ = begun("--workers", "1")
    with pytest.raises(UsageError, match="--ray-address is for what was begun on a cluster"):
        app(["verdict", str(run), "--ray-address", "head:6379"], standalone_mode=False)


def test_workers_of_one_machine_are_refused_by_every_command_on_a_cluster(begun, tmp_path):
    """Tried: with those of the folder alone looked at, they are taken without a word."""
    run, conducted = begun("--executor", "ray")
    new = ["search", SMALL_RECIPE, "--executor", "ray", "--out", tmp_path / "new"]
    for command in (new, ["search", "--resume", run], ["verdict", run]):
        with pytest.raises(UsageError, match="--workers 2: without effect on the cluster at head:6379"):
            app([*map(str, command), "--ray-address", "head:6379", "--workers", "2"], standalone_mode=False)
    assert len(conducted) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_new_reference_is_trained_also_beside_one_that_has_its_answer_and_the_run_says_the_last_answer(tmp_path):
    """Tried: a run that can answer for the known one answers for it alone, without a word of the other."""
    (tmp_path / "images.toml").write_text(IMAGES_TOML)
    run = tmp_path / "run"
    done("search", tmp_path / "images.toml", "--out", run, "--quiet")

    def asked(*names):
        given = [word for name in names for word in ("--reference", name)]
        printed = json.loads(done("verdict", run, *given, "--json"))
        with load_run(run) as opened:
            kept = {reference.entrant.name for reference in opened.verdict.references}
        assert kept == {reference["name"] for reference in printed["references"]}
        return kept

    assert asked("vgg") == {"vgg"}
    assert asked("vgg", "dense") == {"vgg", "dense"}
    assert asked("dense") == {"dense"}


@pytest.mark.slow
def test_more_references_of_cells_are_added_and_the_search_goes_on_from_those_it_began_from(tmp_path):
    """Tried: cells have no limit of multiply-adds to set; with its references replaced, the search proposes others."""
    run = tmp_path / "run"
    small = ["child.epochs=1", "child.hidden=16", "data.train_limit=3000", "verdict.reference_seeds=1"]
    small += ["verdict.finalists=2", "verdict.seeds=2", "verdict.contenders=2", 'verdict.references=["lstm"]']
    given = [word for setting in small for word in ("--set", setting)]
    begun = netwright("search", "text", "--no-verdict", "--workers", 1, "--trials", 6, *given, "--out", run)
    assert begun.returncode == 0, begun.stderr
    shutil.copytree(run, tmp_path / "undisturbed")
    done = netwright("verdict", run, "--reference", "nascell", "--workers", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert [reference["name"] for reference in json.loads(done.stdout)["references"]] == ["nascell"]
    both = netwright("verdict", run, "--reference", "nascell", "--reference", "lstm", "--workers", 1, "--json")
    assert {reference["name"] for reference in json.loads(both.stdout)["references"]} == {"nascell", "lstm"}, (
        both.stderr
    )
    proposed = []
    for folder in (run, tmp_path / "undisturbed"):
        further = netwright("search", "--resume", folder, "--trials", 12, "--workers", 1, "--quiet")
        assert further.returncode == 0, further.stderr
        trials = load_run(folder).trials()
        proposed.append(list(trials[trials["phase"] == "search"]["tokens"]))
    assert proposed[0] == proposed[1]
