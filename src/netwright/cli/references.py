"""``netwright references``: the networks drawn by hand that a recipe is held against."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from netwright.answer import proposed, references_in
from netwright.errors import UsageError
from netwright.experiment import prepare
from netwright.recipes import find_recipe
from netwright.report.columns import columns
from netwright.settings_file import override, parse_assignments
from netwright.spaces.diagram import draw
from netwright.tasks import kind_of


def references(
    recipe: Annotated[str, typer.Argument(help="A built-in recipe (netwright recipes), or a .toml file.")],
    data: Annotated[str | None, typer.Option(help="Data source, e.g. images:DIR.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
    ] = None,
    drawn: Annotated[bool, typer.Option("--draw", help="Draw each of them, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects on standard output.")] = False,
) -> None:
    """List the networks that a search has to beat: as people draw them, as wide as the budget allows."""
    changes = parse_assignments(settings or []) | ({} if data is None else {"data.source": data})
    config = override(find_recipe(recipe), changes | {"search.workers": 1})
    if config.verdict is None or not config.verdict.references:
        raise UsageError(f"{recipe} has no references; netwright verdict RUN names some for any run")
    task, kind = prepare(config).task, kind_of(config)
    objects, drawings = [], []
    for name, (architecture, tokens) in references_in(task).items():
        objects.append(
            {
                "name": name,
                **kind.cost(architecture, task),
                "in_the_space": proposed(tokens, config) is not None,
                "architecture": architecture.model_dump(mode="json"),
            }
        )
        drawings.append(draw(architecture, task))
    if as_json:
        typer.echo(json.dumps(objects, indent=1))
        return
    costs = [name for name in ("parameters", "multiply_adds") if name in objects[0]]  # of cells nothing is known yet
    rows = [["", *(name.replace("_", "-") for name in costs), "in the search space"]]
    for entry in objects:
        inside = "yes" if entry["in_the_space"] else "no"
        rows.append([str(entry["name"]), *(f"{entry[name]:,}" for name in costs), inside])
    head, *lines = columns(rows)
    typer.echo(head)
    for line, drawing in zip(lines, drawings, strict=True):
        typer.echo(f"{line}\n{drawing}\n" if drawn else line)
