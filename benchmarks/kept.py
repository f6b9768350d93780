"""Results of a benchmark that takes long, a line of JSON each, so that it can be stopped and given again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from netwright.runtime.worker import be_killed_with_parent


def results(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What is there already, by its key; nothing before there is a file."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {tuple(line["key"]): line for line in lines}


def keep(path: Path, result: Mapping[str, object]) -> None:
    """Adds a result, whose entry ``key`` tells it from all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")


def completed(
    path: Path, train: Callable[[Any], Mapping[str, object] | None], wanted: Sequence[tuple[Any, ...]], workers: int
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """All results, once those that are wanted and not there yet have been made, side by side.

    Args:
        path: The file.
        train: Key -> its result, or None where there is to be none; picklable.
        wanted: Keys.
        workers: Processes.
    """
    done = results(path)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=be_killed_with_parent) as pool:
        for future in as_completed([pool.submit(train, key) for key in wanted if key not in done]):
            if (result := future.result()) is not None:
                keep(path, result)
    return results(path)
