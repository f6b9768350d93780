"""``netwright bench`` from its arguments to its output."""

import json
import os
import re

import pytest
import typer
from typer.testing import CliRunner

from netwright.benchmarks import tables
from netwright.benchmarks.toy import toy_table
from netwright.cli.bench import as_table, bench, parse_settings
from netwright.errors import UsageError

APP = typer.Typer()
APP.command()(bench)
needs_data = pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder of tables")


def run(*arguments):
    result = CliRunner().invoke(APP, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def _toy(monkeypatch):
    monkeypatch.setattr(tables, "TABLES", {"toy": (lambda path: toy_table(), "toy")})
    monkeypatch.setenv("NETWRIGHT_DATA", "nowhere")


@pytest.mark.usefixtures("_toy")
def test_json_alone_on_standard_output(tmp_path):
    names = ("--strategy", "random", "--strategy", "evolution")
    result = run(
        "toy", *names, "--evaluations", "40", "--seeds", "3", "--workers", "1", "--json", "--out", str(tmp_path)
    )
    found = json.loads(result.stdout)
    assert [row["strategy"] for row in found["results"]] == ["random", "evolution"]
    assert found["evaluations"] == 40
    assert [len(row["test"]["values"]) for row in found["results"]] == [3, 3]
    assert json.loads((tmp_path / "results.json").read_text()) == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["against_random.png", "best_so_far.png", "results.json"]


@pytest.mark.usefixtures("_toy")
def test_a_table_on_a_narrow_terminal(monkeypatch):
    """Tried: with a table of rich, the figures end in an ellipsis."""
    monkeypatch.setenv("COLUMNS", "40")
    result = run("toy", "--strategy", "local-search", "--evaluations", "20", "--seeds", "2", "--workers", "1")
    assert "local-search" in result.stdout
    assert "20 evaluations" in result.stdout
    assert "…" not in result.stdout


def test_the_table_has_every_figure_and_fits_80_columns():
    """After ± is the standard error, as everywhere else. Tried: with the deviation, it is ten times as much."""
    numbers = {
        "valid": {"mean": 91.606, "std": 0.123, "standard_error": 0.0123},
        "test": {"mean": 94.37, "std": 0.217, "standard_error": 0.0217},
    }
    row = {"strategy": "reinforce-replay", "seeds": 100, **numbers, "repeats": 120.2, "seconds": 1234.56}
    lines = as_table({"table": "nasbench201", "evaluations": 500, "results": [row]}).splitlines()
    assert lines[0] == "nasbench201: 500 evaluations, mean ± standard error over seeds"
    assert " ".join(lines[-1].split()) == "reinforce-replay 100 91.606 ± 0.012 94.370 ± 0.022 120.2 1234.56"
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("_toy")
def test_a_single_seed_has_no_error():
    result = run("toy", "--strategy", "random", "--evaluations", "20", "--seeds", "1", "--workers", "1")
    assert "±" not in result.stdout.splitlines()[-1]


@pytest.mark.usefixtures("_toy")
def test_settings_reach_their_strategies():
    settings = ("--set", "evolution.population=3", "--set", "evolution.tournament=3", "--set", "controller.hidden=4")
    names = ("--strategy", "evolution", "--strategy", "reinforce")
    run("toy", *names, *settings, "--evaluations", "10", "--seeds", "1", "--workers", "1")


def test_settings_are_parsed():
    parsed = parse_settings(
        ["optuna:tpe.multivariate=false", "table.reward=test_12ep", "a-b.x = 1.5"], ["table", "optuna:tpe", "a-b"]
    )
    assert parsed == {"table": {"reward": "test_12ep"}, "optuna:tpe": {"multivariate": False}, "a-b": {"x": 1.5}}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("population=3", "expected section.key=value"),
        ("evolution.population", "expected section.key=value"),
        ("evolutoin.population=3", "expected a section of table, evolution, got 'evolutoin'"),
    ],
)
def test_wrong_settings(assignment, message):
    with pytest.raises(UsageError, match=message):
        parse_settings([assignment], ["table", "evolution"])


def test_a_value_that_is_nested_too_deeply_is_text():
    """Tried: with a parser of its own for ``--set``, a RecursionError."""
    deep = "[" * 5000
    assert parse_settings([f"table.x={deep}"], ["table"]) == {"table": {"x": deep}}


@pytest.mark.usefixtures("_toy")
def test_a_setting_that_none_of_the_strategies_uses_is_refused():
    with pytest.raises(UsageError, match=r"controller.learning_rate: none of the strategies reinforce-replay uses it"):
        run("toy", "--strategy", "reinforce-replay", "--set", "controller.learning_rate=0.3", "--workers", "1")


def test_pictures_without_matplotlib_are_refused_before_the_search(monkeypatch, tmp_path):
    monkeypatch.setattr("netwright.cli.bench.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=re.escape("pip install 'netwright[plots]'")):
        run("nasbench201", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize("where", ["", "not there", "not there.safetensors"])
def test_no_controller_where_one_was_promised(tmp_path, where):
    with pytest.raises(UsageError, match=r"expected reinforce-0000\.safetensors, .* found none\. Name a folder"):
        run("toy", "--strategy", "reinforce", "--controller-from", str(tmp_path / where), "--workers", "1")


def test_controllers_need_a_folder():
    with pytest.raises(UsageError, match="--keep-controllers: say where with --out DIR"):
        run("nasbench201", "--keep-controllers")


@pytest.mark.data
@needs_data
def test_processes_change_nothing():
    options = ("nasbench201", "--strategy", "evolution", "--strategy", "random", "--evaluations", "60", "--seeds", "4")
    one, two = (json.loads(run(*options, "--json", "--workers", count).stdout) for count in ("1", "2"))
    for row in one["results"] + two["results"]:
        del row["seconds"]
    assert one == two
