"""The final training of a network: all data, more epochs, several seeds if wanted, each tested once."""

from __future__ import annotations

import json
import logging
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright.children.child import Child
from netwright.children.devices import find_devices
from netwright.config import ExperimentConfig
from netwright.errors import StorageError, UsageError
from netwright.experiment import describe, load_data, make_evaluator, refuse_other_data, tell_of
from netwright.networks.changed import changed_since_search, tell_of_change
from netwright.networks.results import RESULT, read_seed_result, read_training_result
from netwright.networks.tensor_file import load_tensors, save_tensors, tensor_bytes
from netwright.networks.trainable import Trainable
from netwright.recipes import find_recipe
from netwright.settings_file import load_config, override
from netwright.store.digests import described, with_digests
from netwright.store.files import leftovers, set_aside, write_together
from netwright.store.lock import run_lock
from netwright.store.run_folder import weights_file
from netwright.store.task_file import FINGERPRINT
from netwright.tasks import Data, kind_of

_log = logging.getLogger(__name__)

OnEpoch = Callable[[int, int, float, float], None]
"""(seed, epochs behind it, training loss, validation number)"""


def quiet(seed: int, epoch: int, loss: float, valid: float) -> None:
    """Tells nobody; an :data:`OnEpoch`."""


def final_config(
    network: Trainable,
    *,
    recipe: str | None = None,
    size: str | None = None,
    epochs: int | None = None,
    settings: Mapping[str, object] | None = None,
) -> ExperimentConfig:
    """The configuration that comes with a network, or that of a recipe, with all training data and more epochs.

    Args:
        network: What is to be trained.
        recipe: Whose data and training are taken instead.
        size: A named way of training of the kind of task, such as Zaremba's ``small``; what belongs to the network,
            such as whether a cell has biases, stays as it is.
        epochs: Instead of the kind's multiple of those of a child.
        settings: Further changes, by path.

    Raises:
        UsageError: Nobody says how such a network is trained; or there is no such recipe, size or setting.
    """
    config = network.config if recipe is None else find_recipe(recipe)
    if config is None:
        raise UsageError(
            f"nothing says how an architecture of kind {network.architecture.kind} is trained; name a --recipe to take "
            "data and training from"
        )
    kind = kind_of(config, network.kind)
    child = config.child
    if size is not None:
        if size not in kind.sizes:
            raise UsageError(f"--size {size}: for {kind.name} there are {', '.join(kind.sizes) or 'no sizes'}")
        child = kind.sizes[size].model_copy(update={name: getattr(child, name) for name in kind.of_network})
    if network.final and recipe is None and size is None:  # its limits are lifted and its epochs multiplied already
        changed = {} if epochs is None else {"child.epochs": epochs}
        return override(config, {**changed, **(settings or {})}).located()
    changes: dict[str, object] = dict.fromkeys(kind.limits)
    lifted: dict[str, object] = dict.fromkeys(kind.budgets)
    config = config.model_copy(
        update={
            "data": config.data.model_copy(update=changes),
            "child": child.model_copy(update={**lifted, "epochs": epochs or child.epochs * kind.longer}),
        }
    )
    return override(config, dict(settings or {})).located()


def begin(
    network: Trainable,
    folder: Path,
    config: ExperimentConfig,
    *,
    seeds: int = 1,
    data: Data | None = None,
    on_epoch: OnEpoch | None = None,
) -> dict[str, Any]:
    """Trains a network into a new folder.

    Warns of what a search would warn of in these data, and where they are others than those that the network was chosen
    by; ``task.json`` has the latter.

    Args:
        network: What is trained.
        folder: Gets ``architecture.json``, ``task.json``, ``config.toml``, a folder per seed and ``result.json``.
        config: Made by :func:`final_config`.
        seeds: How many times, from seeds 0, 1, ...
        data: What it learns from; None reads the source that the configuration names.
        on_epoch: Told of every epoch.

    Returns:
        See :func:`train_seeds`.

    Raises:
        UsageError: The folder is in use for something else.
        DataError: The data cannot be read or learned from, or came from Python and was not handed over.
        OverBudgetError: The network costs more than the settings allow.
        DivergedError: A loss is no longer a finite number.
        StorageError: The folder cannot be written.
    """
    with run_lock(folder, new=True):
        kind = kind_of(config, network.kind)
        known = network.training
        changed = changed_since_search(network, config, data)
        data = data or load_data(config, kind, None if known is None else python_call(known, folder))
        tell_of(data, _log.info)
        task = describe(data, kind, config.child) | (tell_of_change(data) if changed else {})
        make_child = _child_maker(config, network, data)
        # Made before anything is written: what cannot be built leaves no folder behind that says it holds a training.
        first = {0: make_child(0)}
        files = {
            folder / "architecture.json": network.architecture.canonical_json() + "\n",
            folder / "task.json": json.dumps(task) + "\n",
            folder / "config.toml": config.to_toml(),
        }
        write_together(with_digests(folder, files, {}))

        def once_made(seed: int) -> Child[nn.Module]:
            return first.pop(seed, None) or make_child(seed)

        return train_seeds(once_made, config.child.epochs, seeds, folder, on_epoch or quiet)


def resume(
    network: Trainable, *, seeds: int = 1, data: Data | None = None, on_epoch: OnEpoch | None = None
) -> dict[str, Any]:
    """Resumes a training, of :func:`netwright.networks.network.training_network`; otherwise as :func:`begin`.

    All seeds that have been begun are trained to their end, however few are asked for: ``result.json`` is of all.

    Raises:
        DataError: The data cannot be read, or are others than at the beginning.
    """
    config, folder = _of_training(network)
    with run_lock(folder, new=False):
        for file in leftovers(folder):
            file.unlink(missing_ok=True)
        make_child = _child_maker_as_before(config, network, data)
        seeds = max(seeds, seeds_begun(folder))
        return train_seeds(make_child, config.child.epochs, seeds, folder, on_epoch or quiet)


def seeds_begun(folder: Path) -> int:
    """How many seeds a training has been begun with."""
    numbers = [path.name.removeprefix("seed-") for path in folder.glob("seed-*")]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)


def retrain(network: Trainable, seed: int, *, data: Data | None = None, on_epoch: OnEpoch | None = None) -> Path | None:
    """Trains a seed of a training again whose weights are damaged or gone, as it was trained at first.

    Args:
        network: That of the training; see :func:`netwright.networks.network.training_network`.
        seed: Which one.
        data: What it learns from; None reads the source that the configuration names.
        on_epoch: Told of every epoch.

    Returns:
        Where the damaged weights are kept; None when there were none.

    Raises:
        DataError: The data cannot be read any more, or are others than at the beginning.
        NetwrightError: As :func:`retrain_seed` says; or another process trains there.
    """
    config, folder = _of_training(network)
    with run_lock(folder, new=False):
        make_child = _child_maker_as_before(config, network, data)
        return retrain_seed(make_child, config.child.epochs, seed, folder, on_epoch or quiet)


def _of_training(network: Trainable) -> tuple[ExperimentConfig, Path]:
    assert network.config is not None
    assert network.training is not None
    return network.config, network.training


def _child_maker(config: ExperimentConfig, network: Trainable, data: Data) -> Callable[[int], Child[nn.Module]]:
    """What makes the child of a seed, before its first epoch."""
    kind = kind_of(config, network.kind)
    evaluator = make_evaluator(config, kind, data, find_devices(config.search.device)[0])
    return lambda seed: evaluator.begin(network.architecture, seed)


def _child_maker_as_before(
    config: ExperimentConfig, network: Trainable, data: Data | None
) -> Callable[[int], Child[nn.Module]]:
    """As :func:`_child_maker`, for a resumed training: with the data that it began with.

    Raises:
        DataError: The source has another size of image, other classes, another vocabulary or other examples by now.
    """
    kind, folder = kind_of(config, network.kind), network.training
    assert folder is not None
    data = data or load_data(config, kind, python_call(folder, folder))
    refuse_other_data(network.task, describe(data, kind, config.child), folder, data.name)
    if config.data != load_config(folder / "config.toml").data:  # it lies elsewhere by now, and is the same
        write_together(described(folder, {folder / "config.toml": config.to_toml()}))
    return _child_maker(config, network, data)


def python_call(known: Path, folder: Path) -> str:
    """The call by which a network is trained from Python with data from there.

    Args:
        known: Where the training of the network belongs.
        folder: Where it is.
    """
    if known.parent.parent.name != "trials":
        return f"netwright.networks.find_network({str(folder)!r}).train(data=...)"
    run, number = known.parents[2], known.parent.name
    out = "" if known == folder else f"{str(folder)!r}, "
    return f"netwright.load_run({str(run)!r}).network({number}).train({out}data=...)"


def moved(network: Trainable, source: str) -> ExperimentConfig:
    """The configuration of a training whose data lie elsewhere by now; :func:`resume` checks that they are the same.

    Args:
        network: Of :func:`netwright.networks.network.training_network`.
        source: Where they lie now.

    Raises:
        UsageError: The training does not know its data by their fingerprint.
    """
    config, folder = _of_training(network)
    if FINGERPRINT not in network.task:
        raise UsageError(
            f"--data: {folder} was begun by an older version, without a fingerprint of its data to compare these with; "
            "leave --data out, or train into another folder"
        )
    return override(config, {"data.source": source}).located()


def train_seeds(
    begin: Callable[[int], Child[nn.Module]], epochs: int, seeds: int, folder: Path, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Trains an architecture from several seeds, each in a folder of its own; resumes where it was stopped.

    Args:
        begin: Makes the child of a seed, before its first epoch.
        epochs: In all, of each.
        seeds: How many; they are numbered from 0.
        folder: Gets ``seed-0/``, ``seed-1/``, ... and, at the end, ``result.json``.
        on_epoch: Told of every epoch.

    Returns:
        What ``result.json`` holds: ``seeds`` (a result each: ``seed``, ``curve``, ``test``; ``blocks``, the number on
        each of a few blocks of the test part; where there are classes, ``confusion``), ``test_mean`` and ``test_std``
        (0 for a single seed).

    Raises:
        DivergedError: A loss is no longer a finite number.
        StorageError: The folder cannot be written, or a checkpoint read.
    """
    return _summarize([_train_seed(begin, epochs, folder, seed, on_epoch) for seed in range(seeds)], folder)


def retrain_seed(
    begin: Callable[[int], Child[nn.Module]], epochs: int, seed: int, folder: Path, on_epoch: OnEpoch
) -> Path | None:
    """Trains one seed again whose weights are damaged or gone; what other seeds have left stays as it is.

    After a stop it resumes where it was: by the same call, or by :func:`train_seeds`.

    Args:
        begin: Makes the child of a seed, before its first epoch; as it was made for :func:`train_seeds`.
        epochs: As they were.
        seed: Which one.
        folder: That of the training.
        on_epoch: Told of every epoch.

    Returns:
        Where the damaged weights are kept; None when there were none.

    Raises:
        DivergedError: A loss is no longer a finite number.
        StorageError: The folder cannot be written, or a checkpoint read.
    """
    kept = set_aside(weights_file(folder, seed))
    result = _train_seed(begin, epochs, folder, seed, on_epoch)
    with suppress(FileNotFoundError):
        seeds = read_training_result(folder)["seeds"]
        _summarize([result if other["seed"] == seed else other for other in seeds], folder)
    return kept


def _summarize(results: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Writes ``result.json`` of a training, of the results of its seeds."""
    tests = [result["test"] for result in results if result["test"] is not None]
    summary = {
        "seeds": list(results),
        "test_mean": statistics.mean(tests) if tests else None,
        "test_std": statistics.stdev(tests) if len(tests) > 1 else 0.0,
    }
    content = json.dumps(summary, indent=1, allow_nan=False) + "\n"
    write_together(described(folder, {folder / RESULT: content}))
    return summary


def _train_seed(
    begin: Callable[[int], Child[nn.Module]], epochs: int, folder: Path, seed: int, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Trains the child of one seed to its last epoch, tests it once, and leaves ``model.safetensors``."""
    weights = weights_file(folder, seed)
    done, checkpoint = weights.with_name(RESULT), weights.with_name("checkpoint.safetensors")
    if weights.is_file():
        with suppress(FileNotFoundError):
            return read_seed_result(done)
    weights.parent.mkdir(parents=True, exist_ok=True)
    child, curve = begin(seed), []
    if checkpoint.is_file():
        state = _load(checkpoint)
        curve = state.pop("curve").tolist()
        child.trainer.load_state(state)
    while child.trainer.epoch < epochs:
        loss = child.trainer.run_epoch()
        curve.append(child.validate())
        save_tensors(checkpoint, child.trainer.state() | {"curve": torch.tensor(curve, dtype=torch.float64)})
        on_epoch(seed, child.trainer.epoch, loss, curve[-1])
    result: dict[str, Any] = {"seed": seed, "curve": curve, "test": None if child.test is None else child.test()}
    if child.confusion is not None:
        result["confusion"] = child.confusion()
    if child.blocks is not None:
        result["blocks"] = list(child.blocks())
    made: dict[Path, bytes | str] = {
        weights: tensor_bytes(child.network.state_dict()),
        done: json.dumps(result, allow_nan=False) + "\n",
    }
    write_together(described(folder, made))
    checkpoint.unlink(missing_ok=True)
    return result


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path.read_bytes(), str(path))
    except (OSError, StorageError) as error:
        raise StorageError(f"{error}; delete {path} to train this seed again") from None
