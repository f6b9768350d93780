"""Whether a found network's lead lasts: it and the best one drawn by hand, both trained to the end in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.answer import verdict_in
from netwright.config import ExperimentConfig
from netwright.errors import UsageError, command
from netwright.measure import Measure
from netwright.networks.finding import find_trial, trial_network
from netwright.networks.network import Network, training_network
from netwright.networks.results import read_training_result
from netwright.search.estimates import Answer, Estimate, Sample, answer_of
from netwright.search.verdict import Verdict
from netwright.settings_file import load_config
from netwright.spaces.architecture import Architecture
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of
from netwright.trial import State

if TYPE_CHECKING:
    from netwright.networks.training import OnEpoch

CONFIG = "config.toml"
"""In the folder of a training: how it is done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rivals:
    """The found network of a run with an answer, and the best one drawn by hand, untrained.

    Attributes:
        found: The former.
        drawn: The latter.
        name: Of the latter.
    """

    found: Network
    drawn: Network
    name: str

    def named(self) -> dict[str, Network]:
        """Both, by what a person calls them."""
        return {"found": self.found, self.name: self.drawn}


@dataclass(frozen=True, kw_only=True, slots=True)
class Lead:
    """How far the found network is ahead when both are trained to the end.

    Attributes:
        name: Of the best network drawn by hand.
        found: What the found network has, over the seeds of its training.
        drawn: What the other has.
        tested: Whether these are numbers on the test part; on the validation part where the data has no such.
        measure: Of these numbers.
        seeds: Trainings of each.
        difference: How much better the found network is; on the test part its error counts the examples, too.
    """

    name: str
    found: Estimate
    drawn: Estimate
    tested: bool
    measure: Measure
    seeds: int
    difference: Estimate

    @property
    def answer(self) -> Answer:
        """Whether that is more than chance explains."""
        return answer_of(self.difference)


def rivals_of(folder: RunFolder) -> Rivals:
    """Who is trained side by side.

    Raises:
        UsageError: The run has no answer yet.
    """
    verdict = verdict_in(folder)
    if verdict is None:
        raise UsageError(
            f"{folder.path} has no answer yet, so nothing to hold its network against; "
            f"{command('verdict', folder.path)} makes one"
        )
    return _rivals(folder, verdict)


def _rivals(folder: RunFolder, verdict: Verdict) -> Rivals:
    """Those of a verdict."""
    best = verdict.references[0].entrant
    return Rivals(
        found=trial_network(folder, find_trial(folder, str(verdict.found.entrant.trial))),
        drawn=trial_network(folder, _first_trial(folder, best.architecture)),
        name=best.name or "drawn by hand",
    )


def _first_trial(folder: RunFolder, architecture: Architecture) -> TrialRow:
    """The first finished trial of a network that a verdict names, which has several."""
    digest = architecture.digest
    return next(row for row in folder.store.rows() if row.digest == digest and row.state is State.COMPLETE)


def train_rivals(
    rivals: Rivals, config: ExperimentConfig, *, seeds: int, begun: Callable[[str, Path, int], OnEpoch]
) -> None:
    """Trains both in the same way, each in the folder of its trial; resumes what was stopped.

    Args:
        rivals: Whom.
        config: How: of :func:`netwright.networks.training.final_config`, or :func:`way_of` where one is there already.
        seeds: How often each; more, where one has more already.
        begun: Told whose training begins or is resumed, where, and of how many seeds.

    Raises:
        UsageError: One was trained in another way.
        NetwrightError: As :func:`netwright.networks.training.begin` says.
    """
    from netwright.networks import training  # which needs torch

    for folder in map(_training, rivals.named().values()):
        if (folder / CONFIG).exists() and load_config(folder / CONFIG) != config:
            raise UsageError(f"{folder} is trained in another way already; leave the options out, or move it away")
    begun_with = [training.seeds_begun(_training(network)) for network in rivals.named().values()]
    seeds = max(seeds, *begun_with)
    for name, network in rivals.named().items():
        folder = _training(network)
        on_epoch = begun(name, folder, seeds)
        if not (folder / CONFIG).exists():
            training.begin(network, folder, config, seeds=seeds, on_epoch=on_epoch)
        else:
            training.resume(training_network(folder), seeds=seeds, on_epoch=on_epoch)


def way_of(rivals: Rivals) -> ExperimentConfig | None:
    """How one of them was trained, or is being trained, already; None where neither was."""
    paths = [_training(network) / CONFIG for network in rivals.named().values()]
    return next((load_config(path) for path in paths if path.exists()), None)


def _training(network: Network) -> Path:
    """Where a network is trained to the end."""
    assert network.training is not None  # it is of a trial
    return network.training


def lead_of(folder: RunFolder) -> Lead | None:
    """How far a run's found network is ahead when trained to the end; None until both are, in the same way.

    Raises:
        StorageError: A result is damaged.
    """
    verdict = verdict_in(folder)
    if verdict is None:
        return None
    rivals = _rivals(folder, verdict)
    trainings = [_training(network) for network in rivals.named().values()]
    try:
        results = [read_training_result(training) for training in trainings]
    except FileNotFoundError:
        return None
    way, other = (load_config(training / CONFIG) for training in trainings)
    if way != other:
        return None
    measure = measure_of(folder.config, rivals.found.task)
    tested = all(result["test_mean"] is not None for result in results)
    found, drawn = (_sample(result, tested=tested) for result in results)
    difference = found.minus(drawn, lower_is_better=measure.lower_is_better)
    return Lead(
        name=rivals.name,
        found=found.estimate,
        drawn=drawn.estimate,
        tested=tested,
        measure=measure,
        seeds=min(len(result["seeds"]) for result in results),
        difference=difference,
    )


def _sample(result: Mapping[str, Any], *, tested: bool) -> Sample:
    """What the seeds of a training came to; those of before there were blocks have none."""
    seeds = result["seeds"]
    if not tested:
        return Sample(numbers=[seed["curve"][-1] for seed in seeds])
    return Sample(
        numbers=[seed["test"] for seed in seeds], blocks=[seed["blocks"] for seed in seeds if seed.get("blocks")]
    )
