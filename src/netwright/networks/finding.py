"""Finding a network by what a person calls it: a run and a trial, a training, a file, a published name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from netwright.answer import best_row
from netwright.config import COSTS
from netwright.errors import UsageError
from netwright.front import known_costs, priced, within
from netwright.networks.network import Network, exported_network, network_without_run, training_network
from netwright.networks.tuning import ARCHITECTURE, candidates_of, tuned
from netwright.spaces.architecture import (
    ChoiceArchitecture,
    load_architecture,
    parse_architecture,
)
from netwright.spaces.published import PUBLISHED, published
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import KINDS, Kind, measure_of


def find_network(what: str, trial: str = "best", limits: Mapping[str, float] | None = None) -> Network:
    """The network that the command line names; without weights, but for those of an export.

    Args:
        what: A run folder, ``RUN/trials/ID``, the folder of a training or of an export, an architecture file, or the
            name of a published architecture.
        trial: Which one of a run: a number, or ``best``.
        limits: Costs by name that the best one of a run must be within.

    Raises:
        UsageError: There is no such thing, or no such trial of it.
        StorageError: The weights of an export are damaged.
    """
    if limits:
        if trial != "best":
            raise UsageError("--within takes the best trial that fits, --trial a certain one: give one of the two")
        folder = RunFolder.open(Path(what))
        return trial_network(folder, find_within(folder, limits))
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
        return network_without_run(load_architecture(path))
    if what in PUBLISHED:
        return network_without_run(published(what))
    raise UsageError(
        f"{what}: no folder of a run, a training or an export, no architecture file, and none of the names "
        f"{', '.join(PUBLISHED)}"
    )


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
        if trial == "best":
            raise UsageError(f"{folder.path} has no finished trial yet")
        there = f"it has 0 to {len(rows) - 1}" if rows else "it has none yet"
        raise UsageError(f"{folder.path} has no trial {trial}; {there}, and best")
    return found


def find_within(folder: RunFolder, limits: Mapping[str, float]) -> TrialRow:
    """The trial of the best network that costs at most so much, by the mean of its trainings; references count, too.

    Raises:
        UsageError: No network fits; or no trial has such a cost.
    """
    rows = folder.store.rows()
    networks = priced(rows, {})
    for name in limits:
        if name not in known_costs(networks):
            raise UsageError(
                f"--within {name}: no finished trial of {folder.path} has this cost; there are "
                f"{', '.join(known_costs(networks)) or 'none'}"
            )
    lower_is_better = measure_of(folder.config, folder.task()).lower_is_better
    found = within(networks, limits, lower_is_better=lower_is_better)
    if found is None:
        least = ", ".join(f"{min(n.costs[name] for n in networks if name in n.costs):,.6g} {name}" for name in limits)
        raise UsageError(f"--within: no network of {folder.path} fits; the least that one costs: {least}")
    return next(row for row in rows if row.id == found.trial)


def parse_limits(texts: Iterable[str]) -> dict[str, float]:
    """Limits from texts ``NAME=NUMBER``.

    Raises:
        UsageError: A text is not of that form.
    """
    limits: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name.strip()] = float(value)
        except ValueError:
            name = ""
        if name.strip() not in COSTS:
            raise UsageError(f"--within {text}: expected NAME=NUMBER with a name of {', '.join(COSTS)}")
    return limits


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
