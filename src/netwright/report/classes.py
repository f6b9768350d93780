"""How a trained network does on each class, and what it takes the others for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netwright.measure import ACCURACY, Measure
from netwright.report.columns import columns

MOST = 12
"""Classes that are shown, those with the smallest share of right answers first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassResult:
    """How often the images of a class were recognized.

    Attributes:
        name: Of the class.
        images: Of the class in the test part.
        right: The share of them that was recognized, in [0, 1].
        taken_for: The class that the others were taken for most often; None where there are none.
        taken: The share of the class that was taken for it.
    """

    name: str
    images: int
    right: float
    taken_for: str | None = None
    taken: float = 0.0


def confusion(result: Mapping[str, Any]) -> NDArray[np.int64] | None:
    """How many images of each class (row) were taken for each (column), the seeds of a training counted together.

    Args:
        result: Of a training, as in ``result.json``.

    Returns:
        None where the training counted no classes.
    """
    counted = [seed["confusion"] for seed in result["seeds"] if seed.get("confusion")]
    return np.sum(counted, axis=0, dtype=np.int64) if counted else None


def accuracy(result: Mapping[str, Any]) -> float | None:
    """The share of the test images that was recognized, whatever the training was measured by, in [0, 1].

    Returns:
        None where the training counted no classes.
    """
    counts = confusion(result)
    return None if counts is None or not counts.any() else float(np.trace(counts) / counts.sum())


def beside(measure: Measure, result: Mapping[str, Any]) -> str:
    """The accuracy in words behind a test result by another measure; nothing where there is nothing to add."""
    share = accuracy(result)
    return "" if share is None or measure == ACCURACY else f" (accuracy {share:.4f})"


def class_results(classes: Sequence[str], result: Mapping[str, Any]) -> list[ClassResult]:
    """The classes of the test part, that with the smallest share of right answers first.

    Args:
        classes: Names, in the order of the counts.
        result: Of a training, as in ``result.json``: its seeds are counted together.

    Returns:
        Nothing where the training counted no classes.
    """
    counts = confusion(result)
    if counts is None:
        return []
    seeds = sum(bool(seed.get("confusion")) for seed in result["seeds"])
    results = []
    for number, row in enumerate(counts):
        if not row.any():  # the test part has none of them
            continue
        others = row.copy()
        others[number] = 0
        most = int(others.argmax())
        results.append(
            ClassResult(
                name=classes[number],
                images=int(row.sum()) // seeds,
                right=float(row[number] / row.sum()),
                taken_for=classes[most] if others.any() else None,
                taken=float(others[most] / row.sum()),
            )
        )
    return sorted(results, key=lambda found: found.right)


def class_table(classes: Sequence[str], result: Mapping[str, Any]) -> list[str]:
    """Lines for a person; none where the training counted no classes. See :func:`class_results`."""
    results = class_results(classes, result)
    if not results:
        return []
    rows = [["class", "images", "right"]]
    rows += [[found.name, str(found.images), f"{found.right:.1%}"] for found in results[:MOST]]
    lines = []
    for line, found in zip(columns(rows), [None, *results], strict=False):
        wrong = "most often taken for" if found is None else taken_for(found)
        lines.append(f"{line}  {wrong}".rstrip())
    return [*lines, *[f"and {len(results) - MOST} classes that do better"] * (len(results) > MOST)]


def taken_for(found: ClassResult) -> str:
    """What the images of a class that were not recognized were taken for most often."""
    return "" if found.taken_for is None else f"{found.taken_for} ({found.taken:.1%})"
