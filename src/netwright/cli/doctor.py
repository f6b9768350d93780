"""``netwright doctor``: what there is to work with."""

from __future__ import annotations

from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from netwright.cli.errors import echo
from netwright.errors import StorageError, UsageError
from netwright.report.columns import columns
from netwright.store.environment import environment
from netwright.store.integrity import problems, rebuild, training_problems, without_digests
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.wording import counted

EXTRAS = {"optuna": "optuna", "ray": "ray", "tensorboard": "tensorboard", "onnx": "onnx"}


def doctor(
    run: Annotated[
        Path | None, typer.Argument(help="Check this run folder, or that of a training, instead of the machine.")
    ] = None,
    rebuild_it: Annotated[
        bool,
        typer.Option("--rebuild", help="Rebuild trials.db from the folders of the trials; the old one is kept."),
    ] = False,
) -> None:
    """Print versions, devices, threads and optional extras; with RUN, check that its files are whole."""
    if run is None:
        if rebuild_it:
            raise UsageError("--rebuild: name the run folder")
        _machine()
        return
    is_training = not (run / "trials.db").exists() and (run / "architecture.json").exists()
    if rebuild_it:
        if is_training:
            raise UsageError(f"--rebuild: {run} is a training, which has no trials.db")
        with run_lock(run, new=False):
            made = rebuild(run)
        kept = f"; the old one is {made.kept}" if made.kept else ""
        echo(f"{run / 'trials.db'}: rebuilt, {counted(made.trials, 'trial')}, {counted(made.updates, 'update')}{kept}")
    elif not (run / "config.toml").is_file():
        raise UsageError(f"{run} holds no run: there is no config.toml in it")
    if found := list(training_problems(run) if is_training else problems(run)):
        raise StorageError("\n  ".join([f"{run}: {len(found)} found", *found]))
    if is_training:
        held = f"{counted(len(list(run.glob('seed-*/result.json'))), 'seed')} trained"
    else:
        with closing(RunFolder.open(run).store) as store:
            trials, updates = counted(len(store.rows()), "trial"), counted(len(store.updates()), "update")
            held = f"{trials}, {updates} of the controller"
    if older := without_digests(run):
        echo(
            f"{run}: no damage is found; {held}. There is no digests.json in {', '.join(map(str, older))}, as older "
            "versions wrote none: a flipped bit in a file there may have gone unseen"
        )
    else:
        echo(f"{run}: whole; {held}")


def _machine() -> None:
    import torch

    from netwright.children.devices import cores, find_devices, multiplies_bfloat16

    facts = environment()
    versions, devices = facts.pop("versions"), find_devices("auto")
    missing = {extra: f"not installed: pip install 'netwright[{extra}]'" for extra in EXTRAS}
    said = {
        **{name: str(version) for name, version in versions.items()},
        **{extra: _version(package) or missing[extra] for extra, package in EXTRAS.items()},
        **{name: str(value) for name, value in facts.items() if value is not None},
        "devices": ", ".join(devices),
        "threads": f"{torch.get_num_threads()} of PyTorch, {counted(cores(), 'core')} usable",
        "precision": f"{'bfloat16' if multiplies_bfloat16(torch.device(devices[0])) else 'float32'} by default",
    }
    echo("\n".join(columns(list(said.items()), left=2)))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
