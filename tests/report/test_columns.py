"""Plain tables: nothing is left out, whatever the width."""

import re

import pytest

from netwright.report.columns import aligned, columns, hanging, wrapped


def test_cells_stand_below_each_other():
    lines = columns([["network", "valid"], ["found (trial 3)", "0.9"], ["vgg", "0.85"]])
    assert lines == ["network          valid", "found (trial 3)    0.9", "vgg               0.85"]


def test_several_columns_of_names():
    assert columns([["a", "bb", "1"], ["aa", "b", "22"]], left=2) == ["a   bb   1", "aa  b   22"]


ROWS = [
    ["", "accuracy, validation", "multiply-adds"],
    ["found (trial 3)", "0.9 ± 0.1", "123"],
    ["vgg (drawn by hand)", "0.8 ± 0.1", "1,234"],
]


def test_a_table_that_is_too_wide_has_its_head_broken_and_then_its_names():
    """Tried: left to the terminal, the end of each line begins the next one, and columns cannot be told apart."""
    assert columns(ROWS, width=None) == columns(ROWS, width=60)
    assert columns(ROWS, width=42) == [
        "                      accuracy,  multiply-",
        "                     validation       adds",
        "found (trial 3)       0.9 ± 0.1        123",
        "vgg (drawn by hand)   0.8 ± 0.1      1,234",
    ]
    assert columns(ROWS, width=40) == [
        "                  accuracy,  multiply-",
        "                 validation       adds",
        "found             0.9 ± 0.1        123",
        "(trial 3)",
        "vgg               0.8 ± 0.1      1,234",
        "(drawn by hand)",
    ]
    assert columns(ROWS, width=5) == columns(ROWS, width=40), "narrower than it can be"
    words = sorted(re.findall(r"[\w.±]+", " ".join(" ".join(row) for row in ROWS)))
    for width in (None, 42, 40):
        assert sorted(re.findall(r"[\w.±]+", " ".join(columns(ROWS, width=width)))) == words


def test_a_text_hangs_beside_its_name():
    text = "words that do not fit into one line of thirty"
    assert hanging("name  ", text, 30) == "name  words that do not fit\n      into one line of thirty"
    assert hanging("name  ", text, None) == hanging("name  ", text, 20) == f"name  {text}"
    assert wrapped(text, 30) == "words that do not fit into one\nline of thirty"
    assert wrapped(text, None) == text
    path = "into runs/a-path-that-is-longer-than-the-line"
    assert wrapped(path, 30) == path.replace(" ", "\n"), "a path that is broken is another one"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.2841, 0.217, 0.04356], ["0.2841", "0.2170", "0.0436"]),
        ([29.7, 30.54, None, 102.0], ["29.7", "30.5", "", "102.0"]),
        ([74_170, 4_201_630.0], ["74,170", "4,201,630"]),
        ([0.6, 0.00001], ["0.6", "1e-05"]),
        ([-250.3, 0.0], ["-250.3", "0.0"]),
        ([1e-9, 2e-9], ["1e-09", "2e-09"]),
        ([0.0, 0.0], ["0", "0"]),
        ([None], [""]),
    ],
)
def test_the_numbers_of_a_column_have_as_many_decimals_each(values, shown):
    """Tried: each with its own digits, 0.217 stands below 0.2127 as if it were the smaller one."""
    assert aligned(values) == shown
