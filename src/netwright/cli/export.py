"""``netwright export``: a network as ordinary files that need nothing of netwright."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.show import find_architecture
from netwright.config import load_config
from netwright.errors import UsageError
from netwright.spaces.architecture import parse_architecture
from netwright.store.files import write_atomically


def export(
    what: Annotated[Path, typer.Argument(metavar="RUN|TRAINING", help="A run, or a folder of netwright train.")],
    to: Annotated[Path, typer.Option(help="The folder to write to.")],
    trial: Annotated[str, typer.Option(help="Which trial of the run: its number, or best.")] = "best",
    seed: Annotated[int, typer.Option(help="Which seed of the training.")] = 0,
) -> None:
    """Write model.py (imports torch only), architecture.json and, of a training, model.safetensors."""
    from netwright.report.export import exported_files

    if not (what / "config.toml").is_file():
        raise UsageError(f"{what} holds neither a run nor a training: there is no config.toml in it")
    trained = what / f"seed-{seed}" / "model.safetensors"
    if (what / "trials.db").is_file():
        architecture, task = find_architecture(str(what), trial)
        weights = None
    else:
        if not trained.is_file():
            raise UsageError(f"{trained} is not there: finish the training first (netwright train --resume {what})")
        architecture = parse_architecture((what / "architecture.json").read_bytes(), str(what))
        task = json.loads((what / "task.json").read_text(encoding="utf-8"))
        weights = trained.read_bytes()
    files = exported_files(architecture, task, load_config(what / "config.toml"), weights)
    to.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(to / name, content)
    typer.echo(f"{to}: {', '.join(files)}")
