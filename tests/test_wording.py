"""Times and counts in the words that every part of netwright uses."""

import ast
from pathlib import Path

import pytest

import netwright
from netwright.wording import counted, duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 seconds"),
        (0.44, "0.4 seconds"),
        (1.0, "1 second"),
        (9.96, "10 seconds"),
        (45.2, "45 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (150, "2.5 minutes"),
        (1812, "30 minutes"),
        (7199, "120 minutes"),
        (7200, "2 hours"),
        (9000, "2.5 hours"),
        (360_000, "100 hours"),
        (7_200_000, "2,000 hours"),
    ],
)
def test_a_duration_has_the_unit_that_a_person_would_take(seconds, said):
    assert duration(seconds) == said


def test_one_thing_is_not_several():
    assert [counted(number, "defect") for number in (0, 1, 1200)] == ["0 defects", "1 defect", "1,200 defects"]
    assert counted(2, "class", "classes") == "2 classes"


def test_no_other_module_says_a_time_in_its_own_words():
    """Three did, and said the same time in three ways. Tried: it finds those two that divide by a number of seconds."""
    found = []
    for path in Path(netwright.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        divides = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FormattedValue)
            and any(
                isinstance(part, ast.BinOp)
                and isinstance(part.op, ast.Div)
                and isinstance(part.right, ast.Constant)
                and part.right.value in (60, 3600, 86400)
                for part in ast.walk(node)
            )
        ]
        found += [path.name] * bool(divides)
    assert found == []
