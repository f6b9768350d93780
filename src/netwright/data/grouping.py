"""Which images stay together when a source is divided: those of equal pixels, and those that a user says belong so."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    unreadable = {defect.file for defect in decoded.defects}
    found: dict[SplitName, NDArray[np.int64]] = {}
    unmatched: list[str] = []
    for split, samples in listing.parts.items():
        if not listing.has_paths:
            raise DataError(f"{name}: data.group: expected a source of files (images:DIR), this one has no paths")
        files = [sample.file for sample in samples if sample.file not in unreadable]
        names = [_name(file, group) for file in files]
        unmatched += [file for file, own in zip(files, names, strict=True) if own is None]
        found[split] = _joined([own or file for file, own in zip(files, names, strict=True)], decoded.groups[split])
    if unmatched and len(unmatched) == sum(map(len, decoded.labels.values())):
        raise DataError(f"{name}: data.group: {group!r} is found in no path, e.g. not in {shown(unmatched, 2)}")
    return found


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
