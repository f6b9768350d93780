"""``netwright front``: the networks of a run that no other beats in both what they are worth and what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.terminal import across
from netwright.errors import UsageError, command
from netwright.report.columns import wrapped
from netwright.report.front import NAMES, front_json, front_table, fronts_of, save_picture
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of


def front(
    run: Annotated[Path, typer.Argument(help="A run folder, of a search that is finished or under way.")],
    cost: Annotated[
        list[str] | None,
        typer.Option(help="parameters, multiply_adds, activation_bytes or latency_ms; repeatable. Without it: all."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw a picture, of one cost: a name that ends in .svg, .png or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All fronts as one JSON object on standard output.")] = False,
) -> None:
    """List the networks of a run that nothing cheaper beats, for each cost; references among them."""
    folder = RunFolder.open(run)
    fronts = fronts_of(folder, tuple(cost or ()))
    if not fronts:
        raise UsageError(f"{run}: no finished trial tells what it costs")
    measure = measure_of(folder.config, folder.task())
    if plot is not None:
        if cost is not None and len(cost) > 1:
            raise UsageError("--plot draws one cost; name one by --cost")
        save_picture(folder, next(iter(fronts)), plot)
    if as_json:
        typer.echo(json.dumps(front_json(fronts, measure), allow_nan=False))
        return
    width = across()
    about = "Each is better than all that are cheaper; of one training, that may be luck."
    parts = [wrapped(about, width)]
    parts += [
        f"By {measure.on_validation} and {NAMES[name]}:\n{front_table(networks, name, measure, width)}"
        for name, networks in fronts.items()
    ]
    typer.echo("\n\n".join([*parts, f"Any of them: {command('show', run)} --trial N; train and export take it, too."]))
