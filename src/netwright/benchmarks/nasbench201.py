"""NAS-Bench-201: all 15,625 cells of six edges and five operations, trained (Dong & Yang 2020)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from netwright.benchmarks.tabular import Choices, TabularEvaluator, fraction, read_text
from netwright.errors import ArchitectureError, DataError
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice, count_strings, every_string
from netwright.trial import Evaluation

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(from, to) in the order of the cell string."""

SPACE = ChoiceSpace(
    name="nasbench201",
    decisions=tuple(Choice(f"edge_{source}_{target}", OPERATIONS) for source, target in EDGES),
)

Column = Literal["valid_12ep", "test_12ep", "test_200ep"]
COLUMNS: tuple[Column, ...] = ("valid_12ep", "test_12ep", "test_200ep")

_CELL = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


def parse_cell(cell: str) -> ChoiceArchitecture:
    """The architecture of a cell string such as ``|none~0|+|none~0|none~1|+|none~0|none~1|none~2|``.

    Raises:
        ArchitectureError: Not of that form, or an unknown operation.
    """
    match = _CELL.fullmatch(cell)
    if match is None:
        raise ArchitectureError(f"expected a cell like |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got {cell!r}")
    tokens = [decision.token(name) for decision, name in zip(SPACE.decisions, match.groups(), strict=True)]
    return SPACE.decode(tokens)


def format_cell(architecture: ChoiceArchitecture) -> str:
    """The cell string of an architecture; the inverse of :func:`parse_cell`."""
    nodes: dict[int, str] = {}
    for (source, target), (_, operation) in zip(EDGES, architecture.choices, strict=True):
        nodes[target] = nodes.get(target, "|") + f"{operation}~{source}|"
    return "+".join(nodes.values())


def load(
    path: Path, *, reward: Column = "valid_12ep", result: Column = "test_200ep", dataset: str | None = None
) -> TabularEvaluator:
    """Reads a CSV file with the columns ``cell`` and ``<dataset>_valid_12ep``, ``_test_12ep``, ``_test_200ep``.

    Args:
        path: The file; one row per cell, accuracies in per cent. Other columns are ignored.
        reward: The column that a search sees.
        result: The column that a comparison reports.
        dataset: Which data set, where the file has columns of several.

    Raises:
        DataError: A column or cell is missing or double, or a value is no accuracy; names the line.
    """
    rows = csv.reader(io.StringIO(read_text(path)))
    header = next(rows, [])
    place_of = _find_columns(path, header, dataset)
    runs: dict[Choices, tuple[Evaluation, ...]] = {}
    line_of: dict[Choices, int] = {}
    for row in filter(None, rows):
        line = f"{path}: line {rows.line_num}"
        if len(row) != len(header):
            raise DataError(f"{line}: expected {len(header)} values, as in the first line, got {len(row)}")
        try:
            cell = parse_cell(row[place_of["cell"]]).choices
        except ArchitectureError as error:
            raise DataError(f"{line}, column cell: {error}") from None
        if cell in runs:
            raise DataError(f"{line}: the cell of line {line_of[cell]} again; remove one of the two lines")
        value = {name: fraction(row[place_of[name]], f"{line}, column {header[place_of[name]]}") for name in COLUMNS}
        runs[cell] = (Evaluation(valid=value[reward], metrics={"test": value[result]}),)
        line_of[cell] = rows.line_num
    _check_complete(path, runs)
    return TabularEvaluator("nasbench201", SPACE, runs)


def _find_columns(path: Path, header: Sequence[str], dataset: str | None) -> dict[str, int]:
    """Where ``cell`` and the three columns of a data set stand."""
    known = [name.removesuffix(f"_{COLUMNS[0]}") for name in header if name.endswith(f"_{COLUMNS[0]}")]
    if dataset is None and len(known) > 1:
        raise DataError(f"{path}: has the data sets {', '.join(known)}; choose one with --set table.dataset=NAME")
    name = dataset or (known[0] if known else "<name>")
    wanted = {"cell": "cell"} | {column: f"{name}_{column}" for column in COLUMNS}
    if missing := [column for column in wanted.values() if column not in header]:
        raise DataError(
            f"{path}: line 1: expected the columns {', '.join(wanted.values())}, got {', '.join(header) or 'none'}; "
            f"add {', '.join(missing)}"
        )
    return {column: header.index(title) for column, title in wanted.items()}


def _check_complete(path: Path, runs: Mapping[Choices, object]) -> None:
    expected = count_strings(SPACE.plan())
    if len(runs) == expected:
        return
    missing = next(cell for cell in map(SPACE.decode, every_string(SPACE.plan())) if cell.choices not in runs)
    raise DataError(
        f"{path}: expected all {expected:,} cells, got {len(runs):,}; add the missing lines, the first of which is "
        f"{format_cell(missing)}"
    )
