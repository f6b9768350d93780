"""``netwright search``: runs a search, or resumes one."""

from __future__ import annotations

import json
import math
import sys
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Annotated

import typer

from netwright.answer import verdict_in
from netwright.cli.conduct import ExecutorName, at_cluster, conduct, interruptible, teller
from netwright.cli.options import Device, RayAddress, Workers, refuse_with_resume
from netwright.cli.terminal import across, tell_next
from netwright.config import ExperimentConfig
from netwright.errors import AllChildrenFailError, UsageError
from netwright.errors import command as command_line
from netwright.experiment import Parts, prepare, refuse_other_data
from netwright.recipes import find_recipe
from netwright.report.summary import run_summary, run_summary_text
from netwright.session import check_cluster, resumed_with
from netwright.settings_file import override, parse_assignments
from netwright.store.lock import run_lock
from netwright.store.ranking import best_trial, searched
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import REFERENCES
from netwright.tasks import kind_of
from netwright.trial import Phase, State

RESUMING = ("search", "--resume")
"""The words of the command that resumes a search, before the folder."""


def search(
    recipe: Annotated[
        str | None, typer.Argument(help="A built-in recipe (netwright recipes), or a .toml file. Without it: digits.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data source, e.g. images:DIR; with --resume, where the same data lie now.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Architectures to evaluate in all.")] = None,
    hours: Annotated[float | None, typer.Option(help="Stop asking for new ones after so many hours.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to make; runs/RECIPE-TIME without it.")] = None,
    seed: Annotated[int | None, typer.Option(help="The one seed of the run.")] = None,
    workers: Workers = None,
    device: Device = None,
    executor: Annotated[
        ExecutorName | None, typer.Option(help="Where children are trained: on this machine, or on a cluster.")
    ] = None,
    ray_address: RayAddress = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
    ] = None,
    controller_from: Annotated[
        Path | None, typer.Option(help="Start from the controller of this run, or from a checkpoint of one.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume the search of this run folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on standard output.")] = False,
    no_verdict: Annotated[
        bool, typer.Option("--no-verdict", help="End with the search; netwright verdict RUN gives the answer later.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Show the search in TensorBoard, which is started and ended with it.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Search for a network: a controller designs, what it designs is trained, and it learns from the results."""
    options = {
        "search.executor": executor and executor.value,
        "search.trials": trials,
        "search.hours": hours,
        "search.seed": seed,
        "search.workers": workers,
        "search.device": device,
        "data.source": data,
    }
    changes = {path: value for path, value in options.items() if value is not None}
    if resume is None:
        config = override(find_recipe(recipe or "digits"), parse_assignments(settings or []) | changes).located()
        if no_verdict and config.verdict is not None:
            config = override(config, {"verdict.at_end": False})
        path = out or _new_folder(config.name)
        check_cluster(config, ray_address)
        resuming: tuple[object, ...] | None = (*RESUMING, path, *at_cluster(ray_address))
    else:
        fixed = {
            "RECIPE": recipe,
            "--out": out,
            "--seed": seed,
            "--set": settings,
            "--controller-from": controller_from,
            "--no-verdict": no_verdict or None,
        }
        refuse_with_resume(fixed, "the run")
        path, resuming = resume, None
    with interruptible(path, resuming), run_lock(path, new=resume is None):
        if resume is None:
            parts = prepare(config, say=teller(quiet))
            controller = None if controller_from is None else _take_over(parts, controller_from, quiet=quiet)
            folder = RunFolder.create(path, parts.config, parts.task, controller, parts.report)
        else:
            folder = RunFolder.open(path, read_only=False)
            there = folder.task()
            config = resumed_with(folder, folder.config, changes)
            check_cluster(config, ray_address, changes)
            parts = prepare(config, say=teller(quiet), run=path, known=there.get(REFERENCES, {}))
            refuse_other_data(there, parts.task, path, config.data.source)
        shown = {"quiet": quiet, "dashboard": dashboard}
        conduct(folder, parts.config, parts, resuming=resuming, ray_address=ray_address, **shown)
    typer.echo(json.dumps(run_summary(folder), allow_nan=False) if as_json else run_summary_text(folder, across()))
    _refuse_all_failed(folder, ray_address)
    if not quiet and best_trial(searched(folder.store.rows())) is not None:
        steps = {command_line("train", path): "train it to the end, test it once"}
        if verdict_in(folder) is not None:
            steps[command_line("train", path, "--compare")] = "and the best one drawn by hand: does the lead last?"
        elif folder.config.verdict is not None:
            verdict = command_line("verdict", path, *at_cluster(ray_address))
            steps[verdict] = "is it better than the best one drawn by hand?"
        if ways := _ways_to_train(folder.config):
            steps[command_line("tune", path)] = f"before that, if you like: try {ways} ways to train it"
        tell_next(steps | {command_line("report", path): "the run as one page"})


def _ways_to_train(config: ExperimentConfig) -> int:
    """Points of the grid that a tuning of the run tries; 0 for a kind of task that has none."""
    from netwright.networks.tuning import default_grid

    kind = kind_of(config)
    return math.prod(map(len, default_grid(kind, config.child).grid.values())) if kind.grid else 0


def _new_folder(name: str) -> Path:
    """A run folder that is not there yet, named after the recipe and the time."""
    named = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    places = (Path("runs", named + suffix) for suffix in chain(("",), (f"-{number}" for number in count(2))))
    return next(place for place in places if not place.exists())


def _refuse_all_failed(folder: RunFolder, ray_address: str | None) -> None:
    """A search that has found nothing does not end as one that has: what comes after it in a script needs a network.

    Args:
        folder: Of the search.
        ray_address: See :func:`netwright.session.run`.

    Raises:
        AllChildrenFailError: Trials have ended, and not one with a result.
        UsageError: The time was over before any trial of the search.
    """
    rows = folder.store.rows()
    ended = [row for row in searched(rows) if row.state is not State.RUNNING]
    if not ended and (hours := folder.config.search.hours) is not None:
        because = ", with trainings of references" if any(row.phase is Phase.REFERENCE for row in rows) else ""
        raise UsageError(
            f"no network was searched: search.hours={hours:g} went by before{because}; "
            f"go on with more: {command_line(*RESUMING, folder.path, *at_cluster(ray_address), '--hours')} N"
        )
    if ended and all(row.state is State.FAILED for row in ended):
        last = (ended[-1].error or "").strip().splitlines()
        every = f"all {len(ended)} trials failed; the last one" if len(ended) > 1 else "the only trial failed"
        raise AllChildrenFailError(f"{every}: {last[-1] if last else 'no reason'}")


def _take_over(parts: Parts, source: Path, *, quiet: bool) -> bytes:
    """Gives a fresh strategy the controller of another search; returns that controller's checkpoint.

    Raises:
        UsageError: There is no controller, or nothing of it carries over.
    """
    from netwright.strategies.by_name import take_over_controller

    checkpoint = RunFolder.open(source).last_controller() if source.is_dir() else source
    report = take_over_controller(parts.strategy, checkpoint)
    if not quiet:
        print(f"controller of {source}: carried over {', '.join(report.carried)}", file=sys.stderr)
        if report.left_out:
            print(f"left out: {', '.join(report.left_out)}", file=sys.stderr)
    return checkpoint.read_bytes()
