"""Conducting a session under the eyes of a person: what is shown, and what is said when it stops early."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path

import typer
from rich.console import Console

from netwright.cli.terminal import tell
from netwright.config import ExperimentConfig
from netwright.errors import INTERRUPTED, NetwrightError, UsageError, reason
from netwright.errors import command as command_line
from netwright.experiment import Parts
from netwright.report.dashboard import Dashboard
from netwright.report.progress import progress_of, trainings_for_answer
from netwright.report.tensorboard import TensorBoardCurves, tensorboard_is_installed
from netwright.search.loop import Observer
from netwright.search.observers import Observers
from netwright.session import require_ray, run
from netwright.store.run_folder import RunFolder
from netwright.wording import counted


class ExecutorName(StrEnum):
    """Where children are trained."""

    LOCAL = "local"
    RAY = "ray"


def check_cluster(config: ExperimentConfig, address: str | None) -> None:
    """Checks, before anything is made or read, that a search on Ray has it, and that only such a one has an address.

    Raises:
        UsageError: Not so.
    """
    if config.search.executor == "ray":
        require_ray()
    elif address is not None:
        raise UsageError("--ray-address is for a search on a cluster; add --executor ray")


@contextmanager
def interruptible(folder: Path, command: str) -> Iterator[None]:
    """A request to end in the block ends the command, and says how it is resumed, or begun where nothing was made yet.

    Args:
        folder: The run folder, once it is made.
        command: What resumes it, before the folder's path.
    """
    try:
        yield
    except KeyboardInterrupt:
        if (folder / "config.toml").is_file():
            print(f"stopped, and saved; to resume: {command_line(*command.split(), folder)}", file=sys.stderr)
        else:
            again = command_line(*sys.argv[1:])
            print(f"stopped before anything was made; to start again: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def teller(quiet: bool) -> Callable[[str], None]:
    """How the preparations tell of themselves."""
    return (lambda line: None) if quiet else tell


def _plan(config: ExperimentConfig) -> str:
    """What is going to be trained, for a person."""
    trials, verdict = counted(config.search.trials, "trial"), config.verdict
    if verdict is None:
        return trials
    before = f"{counted(verdict.trainings_before, 'training')} of networks drawn by hand, "
    answer = trainings_for_answer(config, config.search.trials)
    after = f", {counted(answer, 'training')} for the answer" if answer else ""
    return f"{before}{trials}{after},"


def conduct(
    folder: RunFolder,
    config: ExperimentConfig,
    parts: Parts,
    *,
    command: str,
    quiet: bool,
    ray_address: str | None = None,
    searching: bool = True,
    dashboard: bool = False,
) -> None:
    """Runs a search under the eyes of a person, and says by which command to resume it should an error stop it.

    Of a request to end that is said by :func:`interruptible`, which is around all of a command.

    Args:
        folder: Open for writing, under its lock.
        config: The folder's, perhaps with more trials or other workers than at its beginning.
        parts: Made from it.
        command: What resumes it, before the folder's path.
        quiet: Show nothing.
        ray_address: See :func:`netwright.session.run`.
        searching: See :func:`netwright.session.run`.
        dashboard: Whether TensorBoard shows it meanwhile.
    """
    console = Console(stderr=True)
    try:
        if not quiet:
            tell(f"{config.name}: {_plan(config)} into {folder.path}")
        folder.set_config(config)
        with ExitStack() as open_until_the_end:
            progress = progress_of(folder, console, quiet=quiet)
            observers: list[Observer] = [open_until_the_end.enter_context(progress)]
            if tensorboard_is_installed():
                try:
                    curves = TensorBoardCurves(folder, folder.history.told_rows)
                    observers.append(open_until_the_end.enter_context(curves))
                except OSError as error:
                    print(f"no curves for TensorBoard: {reason(error)}", file=sys.stderr)
            if dashboard:
                open_until_the_end.enter_context(Dashboard(folder.path, partial(tell, whole=True)))
            run(folder, parts, Observers(*observers), ray_address=ray_address, say=teller(quiet), searching=searching)
    except NetwrightError as stop:
        print(f"error: {stop}", file=sys.stderr)
        print(f"stopped, and saved; to resume: {command_line(*command.split(), folder.path)}", file=sys.stderr)
        raise typer.Exit(stop.exit_code) from None
