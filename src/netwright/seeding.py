"""Random streams that depend on names, never on the order of calls.

Every stream is derived from one root seed and a path of labels through a digest, so a resumed search, a search with
more workers and an uninterrupted one draw the same numbers for the same trial.
"""

from __future__ import annotations

import hashlib


def derive_seed(root: int, *path: str | int) -> int:
    """A 63-bit seed for the stream that ``path`` names under the seed ``root``.

    Args:
        root: The one seed of the run.
        path: Labels and counters, e.g. ``derive_seed(7, "child", 12)``.

    Returns:
        An integer in [0, 2**63), equal on every machine and version of Python.
    """
    text = "/".join([str(root), *(f"{type(part).__name__}:{part}" for part in path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def child_seed(run: int, number: int) -> int:
    """The seed of the child of a strategy's proposal, by the run's seed and the proposal's number."""
    return derive_seed(run, "child", number)
