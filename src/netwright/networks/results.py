"""What a training came to: ``result.json`` of it and of each seed, read by one reader, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from netwright.bounded import read_json_object
from netwright.errors import StorageError

RESULT = "result.json"


def read_training_result(folder: Path) -> dict[str, Any]:
    """The result of a training, ``seeds``, ``test_mean`` and ``test_std``; see ``train_seeds`` of the trainings.

    Raises:
        FileNotFoundError: No seed is trained yet.
        StorageError: It is damaged.
    """
    return _read(folder / RESULT, _check_training, "netwright train --resume writes it again once it is deleted")


def standard_error(result: Mapping[str, Any]) -> float | None:
    """Of the mean test number of a training's result; None where a single seed, or no test, leaves it unknown."""
    seeds = len(result["seeds"])
    return result["test_std"] / sqrt(seeds) if seeds > 1 and result["test_mean"] is not None else None


def read_seed_result(path: Path) -> dict[str, Any]:
    """The result of a seed: ``seed``, ``curve``, ``test``, ``blocks`` and, where there are classes, ``confusion``.

    Raises:
        FileNotFoundError: It is not trained yet.
        StorageError: It is damaged.
    """
    return _read(path, _check_seed, "delete it, and train this seed again: netwright train --resume")


def _read(path: Path, check: Callable[[Mapping[str, Any]], None], remedy: str) -> dict[str, Any]:
    try:
        content = read_json_object(path)
        check(content)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: damaged: {error}; {remedy}") from None
    return content


def _check_training(content: Mapping[str, Any]) -> None:
    """Whether it is what a training came to.

    Raises:
        ValueError: It is not.
    """
    seeds = content.get("seeds")
    if not isinstance(seeds, list) or not seeds or not all(isinstance(seed, dict) for seed in seeds):
        raise ValueError(f"expected seeds, a list of objects, got {seeds!r:.60}")
    for seed in seeds:
        _check_seed(seed)
    _check_numbers({"test_mean": content.get("test_mean", ""), "test_std": content.get("test_std", "")})


def _check_seed(content: Mapping[str, Any]) -> None:
    """Whether it is what a seed came to.

    Raises:
        ValueError: It is not.
    """
    seed, curve, counts = content.get("seed"), content.get("curve"), content.get("confusion")
    if type(seed) is not int or not isinstance(curve, list):
        raise ValueError(f"expected a seed and a curve, got {seed!r:.60} and {curve!r:.60}")
    blocks = content.get("blocks", [])
    if not isinstance(blocks, list):
        raise ValueError(f"expected blocks, a list of numbers, got {blocks!r:.60}")
    numbers = {f"epoch {n}": value for n, value in enumerate(curve, 1)}
    numbers |= {f"block {n}": value for n, value in enumerate(blocks, 1)}
    _check_numbers({"test": content.get("test", ""), **numbers})
    if counts is None:
        return
    if not isinstance(counts, list) or not all(isinstance(row, list) and len(row) == len(counts) for row in counts):
        raise ValueError("expected as many counts of each class as there are classes")
    if not all(type(count) is int and 0 <= count < 2**53 for row in counts for count in row):
        raise ValueError("expected counts of images")


def _check_numbers(numbers: Mapping[str, Any]) -> None:
    """Whether all are finite numbers, or None where there is no test part.

    Raises:
        ValueError: One is not; names it.
    """
    for name, value in numbers.items():
        if value is None and name.startswith("test"):
            continue
        if type(value) not in (int, float) or not isfinite(value):
            raise ValueError(f"{name}: expected a finite number, got {value!r:.60}")
