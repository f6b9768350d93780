"""``task.json``: what the children of a run, or the network of a training, read and write; read by one reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netwright.bounded import read_json_object
from netwright.config import ExperimentConfig
from netwright.errors import StorageError, reason

TASK_FILE = "task.json"

MEASURE = "measure"
"""Entry: what the validation number is."""

REFERENCES = "references"
"""Entry: the references by name, each with its architecture and, if the space can write it, its tokens."""

FINGERPRINT = "fingerprint"
"""Entry: of the data that children learn from; runs of before there were any have none."""

CHANGED = "changed_since_search"
"""Entry of a training or a tuning: true where its source no longer held the data by which its networks were chosen."""

CANDIDATES = "candidates"
"""Entry of a tuning: the networks in question by name."""

LONGEST_SIDE = 2**16
"""Pixels."""


def read_task(folder: Path, config: ExperimentConfig) -> dict[str, Any]:
    """The task of a run or of a training that anybody may have made; empty where an evaluator came from Python.

    Args:
        folder: The run or the training.
        config: Of the folder.

    Raises:
        StorageError: The file cannot be read, or says what no task can say; names it.
    """
    path = folder / TASK_FILE
    try:
        task = read_json_object(path)
        _check(task, config)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read: {reason(error)}; restore it from a copy") from None
    return task


def _check(task: Mapping[str, Any], config: ExperimentConfig) -> None:
    """Whether a task has what the kind of data of its run needs, and nothing that it cannot mean.

    Raises:
        ValueError: Not so; names the entry.
    """
    checks, needed = dict(COMMON), set[str]()
    if task:
        checks |= OF_KIND.get(config.data.kind, {})
        needed = {name for name in NEEDED if name in OF_KIND.get(config.data.kind, {})}
    if config.tuning is not None:
        needed.add(CANDIDATES)
    if missing := sorted(needed - task.keys()):
        raise ValueError(f"expected {', '.join(missing)}, got {', '.join(map(repr, task)) or 'nothing'!s:.200}")
    for name, (what, holds) in checks.items():
        if name in task and not holds(task[name]):
            raise ValueError(f"{name}: expected {what}, got {task[name]!r:.60}")


def _is_list(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(of, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= LONGEST_SIDE


def _is_reference(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("architecture"), dict) or "tokens" not in value:
        return False
    tokens = value["tokens"]
    return tokens is None or (isinstance(tokens, list) and all(type(token) is int for token in tokens))


def _by_name(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


Check = tuple[str, Callable[[Any], bool]]
"""What an entry should be, for a person, and whether it is."""

COMMON: Mapping[str, Check] = {
    FINGERPRINT: ("a text", _is_text),
    CHANGED: ("true or false", lambda value: isinstance(value, bool)),
    REFERENCES: ("networks by name, with architecture and tokens", _by_name(_is_reference)),
    CANDIDATES: (
        "networks by name",
        lambda value: bool(value) and _by_name(lambda one: isinstance(one, dict))(value),
    ),
}
"""Entries that a task of any kind may have; the measure is checked where it is read."""

OF_KIND: Mapping[str, Mapping[str, Check]] = {
    "images": {
        "image": ("channels, height and width", lambda value: _is_list(_is_side)(value) and len(value) == 3),
        "classes": ("names of classes", _is_list(lambda name: type(name) in (str, int))),
        "bits": ("a number of bits", lambda value: type(value) is int and 1 <= value <= 16),
    },
    "text": {
        "unit": ("'word' or 'character'", lambda value: value in ("word", "character")),
        "vocabulary": ("a list of texts", _is_list(_is_text)),
    },
}
"""Entries of the kinds of data that are built in; a kind of one's own knows its own."""

NEEDED = ("image", "classes", "unit", "vocabulary")
"""Those that a task cannot do without."""
