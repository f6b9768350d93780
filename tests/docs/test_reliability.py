"""Every promise of ``docs/reliability.md`` names a test that exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r'\[test\]\(\.\./((?:tests|src/netwright/testing)/[\w/]+\.py) "(\w+)"\)', PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_test_of_a_promise_exists(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_one():
    """Each bold sentence and each row of the table above "What is not promised"."""
    promises = PAGE.partition("## What is not promised")[0]
    points = re.split(r"\n- (?=\*\*)|\n(?=\| (?!what|---))", promises)[1:]
    assert len(points) >= 25
    assert [point[:60] for point in points if "[test](" not in point] == []
