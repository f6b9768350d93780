"""Results of a benchmark that takes long, a line of JSON each, so that it can be stopped and given again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


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
