"""The reference says what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from netwright.benchmarks.toy import toy_table
from netwright.recipes import find_recipe
from netwright.search.strategy import Informed
from netwright.strategies.by_name import STRATEGIES, make_strategy
from netwright.strategies.replay import ReplaySettings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_reference", REFERENCE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_has_help_and_stands_in_the_reference(make):
    page = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    for name, command in make.commands():
        assert command.help, f"netwright {name} has no help"
        assert f"\n## netwright {name}\n" in page, f"netwright {name}: run python docs/reference/make.py"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"netwright {name}: {parameter.name} has no help"


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.name)
def test_made_parts_are_as_the_code_would_write_them(make, page):
    text = page.read_text(encoding="utf-8")
    assert make.PART.search(text), f"{page.name} has no made part"
    assert text == make.renewed(text), f"{page.name} is behind the code: run python docs/reference/make.py"


def test_every_setting_is_explained(make):
    for line in make.settings_part().splitlines():
        assert not line.startswith("| `") or not line.endswith("|  |"), f"no meaning in the docstring: {line}"


def test_every_package_says_what_it_is():
    for path in sorted((ROOT / "src" / "netwright").glob("*/__init__.py")):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n\n") >= 1, f"{path.parent.name}: expected a docstring that defines the noun"
        assert "``" in text or ":class:" in text, f"{path.parent.name}: expected the public names in the docstring"


def test_the_page_on_tables_says_what_is_different_in_a_search():
    """Tried: without that part of the page, none of the options stands there."""
    page = " ".join((ROOT / "docs" / "how-to" / "compare.md").read_text(encoding="utf-8").split())
    alone, recipe = ReplaySettings(), find_recipe("images").strategy.options
    for option in ("screen", "mutants", "queue", "warmup"):
        assert f"`{option}` {getattr(alone, option):g}" in page
        assert f"`{option}` {recipe[option]:g}" in page
    cells = find_recipe("text").strategy.options
    of_cells = page[page.index("those for cells") :]
    assert all(f"`{option}` {value:g}" in of_cells for option, value in cells.items())
    assert (alone.families, recipe["families"]) == (False, True)
    assert "`families` off" in page
    assert "`families` on" in page
    told = [name for name in STRATEGIES if isinstance(make_strategy(name, toy_table().space), Informed)]
    assert told == ["reinforce-replay"]
    assert "`reinforce-replay` alone is told their rewards" in page
