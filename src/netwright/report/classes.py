"""How a trained network does on each class, and what it takes the others for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST = 12
"""Classes that are shown, those with the smallest share of right answers first."""


def class_table(classes: Sequence[str], result: Mapping[str, Any]) -> list[str]:
    """Lines for a person; none where the training counted no classes.

    Args:
        classes: Names, in the order of the counts.
        result: Of a training, as in ``result.json``: its seeds are counted together.
    """
    counted = [seed["confusion"] for seed in result["seeds"] if seed.get("confusion")]
    if not counted:
        return []
    counts = np.sum(counted, axis=0)
    images = counts.sum(axis=1)
    there = [number for number in range(len(classes)) if images[number]]
    share = {number: counts[number, number] / images[number] for number in there}
    shown = sorted(there, key=lambda number: (share[number], number))
    width = max([len("class"), *(len(classes[number]) for number in shown[:MOST])])
    lines = [f"{'class':{width}}  images   right  most often taken for"]
    for number in shown[:MOST]:
        others = counts[number].copy()
        others[number] = 0
        wrong = f"{classes[int(others.argmax())]} ({others.max() / images[number]:.1%})" if others.any() else ""
        per_seed = images[number] // len(counted)
        lines.append(f"{classes[number]:{width}}  {per_seed:6d}  {share[number]:6.1%}  {wrong}".rstrip())
    if len(shown) > MOST:
        lines.append(f"and {len(shown) - MOST} classes that do better")
    return lines
