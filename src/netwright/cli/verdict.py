"""``netwright verdict``: whether a run found something better than people draw, made later or with more seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.conduct import conduct, interruptible
from netwright.cli.options import RayAddress, Workers
from netwright.cli.terminal import across, tell
from netwright.report.answer import answer_json, answer_text
from netwright.session import check_cluster
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import REFERENCES
from netwright.tasks import kind_of, measure_of
from netwright.verdicts import prepare_verdict, verdict_as, wanted_verdict


def verdict(
    run: Annotated[Path, typer.Argument(help="A run folder, of a search that is finished or was stopped.")],
    seeds: Annotated[
        int | None, typer.Option(min=2, help="Last trainings of each network; these are compared.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Networks of the search that are trained again.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="What to hold it against: a built-in name or a file; repeatable.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Where the data of the search lie now, if they were moved.")] = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Train the best of a search and networks drawn by hand from fresh seeds, and say which is better."""
    options = {"data.source": data, "search.workers": workers}
    changes = {path: value for path, value in options.items() if value is not None}
    with interruptible(run), run_lock(run, new=False):
        folder = RunFolder.open(run, read_only=False)
        check_cluster(folder.config, ray_address, changes)
        kind = kind_of(folder.config)
        named, known = reference or (), folder.task().get(REFERENCES, {})
        wanted = wanted_verdict(folder.config, kind, seeds=seeds, finalists=top, references=named, known=known)
        if (parts := prepare_verdict(folder, wanted, changes=changes, say=tell)) is not None:
            conduct(folder, parts.config, parts, quiet=quiet, ray_address=ray_address, searching=False)
    found = verdict_as(folder, wanted)
    measure = measure_of(folder.config, folder.task())
    typer.echo(
        json.dumps(answer_json(found, measure), allow_nan=False) if as_json else answer_text(found, measure, across())
    )
