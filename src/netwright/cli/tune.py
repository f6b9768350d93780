"""``netwright tune``: a small grid of training settings, tried on the best architecture of a search."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from netwright.answer import best_rows
from netwright.cli.conduct import ExecutorName, at_cluster, conduct, interruptible, teller
from netwright.cli.options import Device, RayAddress, Workers, refuse_with_resume
from netwright.cli.terminal import across, tell
from netwright.config import ExperimentConfig
from netwright.errors import UsageError, command
from netwright.experiment import refuse_other_data
from netwright.networks.finding import find_network, find_trial, trial_network
from netwright.networks.network import Network
from netwright.networks.tuning import candidates_of, prepare_tuning, tuning_of
from netwright.report.summary import run_summary, trials_text
from netwright.session import check_cluster, resumed_with
from netwright.settings_file import parse_assignments
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.wording import counted, duration

RESUMING = ("tune", "--resume")
"""The words of the command that resumes a tuning, before the folder."""


def tune(
    what: Annotated[str | None, typer.Argument(metavar="RUN|ARCH.json|NAME", help="As for netwright show.")] = None,
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    top: Annotated[int, typer.Option(min=1, help="Try the grid on so many of the run's best architectures.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of each training; the search's without it.")] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Try so many points of the grid, drawn by the seed; all without it.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data source; with --resume, where the same data lie now.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to make; runs/tune-NAME-TIME without it.")] = None,
    seed: Annotated[int | None, typer.Option(help="The one seed of the tuning.")] = None,
    workers: Workers = None,
    device: Device = None,
    executor: Annotated[
        ExecutorName | None, typer.Option(help="Where children are trained: on this machine without it.")
    ] = None,
    ray_address: RayAddress = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="E.g. tuning.grid.weight_decay=[0,0.1]; repeatable."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume the tuning of this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Try a grid of training settings on the best architecture; netwright train then takes the best of them."""
    options = {
        "data.source": data,
        "child.epochs": epochs,
        "search.seed": seed,
        "search.workers": workers,
        "search.device": device,
    }
    changes = {path: value for path, value in options.items() if value is not None}
    if resume is None:
        if what is None:
            raise UsageError("name what to tune: a run folder, an architecture file or a published name")
        networks = _candidates(what, trial, top)
        where = executor.value if executor is not None else "local"
        settled = parse_assignments(settings or []) | changes
        config = tuning_of(list(networks.values()), settled, executor=where, trials=trials)
        check_cluster(config, ray_address, settled)
        path = out or Path("runs") / f"tune-{Path(what).stem}-{datetime.now():%Y%m%d-%H%M%S}"
        resuming: tuple[object, ...] | None = (*RESUMING, path, *at_cluster(ray_address))
    else:
        fixed = {
            "RUN": what,
            "--epochs": epochs,
            "--trials": trials,
            "--out": out,
            "--seed": seed,
            "--set": settings,
            "--executor": executor,
        }
        refuse_with_resume(fixed, "the tuning")
        path, resuming = resume, None
    with interruptible(path, resuming), run_lock(path, new=resume is None):
        if resume is None:
            assert what is not None
            candidates = {name: network.architecture for name, network in networks.items()}
            call = f"netwright.tune(netwright.load_run({what!r}), {str(path)!r}, data=...)"
            parts = prepare_tuning(config, candidates, searched=networks.values(), call=call, say=teller(quiet))
            folder = RunFolder.create(path, config, parts.task, report=parts.report)
            if not quiet:
                seconds = _seconds_per_epoch(what, networks)
                tell(_forecast(config, len(candidates), seconds, len(parts.evaluators)))
        else:
            folder = RunFolder.open(path, read_only=False)
            there = folder.task()
            if folder.config.tuning is None:
                raise UsageError(f"{path} is a search, not a tuning; resume it: {command('search', '--resume', path)}")
            config = resumed_with(folder, folder.config, changes)
            check_cluster(config, ray_address, changes)
            call = f"netwright.tune(RUN, {str(path)!r}, data=...), with what was tuned as RUN"
            parts = prepare_tuning(config, candidates_of(there), call=call, say=teller(quiet))
            refuse_other_data(there, parts.task, path, config.data.source)
        conduct(folder, config, parts, resuming=resuming, quiet=quiet, ray_address=ray_address)
    typer.echo(json.dumps(run_summary(folder), allow_nan=False) if as_json else trials_text(folder, width=across()))


def _forecast(config: ExperimentConfig, candidates: int, seconds: float | None, workers: int) -> str:
    """How many trainings are ahead and, by the seconds per epoch in the search, how long they take; for a person."""
    assert config.tuning is not None
    points = math.prod(map(len, config.tuning.grid.values())) * candidates
    trials = config.search.trials
    whole = trials == points
    what = counted(trials, "training") if whole else f"{trials} of the {points} trainings of the grid"
    if seconds is None:
        return f"{what}, of {counted(config.child.epochs, 'epoch')} each"
    each = seconds * config.child.epochs
    sample = "; --trials N tries so many of them" if whole and trials > 1 else ""
    return (
        f"{what}, about {duration(trials * each / min(workers, trials))}: {duration(each)} each by their times in the "
        f"search, {workers} at a time{sample}"
    )


def _seconds_per_epoch(what: str, networks: Mapping[str, Network]) -> float | None:
    """Seconds per epoch that these networks took in their search; None where they are of none."""
    path = Path(what)
    if not (path / "trials.db").is_file():
        return None
    folder = RunFolder.open(path)
    seconds = [row.seconds for row in folder.store.rows() if str(row.id) in networks and row.seconds is not None]
    return statistics.fmean(seconds) / folder.config.child.epochs if seconds else None


def _candidates(what: str, trial: str, top: int) -> dict[str, Network]:
    """The networks to tune by name: the number of the trial, where they are of a run."""
    path = Path(what)
    if not (path / "trials.db").is_file():
        return {path.stem: find_network(what)}
    folder = RunFolder.open(path)
    rows = best_rows(folder, folder.store.rows(), top) if trial == "best" else [find_trial(folder, trial)]
    if not rows:
        raise UsageError(f"{path} has no finished trial yet")
    return {str(row.id): trial_network(folder, row) for row in rows}
