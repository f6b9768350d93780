"""After the search: one architecture trained to the end, several seeds if wanted, and tested once each."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netwright.children.child import Child
from netwright.errors import StorageError
from netwright.networks.tensor_file import load_tensors, save_tensors
from netwright.store.files import set_aside, write_atomically
from netwright.store.run_folder import weights_file

OnEpoch = Callable[[int, int, float, float], None]
"""(seed, epochs behind it, training loss, validation number)"""


def train_seeds(
    begin: Callable[[int], Child[nn.Module]], epochs: int, seeds: int, folder: Path, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Trains an architecture from several seeds, each in a folder of its own; goes on where it was stopped.

    Args:
        begin: Makes the child of a seed, before its first epoch.
        epochs: In all, of each.
        seeds: How many; they are numbered from 0.
        folder: Gets ``seed-0/``, ``seed-1/``, ... and, at the end, ``result.json``.
        on_epoch: Told of every epoch.

    Returns:
        What ``result.json`` holds: ``seeds`` (a result each), ``test_mean`` and ``test_std`` (0 for a single seed).

    Raises:
        DivergedError: A loss is no longer a finite number.
        StorageError: The folder cannot be written, or a checkpoint read.
    """
    return _summarize([_train_seed(begin, epochs, folder, seed, on_epoch) for seed in range(seeds)], folder)


def retrain_seed(
    begin: Callable[[int], Child[nn.Module]], epochs: int, seed: int, folder: Path, on_epoch: OnEpoch
) -> Path | None:
    """Trains one seed anew whose weights are damaged or gone; what other seeds have left stays as it is.

    Stopped, it goes on where it was: by the same call, or by :func:`train_seeds`.

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
    if (folder / "result.json").is_file():
        seeds = json.loads((folder / "result.json").read_text(encoding="utf-8"))["seeds"]
        _summarize([result if other["seed"] == seed else other for other in seeds], folder)
    return kept


def _summarize(results: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Writes ``result.json`` of a training, of the results of its seeds."""
    tests = [result["test"] for result in results]
    summary = {
        "seeds": list(results),
        "test_mean": statistics.mean(tests),
        "test_std": statistics.stdev(tests) if len(tests) > 1 else 0.0,
    }
    write_atomically(folder / "result.json", json.dumps(summary, indent=1, allow_nan=False) + "\n")
    return summary


def _train_seed(
    begin: Callable[[int], Child[nn.Module]], epochs: int, folder: Path, seed: int, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Trains the child of one seed to its last epoch, tests it once, and leaves ``model.safetensors``."""
    weights = weights_file(folder, seed)
    done, checkpoint = weights.with_name("result.json"), weights.with_name("checkpoint.safetensors")
    if done.is_file() and weights.is_file():
        finished: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return finished
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
    result = {"seed": seed, "curve": curve, "test": child.test()}
    save_tensors(weights, child.network.state_dict())
    write_atomically(done, json.dumps(result, allow_nan=False) + "\n")
    checkpoint.unlink(missing_ok=True)
    return result


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path.read_bytes(), str(path))
    except (OSError, StorageError) as error:
        raise StorageError(f"{error}; delete {path} to train this seed anew") from None
