"""Tables by name, the toys, and the real files where they are at hand."""

import os
from pathlib import Path

import pytest

from netwright.benchmarks import tables
from netwright.benchmarks.nasbench201 import SPACE as SPACE_201
from netwright.benchmarks.tables import load_table
from netwright.benchmarks.toy import BEST, SPACE, ToyConvEvaluator, toy_table
from netwright.errors import ArchitectureError, DataError, UsageError
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import every_string

needs_data = pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder of tables")


def test_a_table_is_looked_for_in_the_data_folder(cells, write_cells, monkeypatch):
    path = write_cells(cells)
    (path.parent / "nasbench201").mkdir()
    path.rename(path.parent / "nasbench201" / "cifar10.csv")
    monkeypatch.setenv("NETWRIGHT_DATA", str(path.parent))
    assert len(load_table("nasbench201")) == 15_625


@pytest.mark.parametrize("folder", [None, "empty"])
def test_nas_bench_macro_comes_with_netwright(monkeypatch, tmp_path, folder):
    monkeypatch.delenv("NETWRIGHT_DATA", raising=False)
    if folder is not None:
        monkeypatch.setenv("NETWRIGHT_DATA", str(tmp_path))
    table = load_table("nasbench-macro")
    assert len(table) == 6_561
    best = table.evaluate(table.space.decode((2, 2, 1, 1, 2, 1, 0, 1)), seed=0).valid
    assert 0.8 < best < 0.95
    licence = Path(tables.__file__).with_name("nas-bench-macro.LICENSE.txt").read_text(encoding="utf-8")
    assert "Copyright 2021 Xiu Su" in licence


@pytest.mark.data
@needs_data
def test_the_copy_is_the_published_table():
    shipped = load_table("nasbench-macro", Path(tables.__file__).with_name("nas-bench-macro.json.gz"), reward="one")
    published = load_table("nasbench-macro", reward="one")
    for tokens in every_string(shipped.space.plan()):
        network = shipped.space.decode(tokens)
        for seed in range(3):
            ours, theirs = shipped.evaluate(network, seed=seed), published.evaluate(network, seed=seed)
            assert ours.valid == pytest.approx(theirs.valid, abs=1e-6)


def test_a_file_that_is_not_compressed_is_one_clear_error(tmp_path):
    (tmp_path / "table.json.gz").write_text("{}")
    with pytest.raises(DataError, match=r"table.json.gz: expected a file compressed by gzip"):
        load_table("nasbench-macro", tmp_path / "table.json.gz")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nasbench301", {}, "expected one of the tables nasbench201, nasbench-macro, got 'nasbench301'"),
        ("nasbench201", {}, "give the table's file with --table, or its folder in NETWRIGHT_DATA"),
        ("nasbench201", {"path": Path("x"), "noise": 1}, "table.noise: nasbench201 has the options reward, result"),
        (
            "nasbench-macro",
            {"path": Path("x"), "reward": "best"},
            "table.reward: expected one of mean, one, got 'best'",
        ),
    ],
)
def test_wrong_names_and_options(name, options, message, monkeypatch):
    monkeypatch.delenv("NETWRIGHT_DATA", raising=False)
    with pytest.raises(UsageError, match=message):
        load_table(name, **options)


def test_the_best_of_the_toy_is_known_and_single():
    table = toy_table()
    value = {tokens: table.evaluate(SPACE.decode(tokens), 0).valid for tokens in every_string(SPACE.plan())}
    assert max(value, key=value.__getitem__) == BEST
    assert sorted(value.values())[-2] < value[BEST] == pytest.approx(1.0)


def test_the_best_of_the_convolutional_toy():
    space = ConvSpace(depth=3)
    best = space.decode((1, 1, 0, 2, 1, 1, 0b1, 2, 1, 1, 0b10, 2))
    assert ToyConvEvaluator().evaluate(best, 0).valid == 1.0
    with pytest.raises(ArchitectureError, match="expected a convolutional network, got kind 'choice'"):
        ToyConvEvaluator().evaluate(SPACE.decode(BEST), 0)


@pytest.mark.data
@needs_data
def test_nasbench201_of_cifar10():
    table = load_table("nasbench201")
    evaluations = [table.evaluate(SPACE_201.decode(t), 0) for t in every_string(SPACE_201.plan())]
    best = max(evaluations, key=lambda evaluation: evaluation.valid)
    assert best.valid == pytest.approx(0.84892)
    assert best.metrics["test"] == pytest.approx(0.943733)


@pytest.mark.data
@needs_data
def test_equal_networks_of_nasbench_macro_have_equal_entries():
    table = load_table("nasbench-macro")
    best = 0.0
    for tokens in every_string(table.space.plan()):
        network = table.space.decode(tokens)
        evaluation = table.evaluate(network, 0)
        assert evaluation == table.evaluate(table.space.canonical(network), 0)
        best = max(best, evaluation.valid)
    assert best == pytest.approx(0.9312666, abs=1e-6)
