"""Conducting a session under the eyes of a person: what is shown, and what is said when it stops early."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path

import typer
from rich.console import Console

from netwright.cli.terminal import tell
from netwright.config import ExperimentConfig
from netwright.errors import INTERRUPTED, NetwrightError, reason
from netwright.errors import command as command_line
from netwright.experiment import Parts
from netwright.report.dashboard import Dashboard
from netwright.report.progress import progress_of, trainings_for_answer
from netwright.report.tensorboard import TensorBoardCurves, tensorboard_is_installed
from netwright.search.loop import Observer
from netwright.search.observers import Observers
from netwright.session import run
from netwright.store.run_folder import RunFolder
from netwright.wording import counted


class ExecutorName(StrEnum):
    """Where children are trained."""

    LOCAL = "local"
    RAY = "ray"


def at_cluster(address: str | None) -> tuple[str, ...]:
    """The words of a command line that say where the cluster is; none where nobody has said it."""
    return () if address is None else ("--ray-address", address)


@contextmanager
def interruptible(folder: Path, resuming: Sequence[object] | None = None) -> Iterator[None]:
    """A request to end in the block ends the command, and says how it is resumed, or begun where nothing was made yet.

    Args:
        folder: The run folder, once it is made.
        resuming: See :func:`conduct`.
    """
    try:
        yield
    except KeyboardInterrupt:
        if (folder / "config.toml").is_file():
            _say_how_to_resume(resuming)
        else:
            again = command_line(*sys.argv[1:])
            print(f"stopped before anything was made; to start again: {again}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _say_how_to_resume(resuming: Sequence[object] | None) -> None:
    """Says by which command; see :func:`conduct`."""
    words = sys.argv[1:] if resuming is None else resuming
    print(f"stopped, and saved; to resume: {command_line(*words)}", file=sys.stderr)


def teller(quiet: bool) -> Callable[[str], None]:
    """How the preparations tell of themselves."""
    return (lambda line: None) if quiet else tell


def _plan(config: ExperimentConfig, trials: int) -> str:
    """What a run comes to, for a person, whose search comes to so many trials."""
    told, verdict = counted(trials, "trial"), config.verdict
    if verdict is None:
        return told
    before = f"{counted(verdict.trainings_before, 'training')} of networks drawn by hand, "
    answer = trainings_for_answer(config, trials)
    after = f", {counted(answer, 'training')} for the answer" if answer else ""
    return f"{before}{told}{after},"


def conduct(
    folder: RunFolder,
    config: ExperimentConfig,
    parts: Parts,
    *,
    quiet: bool,
    resuming: Sequence[object] | None = None,
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
        quiet: Show nothing.
        resuming: The words of the command that resumes it; None where that is the one which was given. So it is for all
            that is asked of a run that is there: nothing may have stored its options yet.
        ray_address: See :func:`netwright.session.run`.
        searching: See :func:`netwright.session.run`.
        dashboard: Whether TensorBoard shows it meanwhile.
    """
    console = Console(stderr=True)
    try:
        if not quiet:
            trials = config.search.trials if searching else folder.history.searched.counted
            tell(f"{config.name}: {_plan(config, trials)} into {folder.path}")
        folder.set_config(config)
        with ExitStack() as open_until_the_end:
            progress = progress_of(folder, console, quiet=quiet, searching=searching)
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
        _say_how_to_resume(resuming)
        raise typer.Exit(stop.exit_code) from None
