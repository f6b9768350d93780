"""``netwright trials``: the table of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.errors import echo
from netwright.cli.terminal import across
from netwright.report.summary import trials_text
from netwright.store.ranking import best_first
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of


def trials(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    top: Annotated[int | None, typer.Option(min=1, help="Only the best N.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects on standard output.")] = False,
) -> None:
    """Show the trials of a run, best first; also of one that is under way."""
    folder = RunFolder.open(run)
    if not as_json:
        echo(trials_text(folder, top, across()))
        return
    rows = best_first(folder.store.rows())[:top]
    measure = measure_of(folder.config, folder.task())
    objects = [
        {
            "id": row.id,
            "state": row.state.value,
            "phase": row.phase.value,
            "tokens": row.tokens,
            "reward": row.reward,
            "measure": measure.name,
            "metrics": row.measured,
            "architecture": json.loads(row.architecture),
            "curve": row.curve,
            "error": row.error,
            "seconds": row.seconds,
        }
        for row in rows
    ]
    echo(json.dumps(objects, indent=1, allow_nan=False))
