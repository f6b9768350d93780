"""Finding a network by what a person calls it: a run and a trial, a training, a file, a published name."""

from __future__ import annotations

from pathlib import Path

from netwright.answer import best_row
from netwright.errors import UsageError
from netwright.networks.network import Network, exported_network, network_without_run, training_network
from netwright.networks.tuning import ARCHITECTURE, candidates_of, tuned
from netwright.spaces.architecture import (
    ChoiceArchitecture,
    parse_architecture,
)
from netwright.spaces.published import PUBLISHED, published
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import KINDS, Kind


def find_network(what: str, trial: str = "best") -> Network:
    """The network that the command line names; without weights, but for those of an export.

    Args:
        what: A run folder, ``RUN/trials/ID``, the folder of a training or of an export, an architecture file, or the
            name of a published architecture.
        trial: Which one of a run: a number, or ``best``.

    Raises:
        UsageError: There is no such thing, or no such trial of it.
        StorageError: The weights of an export are damaged.
    """
    path = Path(what)
    if (path / "config.toml").is_file() and (path / "architecture.json").is_file():
        return training_network(path)
    if (run := _run_of_trial(path)) is not None:
        folder = RunFolder.open(run)
        return trial_network(folder, find_trial(folder, path.absolute().name))
    if path.is_dir() and not (path / "config.toml").is_file() and (path / "architecture.json").is_file():
        return exported_network(path)
    if path.is_dir():
        folder = RunFolder.open(path)
        return trial_network(folder, find_trial(folder, trial))
    if path.is_file():
        return network_without_run(parse_architecture(path.read_bytes(), str(path)))
    if what in PUBLISHED:
        return network_without_run(published(what))
    raise UsageError(f"{what}: no run folder, no architecture file, and none of the names {', '.join(PUBLISHED)}")


def _run_of_trial(path: Path) -> Path | None:
    """The run folder that a trial's folder ``RUN/trials/ID`` belongs to; None where it belongs to none."""
    path = path.absolute()  # the folder may be named from within, as "."
    run = path.parent.parent
    is_trial = path.is_dir() and path.parent.name == "trials" and path.name.isdecimal()
    return run if is_trial and (run / "config.toml").is_file() else None


def find_trial(folder: RunFolder, trial: str) -> TrialRow:
    """A trial by its number, or the ``best`` one.

    Raises:
        UsageError: There is no such trial.
    """
    rows = folder.store.rows()
    found = best_row(folder, rows) if trial == "best" else next((row for row in rows if str(row.id) == trial), None)
    if found is None:
        raise UsageError(f"{folder.path} has no {'finished trial' if trial == 'best' else f'trial {trial}'} yet")
    return found


def trial_network(folder: RunFolder, row: TrialRow, own: Kind | None = None) -> Network:
    """The network of a trial, untrained; of a tuning's trial, the candidate with the settings that were chosen.

    Args:
        folder: The run.
        row: The trial.
        own: The run's kind of task, where that came from Python.
    """
    architecture, task, config = parse_architecture(row.architecture, f"trial {row.id}"), folder.task(), folder.config
    if config.tuning is not None and isinstance(architecture, ChoiceArchitecture):
        config = tuned(config, architecture).model_copy(update={"tuning": None})
        architecture = candidates_of(task)[str(architecture[ARCHITECTURE])]
    training = folder.path / "trials" / str(row.id) / "training"
    kind = KINDS.get(config.data.kind, own) if task else None  # an evaluator from Python says nothing of a task
    return Network(architecture=architecture, task=task, config=config, kind=kind, training=training)
