"""``netwright front``, and ``--within``: the networks of a run by what they cost."""

import json

import pytest
import typer
from typer.testing import CliRunner

from netwright.cli.front import front as command
from netwright.errors import UsageError
from netwright.networks.finding import find_network, parse_limits
from netwright.recipes import find_recipe
from netwright.search.loop import conclude
from netwright.settings_file import override
from netwright.spaces.conv import ConvSpace
from netwright.store.rows import running_row
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation, Outcome, Phase, Proposal

SPACE = ConvSpace(depth=1, filter_heights=(1, 3), filter_widths=(1, 3), filters=(4, 8), anchors=False)
TASK = {"image": [1, 8, 8], "classes": ["even", "odd"]}


def trained(valid, **costs):
    return Evaluation(valid=valid, metrics=costs)


@pytest.fixture
def run(tmp_path):
    """Three networks: cheap, dearer and no better, best; and the first again, which brings its mean to 0.6."""
    config = override(find_recipe("digits"), {}).model_copy(update={"space": SPACE, "verdict": None})
    drawn = SPACE.decode((1, 1, 1))
    task = {**TASK, "references": {"wide": {"architecture": drawn.model_dump(mode="json"), "tokens": None}}}
    folder = RunFolder.create(tmp_path / "run", config, task)
    results = [
        ((0, 0, 0), trained(0.7, parameters=10, latency_ms=3.0)),
        ((1, 0, 0), trained(0.5, parameters=20, latency_ms=2.0)),
        ((1, 1, 1), trained(0.9, parameters=30, latency_ms=1.0)),
        ((0, 0, 0), trained(0.5, parameters=10, latency_ms=3.0)),
    ]
    for number, (tokens, evaluation) in enumerate(results):
        phase = Phase.REFERENCE if number == 2 else Phase.SEARCH
        proposal = Proposal(id=number, tokens=tokens, phase=phase)
        folder.store.insert([running_row(proposal, SPACE.decode(tokens))])
        outcome = Outcome(id=number, result=evaluation, seconds=1.0)
        folder.store.finish(folder.store.concluded(conclude(proposal, outcome, evaluation.valid), outcome))
    folder.store.close()
    return folder.path


def front(*arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_table_has_the_undominated_by_rising_cost(run):
    about, _, *lines = front(run, "--cost", "parameters").stdout.splitlines()
    assert about.startswith("Each is better than all that are cheaper")
    assert lines[0] == "By validation accuracy and parameters:"
    assert lines[1].split() == ["network", "accuracy", "trainings", "parameters", "latency", "(ms)"]
    assert lines[2].split() == ["trial", "0", "0.6000", "2", "10", "3"]
    assert lines[3].split() == ["wide", "(by", "hand)", "0.9000", "1", "30", "1"]
    assert max(map(len, lines)) <= 80 + len(str(run))


def test_without_a_cost_all_that_are_known(run):
    found = json.loads(front(run, "--json").stdout)
    assert found["measure"]["name"] == "accuracy"
    assert {cost: [n["trial"] for n in networks] for cost, networks in found["fronts"].items()} == {
        "parameters": [0, 2],
        "latency_ms": [2],
    }
    assert found["fronts"]["parameters"][1]["name"] == "wide"


@pytest.mark.parametrize(
    ("cost", "message"), [("joules", "expected one of parameters"), ("multiply_adds", "no finished trial")]
)
def test_a_cost_that_is_not_there_is_named(run, cost, message):
    with pytest.raises(UsageError, match=message):
        front(run, "--cost", cost)


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_pictures(run, tmp_path, ending):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"front.{ending}"
    assert front(run, "--cost", "parameters", "--plot", path).exit_code == 0
    assert path.read_bytes().lstrip()[:5] in (b"<?xml", b"\x89PNG\r")
    with pytest.raises(UsageError, match=r"expected a name that ends in \.svg, \.png or \.pdf"):
        front(run, "--plot", tmp_path / "front.xyz")


def test_within_takes_the_best_that_fits(run):
    def trial_of(**limits):
        return find_network(str(run), "best", limits).training.parent.name

    assert trial_of(parameters=30) == "2"
    assert trial_of(parameters=29) == "0"
    assert trial_of(parameters=29, latency_ms=2.5) == "1"
    with pytest.raises(UsageError, match=r"no network of .* fits; the least that one costs: 10 parameters"):
        trial_of(parameters=9)
    with pytest.raises(UsageError, match=r"no finished trial of .* has this cost; there are parameters, latency_ms"):
        trial_of(multiply_adds=9)
    with pytest.raises(UsageError, match="give one of the two"):
        find_network(str(run), "1", {"parameters": 9})


def test_limits_are_read_strictly():
    assert parse_limits(["parameters=1e5", "latency_ms = 2.5"]) == {"parameters": 100_000, "latency_ms": 2.5}
    for text in ("parameters", "parameters=", "weight=3", "parameters=many", "=3"):
        with pytest.raises(UsageError, match=f"--within {text}: expected NAME=NUMBER"):
            parse_limits([text])


def test_the_report_shows_it(run):
    from netwright.report.page import report_page

    html = report_page(RunFolder.open(run))
    assert "<h3>parameters</h3>" in html
    assert "<h3>latency (ms)</h3>" in html
    assert ">wide</text>" in html
    assert "wide (by hand): 0.9, 30 parameters" in html


def test_and_so_does_python(run):
    import netwright

    with netwright.load_run(run) as opened:
        assert [network.trial for network in opened.front()] == [0, 2]
        assert [network.trial for network in opened.front("latency_ms")] == [2]
        with pytest.raises(UsageError, match="multiply_adds"):
            opened.front("multiply_adds")
