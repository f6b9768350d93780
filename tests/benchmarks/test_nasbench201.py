"""The NAS-Bench-201 space and its files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.benchmarks.nasbench201 import OPERATIONS, SPACE, format_cell, load, parse_cell
from netwright.errors import ArchitectureError, DataError
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice, count_strings

CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


def test_the_space_has_15625_cells():
    assert count_strings(SPACE.plan()) == 15_625


def test_a_cell_string_is_read_edge_by_edge():
    assert dict(parse_cell(CELL).choices) == {
        "edge_0_1": "avg_pool_3x3",
        "edge_0_2": "nor_conv_1x1",
        "edge_1_2": "skip_connect",
        "edge_0_3": "nor_conv_1x1",
        "edge_1_3": "skip_connect",
        "edge_2_3": "skip_connect",
    }


@given(st.tuples(*[st.integers(0, len(OPERATIONS) - 1)] * 6))
def test_cell_strings_and_tokens_are_one_to_one(tokens):
    assert SPACE.encode(parse_cell(format_cell(SPACE.decode(tokens)))) == tokens


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "expected a cell like"),
        (CELL.replace("~2", "~3"), "expected a cell like"),
        (CELL + "|none~0|", "expected a cell like"),
        (CELL.replace("avg_pool", "max_pool"), "edge_0_1: expected one of none, skip_connect"),
    ],
)
def test_other_strings_are_refused(cell, message):
    with pytest.raises(ArchitectureError, match=message):
        parse_cell(cell)


def test_the_data_set_is_found_in_the_columns(cells, write_cells):
    table = load(write_cells(cells))
    _, cell, valid, test_12ep, test_200ep = cells[7]
    evaluation = table.evaluate(parse_cell(cell), seed=3)
    assert evaluation.valid == pytest.approx(float(valid) / 100)
    assert evaluation.metrics["test"] == pytest.approx(float(test_200ep) / 100)
    other = load(write_cells(cells), reward="test_12ep", result="valid_12ep").evaluate(parse_cell(cell), seed=3)
    assert other.valid == pytest.approx(float(test_12ep) / 100)
    assert other.metrics["test"] == pytest.approx(float(valid) / 100)
    assert len(table) == 15_625


def test_other_columns_do_no_harm(cells, write_cells):
    path = write_cells([[*row, "seconds"] for row in cells])
    assert len(load(path)) == 15_625


def test_of_two_data_sets_one_must_be_named(cells, write_cells):
    other = [title.replace("svhn", "eurosat") for title in cells[0][2:]]
    path = write_cells([[*cells[0], *other], *([*row, *row[2:]] for row in cells[1:])])
    with pytest.raises(DataError, match=r"the data sets svhn, eurosat; choose .* table\.dataset=NAME"):
        load(path)
    assert len(load(path, dataset="eurosat")) == 15_625


def _edit(rows, line, column, value):
    return [[value if (r, c) == (line - 1, column) else v for c, v in enumerate(row)] for r, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: [], "line 1: expected the columns cell, <name>_valid_12ep, .*, got none"),
        (lambda rows: _edit(rows, 1, 1, "cel"), "line 1: expected the columns .*; add cell$"),
        (lambda rows: _edit(rows, 1, 2, "svhn_valid"), "line 1: .*; add <name>_valid_12ep"),
        (lambda rows: _edit(rows, 1, 4, "svhn_test"), "line 1: .*; add svhn_test_200ep$"),
        (lambda rows: _edit(rows, 3, 3, "n/a"), "line 3, column svhn_test_12ep: expected an accuracy from 0 to 100"),
        (lambda rows: _edit(rows, 3, 2, "nan"), "line 3, column svhn_valid_12ep: expected an accuracy"),
        (lambda rows: _edit(rows, 3, 4, "101"), "line 3, column svhn_test_200ep: expected an accuracy"),
        (lambda rows: _edit(rows, 4, 1, "|none~0|"), "line 4, column cell: expected a cell like"),
        (lambda rows: [*rows, rows[5]], "line 15627: the cell of line 6 again; remove one"),
        (lambda rows: rows[:5] + rows[6:], r"expected all 15,625 cells, got 15,624; add .* \|none~0\|"),
        (lambda rows: [rows[0], rows[1][:-1], *rows[2:]], "line 2: expected 5 values, as in the first line, got 4"),
    ],
)
def test_every_defect_is_one_clear_error(cells, write_cells, damage, message):
    path = write_cells(damage(cells))
    with pytest.raises(DataError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        load(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"cell\xff\xfe")
    with pytest.raises(DataError, match="expected UTF-8 text, got other bytes at offset 4"):
        load(tmp_path / "binary.csv")


def test_what_is_not_in_the_table_is_refused(cells, write_cells):
    table = load(write_cells(cells))
    stranger = ChoiceSpace("tea", (Choice("sugar", (0, 1)),)).decode((1,))
    with pytest.raises(ArchitectureError, match="expected an architecture of the space 'nasbench201'"):
        table.evaluate(stranger, seed=0)
    cell = parse_cell(CELL).model_copy(update={"choices": (("edge_0_1", "max_pool_3x3"),)})
    with pytest.raises(ArchitectureError, match="not in the table: edge_0_1=max_pool_3x3"):
        table.evaluate(cell, seed=0)
