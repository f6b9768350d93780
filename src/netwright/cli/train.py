"""``netwright train``: trains one architecture to the end, and tests it once."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.conduct import interruptible
from netwright.cli.epoch_lines import EpochLines
from netwright.cli.errors import echo
from netwright.cli.lead import SEEDS_TO_COMPARE, compare_networks
from netwright.cli.options import Within, refuse_with_resume
from netwright.cli.terminal import tell_next
from netwright.errors import UsageError, command
from netwright.networks.finding import find_network, parse_limits
from netwright.networks.network import Network, training_network
from netwright.networks.results import standard_error
from netwright.report.classes import accuracy, beside, class_table
from netwright.settings_file import override, parse_assignments
from netwright.store.lock import held


class Size(StrEnum):
    """Sizes of language models."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def train(
    what: Annotated[str | None, typer.Argument(metavar="RUN|ARCH.json|NAME", help="As for netwright show.")] = None,
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    within: Within = None,
    recipe: Annotated[str | None, typer.Option(help="Take data and training from this recipe.")] = None,
    data: Annotated[str | None, typer.Option(help="Data source; with --resume, where the same data lie now.")] = None,
    size: Annotated[Size | None, typer.Option(help="Of a language model: Zaremba's small, medium or large.")] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Without it as many as in the search; of images six times, each of all of them."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Train so many times, from seeds 0, 1, ...: once, 3 times with --compare.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Train the best one drawn by hand as well; say whether the lead lasts.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The folder to make; RUN/trials/ID/training for a trial.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; repeatable.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume the training of this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on standard output.")] = False,
) -> None:
    """Train an architecture to the end, on all training data of the source, and test it once."""
    from netwright.networks import training  # which needs torch

    changes = {"data.source": data, "search.device": device}
    given = parse_assignments(settings or []) | {path: value for path, value in changes.items() if value is not None}
    way = partial(training.final_config, recipe=recipe, size=size and size.value, epochs=epochs, settings=given)
    if compare:
        chosen = {"--resume": resume, "--out": out, "--within": within, "--trial": None if trial == "best" else trial}
        if names := [name for name, value in chosen.items() if value is not None]:
            raise UsageError(f"{', '.join(names)}: not with --compare, which trains the two networks of a run's answer")
        if what is None:
            raise UsageError("--compare: name the run whose two networks are to be trained")
        changed = bool(recipe or size or epochs or given)
        compare_networks(Path(what), way, seeds or SEEDS_TO_COMPARE, changed=changed, as_json=as_json)
        return
    if resume is not None:
        fixed = {
            "RUN": what,
            "--within": within,
            "--recipe": recipe,
            "--size": size,
            "--epochs": epochs,
            "--out": out,
            "--set": settings,
        }
        refuse_with_resume(fixed, resume)
        folder, network = resume, training_network(resume)
        assert network.config is not None
        config = network.config if data is None else training.moved(network, data)
        if device is not None:
            config = override(config, {"search.device": device})
        network, seeds = replace(network, config=config), max(seeds or 1, training.seeds_begun(folder))
    else:
        if what is None:
            raise UsageError("name what to train: a run folder, an architecture file or a published name")
        network = find_network(what, trial, parse_limits(within or ()))
        if network.training == Path(what):
            raise UsageError(f"{what} is a training already; resume it by --resume {what}")
        config = way(network)
        default = Path("runs") / f"train-{Path(what).stem}-{datetime.now():%Y%m%d-%H%M%S}"
        folder, seeds = out or network.training or default, seeds or 1
        if (folder / "config.toml").exists():
            kind, how = held(folder)
            raise UsageError(f"{folder} already holds a {kind}; resume it: {how}, or name another --out")
    lines = EpochLines(config.child.epochs * seeds, folder)
    resuming = None if resume is not None else ("train", "--seeds", seeds, "--resume", folder)
    with interruptible(folder, resuming):
        if resume is not None:
            result = training.resume(network, seeds=seeds, on_epoch=lines.show)
        else:
            result = training.begin(network, folder, config, seeds=seeds, on_epoch=lines.show)
    finished = training_network(folder)
    measure = finished.measure
    if as_json:
        told = {"test_accuracy": accuracy(result), "measure": measure.to_json(), "folder": str(folder)}
        typer.echo(json.dumps(result | told, allow_nan=False))
    else:
        error = standard_error(result)
        several = "" if error is None else f" ± {error:.4f} (standard error of {len(result['seeds'])} seeds)"
        tested = "not tested: the data has no test part"
        if result["test_mean"] is not None:
            tested = f"test {measure.name} {result['test_mean']:.4f}{several}{beside(measure, result)}"
        by_class = class_table(finished.task.get("classes", ()), result)
        echo("\n".join([tested, *by_class, f"weights and results: {folder}"]))
        tell_next(_next_steps(finished, folder))


def _next_steps(trained: Network, folder: Path) -> dict[str, str]:
    """What can be done with a trained network: to ask it, where it can be asked, and to export it, where it can be."""
    assert trained.kind is not None
    steps = {}
    if (ask := trained.asked_by) is not None:
        steps[ask.format(shlex.quote(str(folder)))] = "ask it"
    if trained.kind.exportable(trained.architecture):
        steps[f"{command('export', folder)} --to DIR"] = "files that need PyTorch alone"
    return steps
