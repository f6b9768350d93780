"""``netwright verdict``: whether a run found something better than people draw, made later or with more seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from netwright.answer import REFERENCES, best_row, measure_of, verdict_in
from netwright.cli.conduct import conduct, interruptible
from netwright.cli.terminal import across, tell
from netwright.config import ExperimentConfig, VerdictSettings
from netwright.errors import UsageError
from netwright.experiment import Parts, drawn_by_hand, prepare, refuse_other_data
from netwright.report.answer import answer_json, answer_text
from netwright.session import resumed_with
from netwright.settings_file import override
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.tasks import kind_of


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
    workers: Annotated[int | None, typer.Option(min=1, help="Children trained at a time; one per core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as one JSON object on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Train the best of a search and networks drawn by hand from fresh seeds, and say which is better."""
    with interruptible(run, "verdict"), run_lock(run, new=False):
        folder = RunFolder.open(run, read_only=False)
        settings = settings_of(folder.config, seeds=seeds, top=top, references=reference)
        if not settings.references:
            raise UsageError(f"{run}: nothing to hold its networks against; name some: --reference FILE.json")
        config = folder.config.model_copy(update={"verdict": settings})
        if data is not None:
            config = resumed_with(folder, config, {"data.source": data})
        if workers is not None:
            config = override(config, {"search.workers": workers, "search.threads": 0})
        if reference or verdict_in(folder, settings) is None:
            parts = prepare(config, say=tell, run=run)
            refuse_other_data(folder.task(), parts.task, run, config.data.source)
            if reference or REFERENCES not in folder.task():
                _add_references(folder, _references(folder, parts, settings.references))
            conduct(folder, parts.config, parts, command="verdict", quiet=quiet, searching=False)
    found = verdict_in(folder, settings)
    if found is None:
        raise UsageError(f"{run}: there is no verdict: the search found no network, or every training of one failed")
    measure = measure_of(folder.config, folder.task())
    typer.echo(
        json.dumps(answer_json(found, measure), allow_nan=False) if as_json else answer_text(found, measure, across())
    )


def _add_references(folder: RunFolder, drawn: Mapping[str, Any]) -> None:
    """Adds networks drawn by hand to those that the run has; what its search began from is not forgotten.

    Raises:
        UsageError: The run knows another network by that name.
    """
    task = folder.task()
    before = task.get(REFERENCES, {})
    if other := [name for name in drawn if name in before and before[name] != drawn[name]]:
        raise UsageError(f"--reference: {folder.path} has another network called {other[0]!r}; rename the file")
    folder.set_task({**task, REFERENCES: {**before, **drawn}})


def _references(folder: RunFolder, parts: Parts, names: Sequence[str]) -> dict[str, Any]:
    """The references as ``task.json`` holds them; without a budget they are as costly as what the search found."""
    config, best = parts.config, best_row(folder, folder.store.rows())
    unlimited = config.child.model_dump().get("max_multiply_adds", 0) is None  # of cells there is no such limit
    if best is not None and "multiply_adds" in best.metrics and unlimited:
        config = override(config, {"child.max_multiply_adds": int(best.metrics["multiply_adds"])})
    return drawn_by_hand(kind_of(config), names, config, parts.task, parts.space)


def settings_of(
    config: ExperimentConfig,
    *,
    seeds: int | None = None,
    top: int | None = None,
    references: Sequence[str] | None = None,
) -> VerdictSettings:
    """The run's own settings, or the defaults with all built-in references, changed as the options say."""
    settings = config.verdict or VerdictSettings()
    if not settings.references:
        settings = settings.model_copy(update={"references": kind_of(config).references})
    given = {
        "seeds": seeds,
        "finalists": top,
        "finalist_share": None if top is None else 0.0,  # as many as were asked for
        "at_end": True,
        "references": references and tuple(references),
    }
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})
