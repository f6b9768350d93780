"""Who learns from what: stratified, seeded divisions of labelled examples.

Everything rests on one idea: an order of the examples of which *every* beginning is a stratified sample. A training
part is a beginning of it, what is held out is the end, and a smaller experiment takes a shorter beginning.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

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


def hold_out(
    labels: ArrayLike,
    part: int | float,
    seed: int,
    *,
    groups: ArrayLike | None = None,
    named: bool = False,
    later: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divides examples into those to keep and those to hold out, both stratified.

    A class with enough examples is in both. Where a share would leave one out, more are held out than it says.

    Args:
        labels: The class of each example, integers [N].
        part: How much to hold out: a number of examples (int), or a share in (0, 1) of which at least one example is
            held out (float).
        seed: Equal seeds give equal divisions.
        groups: What each example belongs to, integers [N], such as a digest of its pixels; a group stays together. None
            where each is a group of its own.
        named: Whether somebody named these groups, so that none may ever be divided; groups of equal images may.
        later: How many more parts will be held out of what is kept; a class keeps an example for each.

    Returns:
        Positions to keep and positions held out; together every position once.

    Raises:
        ValueError: ``part`` is not a positive number of examples or a share in (0, 1).
        DataError: Not every class would keep an example, or no group that was named could be held out.
    """
    if part <= 0 or (isinstance(part, float) and part >= 1):
        raise ValueError(f"expected a number of examples (int) or a share in (0, 1), got {part!r}")
    labels = np.asarray(labels)
    examples, classes = len(labels), len(np.unique(labels))
    wanted = part if isinstance(part, int) else max(1, round(part * examples))
    if examples - wanted < classes:
        raise DataError(
            f"expected at least {wanted + classes} images, to hold out {wanted} and keep one of each of {classes} "
            f"classes, got {examples}; add images, bring a part of your own (test/), or hold out fewer, e.g. --set "
            "data.validation=0.1"
        )
    order = stratified_order(labels, seed)
    chosen = np.zeros(examples, bool)  # by place in the order
    chosen[examples - wanted :] = True
    units = _units(order, groups)
    if units is not None:
        chosen = _whole_groups(labels[order], units, wanted)
        if not chosen.any():  # the groups are larger than what is wanted: the smallest, or, of equal images, no groups
            chosen = _smallest_group(labels[order], units)
        if not chosen.any() and named:
            raise DataError(
                "expected groups of which some can be held out while images of every class are left: a class of a "
                "single group cannot be in two parts; name smaller groups by data.group, or bring folders of your own "
                "for the parts (train/, validation/, test/)"
            )
        if not chosen.any():
            chosen[examples - wanted :] = True
    chosen = _with_every_class(labels[order], chosen, units, may_grow=isinstance(part, float), spare=later + 1)
    return order[~chosen], order[chosen]


def _units(order: NDArray[np.int64], groups: ArrayLike | None) -> NDArray[np.int64] | None:
    """The group of each place of an order, numbered from 0; None where every example is a group of its own."""
    if groups is None:
        return None
    names, numbers = np.unique(np.asarray(groups)[order], return_inverse=True)
    return None if len(names) == len(order) else numbers.astype(np.int64)


def _whole_groups(labels: NDArray[Any], units: NDArray[np.int64], wanted: int) -> NDArray[np.bool_]:
    """Places to hold out: groups from the end of the order, as long as they fit and leave every class one example."""
    members: dict[int, list[int]] = defaultdict(list)
    for place, unit in enumerate(units.tolist()):
        members[unit].append(place)
    left = Counter(labels.tolist())
    chosen, held = np.zeros(len(labels), bool), 0
    for unit in dict.fromkeys(units[::-1].tolist()):
        places = members[unit]
        takes = Counter(labels[places].tolist())
        if held + len(places) > wanted:
            continue
        if all(left[label] > count for label, count in takes.items()):
            chosen[places] = True
            held += len(places)
            left -= takes
        if held >= wanted:
            break
    return chosen


def _smallest_group(labels: NDArray[Any], units: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Places of the smallest group that leaves every class one example; of none where there is no such group."""
    left = Counter(labels.tolist())
    for unit, _ in reversed(Counter(units.tolist()).most_common()):
        places: NDArray[np.bool_] = units == unit
        if all(left[label] > count for label, count in Counter(labels[places].tolist()).items()):
            return places
    return np.zeros(len(labels), bool)


def _with_every_class(
    labels: NDArray[Any], chosen: NDArray[np.bool_], units: NDArray[np.int64] | None, *, may_grow: bool, spare: int
) -> NDArray[np.bool_]:
    """The places held out, with one of each class that has more than ``spare`` examples (or groups) to give.

    In exchange classes of which several are held out get one back, where there are such.
    """
    missing = [label for label in np.unique(labels).tolist() if not (chosen & (labels == label)).any()]
    if not missing:
        return chosen
    chosen = chosen.copy()
    units = np.arange(len(labels)) if units is None else units
    size = Counter(units.tolist())
    wanted = int(chosen.sum())
    for label in missing:
        own = [place for place in np.flatnonzero(labels == label).tolist() if size[int(units[place])] == 1]
        whole = len(np.unique(units[labels == label]))
        if whole <= spare or not own:
            continue
        given_back = _to_spare(labels, chosen, units, size) if chosen.sum() >= wanted else None
        if given_back is None and chosen.sum() >= wanted and not may_grow:
            continue
        if given_back is not None:
            chosen[given_back] = False
        chosen[own[-1]] = True
    return chosen


def _to_spare(
    labels: NDArray[Any], chosen: NDArray[np.bool_], units: NDArray[np.int64], size: Mapping[int, int]
) -> int | None:
    """A place held out whose class has others there, of the class with the most; None where no class has two."""
    counts = Counter(labels[chosen].tolist())
    for label, count in counts.most_common():
        if count < 2:
            return None
        places = [p for p in np.flatnonzero(chosen & (labels == label)).tolist() if size[int(units[p])] == 1]
        if places:
            return int(places[0])
    return None


def divide(
    labels: Mapping[SplitName, ArrayLike],
    *,
    validation: int | float,
    seed: int,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    groups: Mapping[SplitName, ArrayLike] | None = None,
    named: bool = False,
) -> dict[SplitName, tuple[SplitName, NDArray[np.int64]]]:
    """Where the examples of the three parts stand in the parts that a source has.

    What the source lacks is held out of its training part, stratified: a test part, then a validation part. The test
    examples of a source are never used for validation.

    Args:
        labels: The class of each example, integers [N], by the source's own parts; ``train`` is one of them.
        validation: What to hold out for validation; see :func:`hold_out`.
        seed: From which the division is drawn: that of the data, equal in runs of different seeds.
        train_limit: Keep only so many training examples, stratified.
        validation_limit: The same of the validation part.
        groups: What each example belongs to, by the source's own parts; see :func:`hold_out`.
        named: Whether somebody named these groups; see there.

    Returns:
        For each part the source's part that its examples come from, and their positions there.

    Raises:
        ValueError: An argument is out of its range.
        DataError: There are too few examples, or a limit below the number of classes.
    """
    by_part = {part: np.asarray(of) for part, of in labels.items()}
    parts: dict[SplitName, tuple[SplitName, NDArray[np.int64]]] = {
        part: (part, np.arange(len(of), dtype=np.int64)) for part, of in by_part.items()
    }
    held_out: tuple[tuple[SplitName, int | float, int], ...] = (
        ("test", TEST_SHARE, TEST_SEED),
        ("validation", validation, derive_seed(seed, "data", "validation")),
    )
    missing = [part for part, *_ in held_out if part not in parts]
    for number, (part, share, own_seed) in enumerate((row for row in held_out if row[0] in missing), 1):
        train = parts["train"][1]
        own = None if groups is None else np.asarray(groups["train"])[train]
        later = len(missing) - number
        kept, held = hold_out(by_part["train"][train], share, own_seed, groups=own, named=named, later=later)
        parts["train"], parts[part] = ("train", train[kept]), ("train", train[held])
    limits: tuple[tuple[SplitName, int | None], ...] = (("train", train_limit), ("validation", validation_limit))
    for part, limit in limits:
        if limit is not None:
            if limit < 1:
                raise ValueError(f"expected a limit of at least 1 image, got {limit}")
            source, positions = parts[part]
            classes = len(np.unique(by_part[source][positions]))
            if part == "train" and limit < classes:
                raise DataError(
                    f"expected a limit of at least {classes} training images, one of each class, got {limit}; "
                    f"raise it: --set data.train_limit={classes}"
                )
            order = stratified_order(by_part[source][positions], derive_seed(seed, "data", f"{part}_limit"))
            parts[part] = source, positions[order[:limit]]
    return parts
