"""Which images stay together when a source is divided: those of equal pixels, and those that a user says belong so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from netwright.data.listing import Listing, SplitName, shown
from netwright.data.survey import Decoded
from netwright.errors import DataError

FOLDER = "folder"
"""The grouping by the folder that an image lies in."""


def grouped(name: str, listing: Listing, decoded: Decoded, group: str | None) -> Mapping[SplitName, NDArray[np.int64]]:
    """The group of each image, by split: int64 [N].

    Args:
        name: How messages name the source.
        listing: Of the source.
        decoded: From the listing.
        group: None for equal pixels alone; ``folder``; or a regular expression, found in the path of an image below the
            source, whose first group (or the whole match) names what the image belongs to.

    Raises:
        DataError: The expression is none, or is found in no path; or the source has no files.
    """
    if group is None:
        return decoded.groups
    if not listing.has_paths:
        raise DataError(f"{name}: data.group: expected a source of files (images:DIR), this one has no paths")
    named = _named(listing, decoded, group)
    unmatched = [file for of in named.values() for file, own in of if own is None]
    found = {split: _joined([own or file for file, own in of], decoded.groups[split]) for split, of in named.items()}
    if unmatched and len(unmatched) == sum(map(len, decoded.labels.values())):
        raise DataError(f"{name}: data.group: {group!r} is found in no path, e.g. not in {shown(unmatched, 2)}")
    return found


def divided_groups(listing: Listing, decoded: Decoded, group: str | None) -> list[str]:
    """Warnings of named groups of which a source has images in several of its own parts, which stay as they are.

    The arguments are those of :func:`grouped`.
    """
    if group is None or not listing.has_paths:
        return []
    names = {
        split: dict.fromkeys(own for _, own in of if own is not None)
        for split, of in _named(listing, decoded, group).items()
    }
    shared = {(a, b): [name for name in names[a] if name in names[b]] for a, b in combinations(names, 2)}
    return [
        f"the same group (data.group) in {a} and in {b} ({len(both)}): {shown(both, 5)}; parts that the source brings "
        "stay as they are: move what belongs together into one of them"
        for (a, b), both in shared.items()
        if both
    ]


def _named(listing: Listing, decoded: Decoded, group: str) -> dict[SplitName, list[tuple[str, str | None]]]:
    """The readable files of each split, with the name of the group of each; None where it has none."""
    unreadable = {defect.file for defect in decoded.defects}
    return {
        split: [(sample.file, _name(sample.file, group)) for sample in samples if sample.file not in unreadable]
        for split, samples in listing.parts.items()
    }


def _name(file: str, group: str) -> str | None:
    if group == FOLDER:
        return str(PurePosixPath(file).parent)
    match = re.search(group, file)
    if match is None:
        return None
    return match[1] if match.re.groups and match[1] is not None else match[0]


def _joined(names: list[str], equal: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups of which images of one name are in one, and so are images of equal pixels; numbered by their first."""
    leader: dict[int, int] = {}

    def root(of: int) -> int:
        while (parent := leader.setdefault(of, of)) != of:
            leader[of] = leader.setdefault(parent, parent)
            of = parent
        return of

    first: dict[object, int] = {}
    for position, keys in enumerate(zip(names, equal.tolist(), strict=True)):
        for key in (("name", keys[0]), ("pixels", keys[1])):
            leader[root(position)] = root(first.setdefault(key, position))
    return np.array([root(position) for position in range(len(names))], np.int64)
