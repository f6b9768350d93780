"""Who learns from what: stratified, seeded divisions of labelled examples.

Everything rests on one idea: an order of the examples of which *every* beginning is a stratified sample. A training
part is a beginning of it, what is held out is the end, and a smaller experiment takes a shorter beginning.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netwright.data.listing import SplitName
from netwright.errors import DataError
from netwright.seeding import derive_seed

TEST_SHARE = 0.2
"""What is held out for the test, of a source that has no test part."""

TEST_SEED = derive_seed(0, "data", "test")
"""Of that part, which is the same whatever the seed of a run."""


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


def divide(
    labels: Mapping[SplitName, ArrayLike],
    *,
    validation: int | float,
    seed: int,
    train_limit: int | None = None,
    validation_limit: int | None = None,
) -> dict[SplitName, tuple[SplitName, NDArray[np.int64]]]:
    """Where the examples of the three parts stand in the parts that a source has.

    What the source lacks is held out of its training part, stratified: a test part, then a validation part. The test
    examples of a source are never used for validation.

    Args:
        labels: The class of each example, integers [N], by the source's own parts; ``train`` is one of them.
        validation: What to hold out for validation; see :func:`hold_out`.
        seed: Root seed of the run, from which the division is drawn.
        train_limit: Keep only so many training examples, stratified.
        validation_limit: The same of the validation part.

    Returns:
        For each part the source's part that its examples come from, and their positions there.

    Raises:
        ValueError: An argument is out of its range.
        DataError: There are too few examples.
    """
    by_part = {part: np.asarray(of) for part, of in labels.items()}
    parts: dict[SplitName, tuple[SplitName, NDArray[np.int64]]] = {
        part: (part, np.arange(len(of), dtype=np.int64)) for part, of in by_part.items()
    }
    held_out: tuple[tuple[SplitName, int | float, int], ...] = (
        ("test", TEST_SHARE, TEST_SEED),
        ("validation", validation, derive_seed(seed, "data", "validation")),
    )
    for part, share, own_seed in held_out:
        if part not in parts:
            train = parts["train"][1]
            kept, held = hold_out(by_part["train"][train], share, own_seed)
            parts["train"], parts[part] = ("train", train[kept]), ("train", train[held])
    limits: tuple[tuple[SplitName, int | None], ...] = (("train", train_limit), ("validation", validation_limit))
    for part, limit in limits:
        if limit is not None:
            if limit < 1:
                raise ValueError(f"expected a limit of at least 1 image, got {limit}")
            source, positions = parts[part]
            order = stratified_order(by_part[source][positions], derive_seed(seed, "data", f"{part}_limit"))
            parts[part] = source, positions[order[:limit]]
    return parts
