"""``netwright doctor``: what there is to work with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from netwright.store.run_folder import RunFolder, environment

EXTRAS = {"optuna": "optuna", "ray": "ray", "tensorboard": "tensorboard", "onnx": "onnx"}


def doctor(run: Annotated[Path | None, typer.Argument(help="Also check this run folder.")] = None) -> None:
    """Print versions, devices, threads and optional extras; with RUN, check that its files are whole."""
    import torch

    from netwright.children.devices import cores, find_devices, multiplies_bfloat16

    for name, value in environment().items():
        typer.echo(f"{name:10} {value}")
    devices = find_devices("auto")
    typer.echo(f"{'devices':10} {', '.join(devices)}")
    typer.echo(f"{'threads':10} {torch.get_num_threads()} of PyTorch, {cores()} cores usable")
    typer.echo(
        f"{'precision':10} {'bfloat16' if multiplies_bfloat16(torch.device(devices[0])) else 'float32'} by default"
    )
    for extra, package in EXTRAS.items():
        typer.echo(f"{extra:10} {_version(package) or f'not installed: pip install netwright[{extra}]'}")
    if run is not None:
        folder = RunFolder.open(run)
        rows, updates = folder.store.rows(), folder.store.updates()
        whole = next(folder.checkpoints(), None) is not None
        typer.echo(f"{'run':10} {len(rows)} trials, {len(updates)} updates of the controller")
        state = (
            "whole" if whole else "damaged: the controller will be trained anew from the trials" if updates else "none"
        )
        typer.echo(f"{'checkpoint':10} {state}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
