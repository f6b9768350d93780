"""``netwright recipes``: what there is to search."""

from __future__ import annotations

from typing import Annotated

import typer

from netwright.cli.errors import echo
from netwright.cli.terminal import across, tell_next
from netwright.recipes import RECIPES, find_recipe
from netwright.report.columns import hanging


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe's complete TOML.")] = None,
) -> None:
    """List the built-in recipes, or print one as TOML to start your own from."""
    if name is not None:
        echo(find_recipe(name).to_toml(), nl=False)
        return
    width = max(map(len, RECIPES))
    columns = across()
    for known, recipe in RECIPES.items():
        summary = (recipe.__doc__ or "").splitlines()[0].replace("``", "")
        echo(hanging(f"{known:{width}}  ", summary, columns))
    steps = {"netwright search NAME": "begin the search", "netwright recipes NAME": "its settings, as TOML"}
    tell_next(steps)
