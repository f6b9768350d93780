"""``netwright train --compare``: found and drawn trained to the end in the same way, resumed, and said who is ahead."""

import json
import math
import shutil
import statistics

import pytest

import netwright
from helpers.run_folders import IMAGES, command, done
from netwright.measure import ACCURACY, PERPLEXITY
from netwright.networks.lead import Lead
from netwright.report.lead import lead_json, lead_sentence, lead_text
from netwright.search.estimates import Estimate

BRIEF = ["--epochs", 1, "--set", "data.train_limit=60"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search with an answer, of children that are stubs."""
    root = tmp_path_factory.mktemp("searched")
    (root / "images.toml").write_text(IMAGES)
    done("search", root / "images.toml", "--out", root / "run", "--quiet")
    return root / "run"


@pytest.fixture(scope="module")
def compared(searched, tmp_path_factory):
    """The same once both are trained, and what the command printed."""
    path = tmp_path_factory.mktemp("compared") / "run"
    shutil.copytree(searched, path)
    return path, done("train", path, "--compare", *BRIEF, "--seeds", 2, "--json")


def results(path):
    """The results of the two trainings: of the found network, and of the one drawn by hand."""
    with netwright.load_run(path) as run:
        found = run.verdict.found.entrant.trial
    training = {
        int(file.parts[-3]): json.loads(file.read_text()) for file in path.glob("trials/*/training/result.json")
    }
    mine = training.pop(found)
    (other,) = training.values()
    return mine, other


@pytest.mark.slow
def test_both_are_trained_in_the_same_way_and_the_difference_has_its_error(compared):
    path, printed = compared
    lead = json.loads(printed)
    mine, other = ([seed["test"] for seed in result["seeds"]] for result in results(path))
    assert len(mine) == len(other) == lead["seeds"] == 2
    assert lead["part"] == "test"
    assert lead["difference"]["mean"] == pytest.approx(statistics.mean(mine) - statistics.mean(other))
    error = math.hypot(statistics.stdev(mine), statistics.stdev(other)) / math.sqrt(2)
    whole = math.hypot(error, lead["difference"]["of_examples"])
    assert lead["difference"]["standard_error"] == pytest.approx(whole)
    assert all(len(seed["blocks"]) == 100 for result in results(path) for seed in result["seeds"])
    ways = [file.read_text() for file in path.glob("trials/*/training/config.toml")]
    assert len(ways) == 2
    assert ways[0] == ways[1]
    with netwright.load_run(path) as run:
        assert lead_json(run.lead) == lead
        assert lead["reference"]["name"] == run.verdict.references[0].entrant.name


@pytest.mark.slow
def test_given_again_it_trains_what_is_missing_only(compared):
    path, printed = compared
    before = {file: file.stat().st_mtime_ns for file in path.glob("trials/*/training/seed-0/model.safetensors")}
    code, out, err = command("train", path, "--compare", "--seeds", 3, "--json")
    assert code == 0, err
    assert err.count("epoch") == 2  # of the third seed of each
    assert json.loads(out)["seeds"] == 3
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert json.loads(out) != json.loads(printed)
    assert command("train", path, "--compare", "--json")[1] == out  # three it is where nobody says how many


@pytest.mark.slow
def test_a_seed_that_was_only_begun_is_trained_for_both(compared, tmp_path):
    """Tried: by the finished ones, the found network has three trainings and the other two."""
    path = tmp_path / "run"
    shutil.copytree(compared[0], path)
    with netwright.load_run(path) as run:
        (path / f"trials/{run.verdict.found.entrant.trial}/training/seed-5").mkdir()
    assert json.loads(done("train", path, "--compare", "--seeds", 2, "--json"))["seeds"] == 6
    assert [len(result["seeds"]) for result in results(path)] == [6, 6]


@pytest.mark.slow
def test_the_report_says_it(compared):
    path, _ = compared
    done("report", path)
    with netwright.load_run(path) as run:
        assert lead_sentence(run.lead).split(",")[1] in (path / "report.html").read_text()


@pytest.mark.slow
def test_one_that_was_trained_in_another_way_is_not_compared(searched, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(searched, path)
    done("train", path, *BRIEF)
    with netwright.load_run(path) as run:
        assert run.lead is None
    code, _, err = command("train", path, "--compare", "--epochs", 2, "--set", "data.train_limit=60")
    assert code == 2
    assert "trained in another way already" in err
    assert len(list(path.glob("trials/*/training/config.toml"))) == 1


@pytest.mark.slow
def test_a_run_without_an_answer_says_what_makes_one(searched, tmp_path):
    config = searched.parent / "images.toml"
    done("search", config, "--out", tmp_path / "run", "--quiet", "--no-verdict")
    code, _, err = command("train", tmp_path / "run", "--compare")
    assert code == 2
    assert f"netwright verdict {tmp_path / 'run'}" in err


@pytest.mark.slow
@pytest.mark.parametrize("option", [["--out", "x"], ["--trial", "1"], ["--resume", "x"]])
def test_what_names_one_network_is_refused(searched, option):
    code, _, err = command("train", *([] if option[0] == "--resume" else [searched]), "--compare", *option)
    assert code == 2
    assert f"{option[0]}: not with --compare" in err


def lead(found, drawn, error=0.004, seeds=3, *, measure=ACCURACY):
    mine, other = (Estimate(mean=mean, standard_error=error) for mean in (found, drawn))
    difference = mine.minus(other, lower_is_better=measure.lower_is_better)
    return Lead(
        name="vgg",
        found=mine,
        drawn=other,
        tested=True,
        measure=measure,
        seeds=seeds,
        difference=difference,
    )


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (lead(0.72, 0.70), "0.0200 better than vgg on the test part, give or take 0.0057. That is more than chance"),
        (lead(0.70, 0.72), "0.0200 worse than vgg on the test part, give or take 0.0057. That is more than chance"),
        (lead(0.705, 0.70), "0.0050 better than vgg on the test part, give or take 0.0057. Chance can explain that"),
        (lead(4.70, 4.72, measure=PERPLEXITY), "0.0200 better than vgg on the test part, give or take 0.0057."),
        (lead(0.72, 0.70, math.inf, 1), "0.0200 better than vgg on the test part; with one training of each nobody"),
    ],
)
def test_the_sentence(told, says):
    assert says in lead_sentence(told)
    assert "inf" not in lead_text(told)
    assert ("counts the seeds alone" in lead_text(told)) == (told.seeds > 1)
    assert "Infinity" not in json.dumps(lead_json(told))
