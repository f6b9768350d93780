"""Images that children learn from, as tensors: read from a named source, or made of the user's own.

Whatever the way in, the result is the same: uint8 pixels of one size, labels 0..K-1, and three parts that share no
image. Children train on ``train``, the reward comes from ``validation``, and ``test`` is looked at once, at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.data.grouping import grouped
from netwright.data.image_cache import decode_cached
from netwright.data.image_report import DataReport, Parts, remedy_of_bad, report_on, too_many_bad
from netwright.data.image_sources import list_images
from netwright.data.listing import Defect, SplitName
from netwright.data.shared_memory import empty_shared, share
from netwright.data.splits import divide
from netwright.data.survey import Decoded, even, readable
from netwright.errors import DataError, command

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSplit:
    """Labelled images.

    Attributes:
        images: uint8 [N, C, H, W].
        labels: Index of the class of each image, int64 [N].
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> ImageSplit:
        """The first ``count`` images, sharing memory with all of them; None for all."""
        return self if count is None else ImageSplit(self.images[:count], self.labels[:count])

    def take(self, positions: NDArray[np.int64]) -> ImageSplit:
        """A copy of the images at ``positions``, in that order."""
        index = torch.from_numpy(positions)
        return ImageSplit(self.images[index], self.labels[index])


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """A classification task: images to learn from, to choose by and to test with.

    Attributes:
        name: Where they come from.
        classes: Names of the classes, in the order of the labels.
        train: What children learn from.
        validation: What the reward is measured on.
        test: What no decision depends on; None only where a user gave none.
        report: What is to be said of them.
        bits: That white takes in pictures of more than 8 bits; 16 unless all of a source need fewer.
    """

    kind: ClassVar[str] = "images"

    name: str
    classes: tuple[str, ...]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit | None
    report: DataReport | None = None
    bits: int = 16

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return self.train.images.shape[1]

    @property
    def height(self) -> int:
        """Height of the images in pixels."""
        return self.train.images.shape[2]

    @property
    def width(self) -> int:
        """Width of the images in pixels."""
        return self.train.images.shape[3]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def share_memory(self) -> Self:
        """Moves the tensors to shared memory, so that worker processes map them instead of copying; returns itself.

        Raises:
            DataError: The shared memory of this machine or container is too small.
        """
        splits = [split for split in (self.train, self.validation, self.test) if split is not None]
        tensors = [tensor for split in splits for tensor in (split.images, split.labels)]
        share(self.name, tensors, "use fewer images (--set data.train_limit=10000)")
        return self


def load_images(
    source: str,
    *,
    validation: int | float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    image_size: int | None = None,
    skip_bad: float = 0.0,
    group: str | None = None,
) -> ImageData:
    """Reads the images of a source and divides them.

    Splits that the source brings are used as they are; what it lacks is held out of its training images, as
    :func:`netwright.data.splits.divide` says. Images of equal pixels stay together.

    Args:
        source: One of :data:`netwright.data.IMAGE_SOURCES`, e.g. ``images:photos``.
        validation: What to hold out for validation where the source does not: a number of images (int), or a share in
            (0, 1) of those that are not for testing (float).
        seed: From which the division is drawn: that of the data, equal in runs of different seeds.
        train_limit: Keep only this many training images, stratified.
        validation_limit: Keep only this many validation images, stratified.
        image_size: Side in pixels of the square to which all images are resized; None keeps their size.
        skip_bad: Share in [0, 1) of a source's images that may be unreadable and are then left out.
        group: What else stays together; see :func:`netwright.data.grouping.grouped`.

    Raises:
        ValueError: An argument is out of its range.
        DataError: The source is unknown, missing or has defects; the message names them and the fix.
    """
    if not 0 <= skip_bad < 1:
        raise ValueError(f"expected skip_bad to be a share in [0, 1), got {skip_bad}")
    if image_size is not None and image_size < 1:
        raise ValueError(f"expected image_size to be a positive number of pixels, got {image_size}")
    listing = list_images(source)
    if listing.defects:
        raise DataError(
            f"{source}: {_listed(listing.defects)}\n`{command('data', 'check', source)}` reports everything"
        )
    decoded = decode_cached(source, listing, image_size)
    readable(source, decoded)
    if decoded.defects:
        _judge_bad_images(source, decoded, skip_bad)
    even(source, decoded)
    parts = divide(
        decoded.labels,
        validation=validation,
        seed=seed,
        train_limit=train_limit,
        validation_limit=validation_limit,
        groups=grouped(source, listing, decoded, group),
        named=group is not None,
    )
    report = report_on(source, listing, decoded, parts, image_size=image_size, skip_bad=skip_bad, group=group)
    splits = _filled(decoded, parts)
    return ImageData(
        name=source,
        classes=listing.classes,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        report=report,
        bits=decoded.facts.bits,
    )


def _filled(decoded: Decoded, parts: Parts) -> dict[SplitName, ImageSplit]:
    """The parts of the data, filled from the pixels of a source, which are given away piece by piece."""
    assert decoded.shape is not None
    names = list(parts)
    images = {part: empty_shared(len(positions), *decoded.shape) for part, (_, positions) in parts.items()}
    # Where each image of the source goes: a part by its number, -1 for none, and a place in it.
    goes_to = {split: np.full(len(labels), -1) for split, labels in decoded.labels.items()}
    place = {split: np.zeros(len(labels), np.int64) for split, labels in decoded.labels.items()}
    for number, (split, positions) in enumerate(parts.values()):
        goes_to[split][positions] = number
        place[split][positions] = np.arange(len(positions))
    done = dict.fromkeys(decoded.labels, 0)
    for split, piece in decoded.pieces.drain():
        here = slice(done[split], done[split] + len(piece))
        done[split] += len(piece)
        for number, part in enumerate(names):
            chosen = goes_to[split][here] == number
            images[part].numpy()[place[split][here][chosen]] = piece[chosen]
    labels = {part: torch.from_numpy(decoded.labels[split][positions]) for part, (split, positions) in parts.items()}
    return {part: ImageSplit(images[part], labels[part]) for part in names}


def _judge_bad_images(source: str, decoded: Decoded, skip_bad: float) -> None:
    """Lets unreadable images pass or not.

    Raises:
        DataError: They are more than the share ``skip_bad`` of all images.
    """
    defects, total = decoded.defects, decoded.total
    if too_many_bad(decoded, skip_bad):
        cannot = f"{source}: {len(defects)} of {total} images cannot be used: {_listed(defects)}"
        raise DataError(f"{cannot}\n{remedy_of_bad(decoded)}")
    _log.warning("%s: %d of %d images cannot be used and are left out", source, len(defects), total)


def _listed(defects: Sequence[Defect], limit: int = 10) -> str:
    lines = [f"\n  {defect.file} {defect.problem}" for defect in defects[:limit]]
    return "".join(lines) + (f"\n  and {len(defects) - limit} more" if len(defects) > limit else "")
