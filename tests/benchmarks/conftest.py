"""Small files in the layout of the real tables."""

import csv
import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from netwright.benchmarks import nasbench201, nasbench_macro
from netwright.spaces.grammar import every_string


@pytest.fixture(scope="session")
def benchmark_script() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of the folder ``benchmarks`` by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        yield import_module


@pytest.fixture(scope="session")
def cells():
    """Rows of a complete NAS-Bench-201 file for a data set ``svhn``, accuracies made up."""
    random = Random(0)
    rows = [["index", "cell", "svhn_valid_12ep", "svhn_test_12ep", "svhn_test_200ep"]]
    for index, tokens in enumerate(every_string(nasbench201.SPACE.plan())):
        accuracies = [f"{random.uniform(10, 90):.3f}" for _ in range(3)]
        rows.append([str(index), nasbench201.format_cell(nasbench201.SPACE.decode(tokens)), *accuracies])
    return rows


@pytest.fixture
def write_cells(tmp_path):
    def write(rows):
        path = tmp_path / "svhn.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


@pytest.fixture(scope="session")
def chains():
    """A complete NAS-Bench-Macro table, three accuracies each."""
    random = Random(1)
    table = {}
    for tokens in every_string(nasbench_macro.SPACE.plan()):
        runs = [random.uniform(80, 93) for _ in range(3)]
        table["".join(map(str, tokens))] = {"test_acc": runs, "mean_acc": sum(runs) / 3, "params": 1, "flops": 1}
    return table


@pytest.fixture
def write_chains(tmp_path):
    def write(table):
        path = tmp_path / "macro.json"
        path.write_text(json.dumps(table))
        return path

    return write
