"""Who learns from what: stratified, seeded divisions of labelled examples.

Everything rests on one idea: an order of the examples of which *every* beginning is a stratified sample. A training
part is a beginning of it, what is held out is the end, and a smaller experiment takes a shorter beginning.
"""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netwright.errors import DataError


def stratified_order(labels: ArrayLike, seed: int) -> NDArray[np.int64]:
    """A random order of the examples whose beginnings all have the classes in proportion.

    Example r = 0, 1, ... drawn from a class of n stands at (r + 1/2) / n of the whole, which is Sainte-Laguë's way of
    sharing out seats. The first of each class stands at 0, so a beginning with room for all classes lacks none.

    Args:
        labels: The class of each example, integers [N].
        seed: Equal seeds give equal orders, on every machine.

    Returns:
        All positions 0..N-1, each once.
    """
    classes = np.asarray(labels)
    # random() is the one method whose stream Python promises never to change: a test part fixed today stays fixed.
    stream = random.Random(seed)
    luck = np.array([stream.random() for _ in range(len(classes))])
    by_class = np.lexsort((luck, classes))
    sizes = np.unique(classes, return_counts=True)[1]
    rank = np.arange(len(classes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = np.where(rank == 0, 0.0, (rank + 0.5) / np.repeat(sizes, sizes))
    return by_class[np.lexsort((luck[by_class], place))].astype(np.int64)


def hold_out(labels: ArrayLike, part: int | float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divides examples into those to keep and those to hold out, both stratified.

    Args:
        labels: The class of each example, integers [N].
        part: How much to hold out: a number of examples (int), or a share in (0, 1) of which at least one example is
            held out (float).
        seed: Equal seeds give equal divisions.

    Returns:
        Positions to keep and positions held out; together every position once.

    Raises:
        ValueError: ``part`` is not a positive number of examples or a share in (0, 1).
        DataError: Not every class would keep an example.
    """
    if part <= 0 or (isinstance(part, float) and part >= 1):
        raise ValueError(f"expected a number of examples (int) or a share in (0, 1), got {part!r}")
    examples, classes = len(np.asarray(labels)), len(np.unique(labels))
    held = part if isinstance(part, int) else max(1, round(part * examples))
    if examples - held < classes:
        raise DataError(
            f"expected at least {held + classes} images, to hold out {held} and keep one of each of {classes} classes, "
            f"got {examples}; add images or hold out fewer, e.g. --set data.validation=0.1"
        )
    order = stratified_order(labels, seed)
    return order[: examples - held], order[examples - held :]
