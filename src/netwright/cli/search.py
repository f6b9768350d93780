"""``netwright search``: runs a search, or goes on with one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netwright.cli.progress import Progress
from netwright.config import ExperimentConfig, SearchSettings
from netwright.errors import NetwrightError, UsageError
from netwright.experiment import Parts, prepare
from netwright.recipes import find_recipe
from netwright.report.summary import run_summary, run_summary_text
from netwright.report.tensorboard import TensorBoardCurves, tensorboard_is_installed
from netwright.search.loop import Observer
from netwright.search.observers import Observers
from netwright.session import require_ray, run
from netwright.settings_file import override, parse_assignments
from netwright.store.run_folder import RunFolder, run_lock

INTERRUPTED = 130


class ExecutorName(StrEnum):
    """Where children are trained."""

    LOCAL = "local"
    RAY = "ray"


def search(
    recipe: Annotated[
        str | None, typer.Argument(help="A built-in recipe (netwright recipes), or a .toml file. Without it: digits.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data source, e.g. images:DIR.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Architectures to evaluate in all.")] = None,
    hours: Annotated[float | None, typer.Option(help="Stop asking for new ones after so many hours.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to make; runs/RECIPE-TIME without it.")] = None,
    seed: Annotated[int | None, typer.Option(help="The one seed of the run.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Children trained at a time; one per core.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = None,
    executor: Annotated[
        ExecutorName | None, typer.Option(help="Where children are trained: on this machine, or on a cluster.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="The cluster: auto, or HOST:PORT. Without it, Ray is started on this machine.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
    ] = None,
    controller_from: Annotated[
        Path | None, typer.Option(help="Start from the controller of this run, or from a checkpoint of one.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the search of this run folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Search for a network: let a controller design, train what it designs, and let it learn from the results."""
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
    fixed = {
        "RECIPE": recipe,
        "--data": data,
        "--out": out,
        "--seed": seed,
        "--set": settings,
        "--controller-from": controller_from,
    }
    if resume is not None:
        if given := [name for name, value in fixed.items() if value is not None]:
            raise UsageError(f"{', '.join(given)}: fixed when the run began, so not to be given with --resume")
        with run_lock(resume, new=False):
            folder = RunFolder.open(resume, read_only=False)
            config = override(folder.config, {**changes, **threads_shared_again(folder.config.search, workers)})
            if config.search.executor != (began := folder.config.search.executor):
                raise UsageError(f"this search began with --executor {began}, and goes on with it")
            _check_cluster(config, ray_address)
            conduct(
                folder, config, prepare(config, say=_say(quiet)), command="search", quiet=quiet, ray_address=ray_address
            )
    else:
        config = override(find_recipe(recipe or "digits"), parse_assignments(settings or []) | changes)
        path = out or Path("runs") / f"{config.name}-{datetime.now():%Y%m%d-%H%M%S}"
        _check_cluster(config, ray_address)
        with run_lock(path, new=True):
            parts = prepare(config, say=_say(quiet))
            controller = None if controller_from is None else _take_over(parts, controller_from, quiet=quiet)
            folder = RunFolder.create(path, config, parts.task, controller)
            conduct(folder, config, parts, command="search", quiet=quiet, ray_address=ray_address)
    typer.echo(json.dumps(run_summary(folder), allow_nan=False) if as_json else run_summary_text(folder))


def threads_shared_again(began: SearchSettings, workers: int | None) -> dict[str, int]:
    """Changes for a resumption with another number of workers than calibration found: its threads went with those.

    Args:
        began: The settings in the run folder.
        workers: The number asked for; None for as many as before.
    """
    return {"search.threads": 0} if began.calibrate and workers not in (None, began.workers) else {}


def _check_cluster(config: ExperimentConfig, address: str | None) -> None:
    """Checks, before anything is made or read, that a search on Ray has it, and that only such a one has an address.

    Raises:
        UsageError: Not so.
    """
    if config.search.executor == "ray":
        require_ray()
    elif address is not None:
        raise UsageError("--ray-address is for a search on a cluster; add --executor ray")


def _say(quiet: bool) -> Callable[[str], None]:
    """How the preparations tell of themselves."""
    return (lambda line: None) if quiet else partial(print, file=sys.stderr)


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


def conduct(
    folder: RunFolder,
    config: ExperimentConfig,
    parts: Parts,
    *,
    command: str,
    quiet: bool,
    ray_address: str | None = None,
) -> None:
    """Runs a search under the eyes of a person, and says by which command to go on should it stop early.

    Args:
        folder: Open for writing, under its lock.
        config: The folder's, perhaps with more trials or other workers than at its beginning.
        parts: Made from it.
        command: Of which ``--resume`` goes on.
        quiet: Show nothing.
        ray_address: See :func:`netwright.session.run`.
    """
    console = Console(stderr=True)
    try:
        if not quiet:
            line = f"{config.name}: {config.search.trials} trials into {folder.path}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        folder.set_config(config)
        with ExitStack() as open_until_the_end:
            progress = Progress(console, config.search.trials, folder.store.rows(), quiet=quiet)
            observers: list[Observer] = [open_until_the_end.enter_context(progress)]
            if tensorboard_is_installed():
                try:
                    observers.append(open_until_the_end.enter_context(TensorBoardCurves(folder)))
                except OSError as error:
                    print(f"no curves for TensorBoard: {error}", file=sys.stderr)
            run(folder, parts, Observers(*observers), ray_address=ray_address)
    except (KeyboardInterrupt, NetwrightError) as stop:
        if isinstance(stop, NetwrightError):
            print(f"error: {stop}", file=sys.stderr)
        print(f"stopped, and saved; to go on: netwright {command} --resume {folder.path}", file=sys.stderr)
        raise typer.Exit(stop.exit_code if isinstance(stop, NetwrightError) else INTERRUPTED) from None
