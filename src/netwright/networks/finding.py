"""Finding a network by what a person calls it: a run and a trial, a training, a file, a published name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netwright.answer import best_row
from netwright.errors import UsageError
from netwright.networks.tuning import ARCHITECTURE, candidates_of, tuned
from netwright.spaces.architecture import (
    ChoiceArchitecture,
    parse_architecture,
)
from netwright.spaces.published import PUBLISHED, published
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder

if TYPE_CHECKING:
    pass

from netwright.networks.network import Network, network_without_run, training_network


def find_network(what: str, trial: str = "best") -> Network:
    """The network that the command line names, without weights.

    Args:
        what: A run folder, the folder of a training, an architecture file, or the name of a published architecture.
        trial: Which one of a run: a number, or ``best``.

    Raises:
        UsageError: There is no such thing, or no such trial of it.
    """
    path = Path(what)
    if (path / "architecture.json").is_file():
        return training_network(path)
    if path.is_dir():
        folder = RunFolder.open(path)
        return trial_network(folder, find_trial(folder, trial))
    if path.is_file():
        return network_without_run(parse_architecture(path.read_bytes(), what))
    if what in PUBLISHED:
        return network_without_run(published(what))
    raise UsageError(f"{what}: no run folder, no architecture file, and none of the names {', '.join(PUBLISHED)}")


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


def trial_network(folder: RunFolder, row: TrialRow) -> Network:
    """The network of a trial, untrained; of a tuning's trial, the candidate with the settings that were chosen."""
    architecture, task, config = parse_architecture(row.architecture, f"trial {row.id}"), folder.task(), folder.config
    if config.tuning is not None and isinstance(architecture, ChoiceArchitecture):
        config = tuned(config, architecture).model_copy(update={"tuning": None})
        architecture = candidates_of(task)[str(architecture[ARCHITECTURE])]
    training = folder.path / "trials" / str(row.id) / "training"
    return Network(architecture=architecture, task=task, config=config, training=training)
