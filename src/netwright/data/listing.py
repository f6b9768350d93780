"""What a source of images holds, listed before anything is decoded: samples, splits, classes and defects."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netwright.wording import counted

Picture = NDArray[np.uint8]
"""One image: uint8 [C, H, W] with C = 1 (grey) or 3 (RGB)."""

LABEL_KEYS = ("label", "labels", "class", "target", "y")
"""Names under which data sets whose rows are records have the class of an image."""

PICTURE_CHANNELS = (1, 3)
"""What files of pictures have, as they are read: grey or RGB. Arrays of a user's own may have any number."""

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Defect:
    """Something in a source that cannot be learned from.

    Attributes:
        file: The file, folder or row, relative to the source.
        problem: What is wrong with it and, where it is not plain, the fix.
        passing: Whether the system failed and not the content, so that the same file may be read another time.
    """

    file: str
    problem: str
    passing: bool = False


def found_lines(defects: Sequence[Defect], warnings: Sequence[str]) -> list[str]:
    """The end of a report of data, as plain text: how many defects and warnings there are, and which."""
    said = [counted(len(defects), "defect"), *(f"  {defect.file} {defect.problem}" for defect in defects)]
    return [*said, counted(len(warnings), "warning"), *(f"  {warning}" for warning in warnings)]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image that has not been decoded.

    Attributes:
        file: How messages name it: a path relative to the source, or a row.
        content: Where its bytes are, the bytes themselves, or pixels already decoded.
        label: Index of its class; None when the source has none for it.
    """

    file: str
    content: Path | bytes | Picture | None
    label: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """A source of images, read as far as names and labels.

    Attributes:
        classes: Names of the classes, in the order of the labels.
        parts: The samples of each split the source has; ``train`` is always there.
        key: Digest that changes when an image may have changed; None for a source that is not worth caching.
        defects: What is wrong with the source as a whole, such as an empty class folder.
        notes: How it was read.
        warnings: What a user should know although it can be learned from.
        has_paths: Whether samples are named by their paths below the source.
    """

    classes: tuple[str, ...]
    parts: Mapping[SplitName, Iterable[Sample]]
    key: str | None = None
    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    has_paths: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """Samples that are read again each time that they are asked for."""

    read: Callable[[], Iterator[Sample]]

    def __iter__(self) -> Iterator[Sample]:
        return self.read()


def shown(names: Sequence[str], limit: int = 10) -> str:
    """The first names of a long list, and how many more there are."""
    more = [f"and {len(names) - limit} more"] if len(names) > limit else []
    return ", ".join([*names[:limit], *more])


def files_key(files: Iterable[Path]) -> str:
    """A digest of the places, sizes (bytes) and times of change (ns) of files; does not read them."""
    digest = hashlib.sha256()
    for file in files:
        try:
            status = file.stat()
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            state = "cannot be read"  # Decoding is what reports it.
        digest.update(f"{os.fspath(file.absolute())!a} {state}\n".encode())
    return digest.hexdigest()
