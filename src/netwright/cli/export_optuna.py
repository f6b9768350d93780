"""``netwright export-optuna``: the trials of a run as a study of Optuna."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.terminal import tell_next
from netwright.errors import UsageError
from netwright.search.curriculum import full_size
from netwright.store.run_folder import RunFolder
from netwright.wording import counted


def export_optuna(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    storage: Annotated[str, typer.Option(help="Optuna's URL, e.g. sqlite:///study.db.")],
    name: Annotated[str | None, typer.Option(help="Of the study; the run folder's name without it.")] = None,
) -> None:
    """Write the finished trials of a run as a study of Optuna, for its dashboard and plots."""
    if find_spec("optuna") is None:
        raise UsageError("export-optuna needs Optuna: pip install 'netwright[optuna]'")
    from netwright.integrations.optuna import without_password, write_study

    logging.getLogger("optuna").setLevel(logging.WARNING)  # what it says of the study is said below
    folder = RunFolder.open(run)
    space = folder.config.space
    if space is None:
        raise UsageError(f"{run}: its space came from Python; call netwright.integrations.optuna.write_study with it")
    depth = folder.config.depth
    curriculum = full_size if depth is None else depth
    history = folder.store.history().searched
    own = {row.id: number for number, row in enumerate(history.rows)}
    trials = [replace(trial, id=own[trial.id]) for trial in history.told]  # as the strategy counts them
    title = name or run.resolve().name
    write_study(
        space,
        trials,
        curriculum=curriculum,
        storage=storage,
        name=title,
        curves={own[row.id]: row.curve for row in history.rows},
        metrics={own[row.id]: row.metrics for row in history.rows},
    )
    typer.echo(f"{without_password(storage)}: study {title!r} with {counted(len(trials), 'trial')}")
    tell_next({f"optuna-dashboard {shlex.quote(without_password(storage))}": "looks at it, once that is installed"})
