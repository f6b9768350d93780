"""A user's own images: tensors or arrays, or anything that can be indexed and gives (image, label)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from netwright.data.decoding import pixels
from netwright.data.images import ImageData, ImageSplit
from netwright.data.listing import shown
from netwright.data.splits import hold_out
from netwright.errors import DataError
from netwright.seeding import derive_seed

Pair = tuple[ArrayLike | Tensor, ArrayLike | Tensor]
"""Images and labels that belong together."""


class Indexable(Protocol):
    """What a data set of the user's own must have; every map-style ``torch.utils.data.Dataset`` has it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


def from_tensors(
    images: ArrayLike | Tensor,
    labels: ArrayLike | Tensor,
    *,
    test: Pair | None = None,
    validation: int | float | Pair = 0.1,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    name: str = "tensors",
) -> ImageData:
    """Makes a classification task of tensors or arrays.

    Args:
        images: uint8, or floating point in [0, 1]; [N, H, W] grey, or [N, C, H, W].
        labels: Integers [N] in 0..K-1.
        test: Images and labels for the test. None leaves ``ImageData.test`` None.
        validation: Images and labels to measure rewards on; or what to hold out for it, a number of images (int) or a
            share in (0, 1) (float).
        seed: Root seed of the run, from which the division is drawn.
        classes: Names of the K classes. None takes the numbers 0..K-1, all of which must then occur.
        name: How messages and reports name the task.

    Raises:
        ValueError: ``validation`` is out of its range.
        DataError: Shapes, types, pixels or labels are not as above, or there are too few images.
    """
    train = _checked(images, labels, f"{name}, train")
    present = torch.unique(train.labels)
    if classes is None:
        numbers = [str(label) for label in present.tolist()]
        classes = [str(number) for number in range(len(numbers))]
        if numbers != classes:
            raise DataError(
                f"{name}: expected labels 0..{len(classes) - 1} for the {len(classes)} classes that occur, "
                f"got {shown(numbers)}; count classes from 0, or name them all with classes=[...]"
            )
    if len(classes) < 2 or len(present) < 2:
        raise DataError(f"{name}: expected at least two classes, got {min(len(classes), len(present))}")

    given = {"train": train}
    for part, pair in (("validation", validation), ("test", test)):
        if isinstance(pair, tuple):
            given[part] = _checked(*pair, f"{name}, {part}")
    for part, split in given.items():
        if split.images.shape[1:] != train.images.shape[1:]:
            shapes = f"{tuple(split.images.shape[1:])}, train has {tuple(train.images.shape[1:])}"
            raise DataError(f"{name}, {part}: expected images of the same shape as in train, got {shapes}")
        wrong = torch.nonzero((split.labels < 0) | (split.labels >= len(classes)))[:, 0].tolist()
        if wrong:
            raise DataError(
                f"{name}, {part}: expected labels in 0..{len(classes) - 1}, got {len(wrong)} others: "
                + shown([f"{int(split.labels[position])} at {position}" for position in wrong])
            )
    if not isinstance(validation, tuple):
        kept, held = hold_out(train.labels, validation, derive_seed(seed, "data", "validation"))
        given |= {"train": train.take(kept), "validation": train.take(held)}
    return ImageData(name, tuple(classes), given["train"], given["validation"], given.get("test"))


def from_dataset(
    dataset: Indexable,
    *,
    test: Indexable | None = None,
    validation: int | float | Indexable = 0.1,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    name: str = "dataset",
) -> ImageData:
    """Makes a classification task of anything indexable that gives (image, label).

    Args:
        dataset: ``dataset[i]`` is an image (of Pillow, or a tensor or array as in :func:`from_tensors` without N) and
            an integer. It is read once, from 0 to ``len(dataset) - 1``; it should neither augment nor normalise.
        test: The same for the test, or None.
        validation: The same for validation, or what to hold out for it; see :func:`from_tensors`.
        seed: See :func:`from_tensors`.
        classes: See :func:`from_tensors`.
        name: See :func:`from_tensors`.

    Raises:
        ValueError: ``validation`` is out of its range.
        DataError: The images differ in shape or type, or see :func:`from_tensors`.
    """
    return from_tensors(
        *_collected(dataset, f"{name}, train"),
        test=None if test is None else _collected(test, f"{name}, test"),
        validation=validation if isinstance(validation, int | float) else _collected(validation, f"{name}, validation"),
        seed=seed,
        classes=classes,
        name=name,
    )


def _collected(dataset: Indexable, name: str) -> tuple[Tensor, list[Any]]:
    images: list[Tensor] = []
    labels = []
    for index in range(len(dataset)):
        image, label = dataset[index]
        tensor = _tensor(pixels(image) if isinstance(image, Image.Image) else image, name)
        if images and (tensor.shape, tensor.dtype) != (images[0].shape, images[0].dtype):
            raise DataError(
                f"{name}: expected every image to be like the first, {tuple(images[0].shape)} {images[0].dtype}, "
                f"got {tuple(tensor.shape)} {tensor.dtype} at {index}; resize or convert them in the data set"
            )
        images.append(tensor)
        labels.append(label)
    if not images:
        raise DataError(f"{name}: expected images, got an empty data set")
    return torch.stack(images), labels


def _checked(images: ArrayLike | Tensor, labels: ArrayLike | Tensor, name: str) -> ImageSplit:
    """Images as uint8 [N, C, H, W] and labels as int64 [N].

    Raises:
        DataError: They are not what :func:`from_tensors` takes.
    """
    images = as_pixels(images, name)
    labels = _tensor(labels, name)
    if labels.shape != images.shape[:1]:
        raise DataError(f"{name}: expected {len(images)} labels, one an image, got shape {list(labels.shape)}")
    if labels.is_floating_point():
        missing = torch.nonzero(labels.isnan())[:, 0].tolist()
        detail = f" with {len(missing)} NaN, the first at {missing[0]}" if missing else "; use labels.long()"
        raise DataError(f"{name}: expected integer labels, got {labels.dtype}{detail}")
    return ImageSplit(images, labels.long())


def as_pixels(images: ArrayLike | Tensor, name: str) -> Tensor:
    """Images as uint8 [N, C, H, W].

    Args:
        images: uint8, or floating point in [0, 1]; [N, H, W] grey, or [N, C, H, W].
        name: How an error names them.

    Raises:
        DataError: They are something else.
    """
    images = _tensor(images, name)
    if images.dim() == 3:
        images = images[:, None]
    if images.dim() != 4 or 0 in images.shape:
        raise DataError(f"{name}: expected images [N, H, W] or [N, C, H, W], got {list(images.shape)}")
    if images.shape[3] in (1, 3) and images.shape[1] not in (1, 3):
        raise DataError(f"{name}: expected channels first, got {list(images.shape)}; use images.permute(0, 3, 1, 2)")
    if images.is_floating_point():
        # Written so that NaN fails it too.
        if not bool(((images >= 0) & (images <= 1)).all()):
            raise DataError(
                f"{name}: expected pixels in [0, 1], got {images.min():g} to {images.max():g}; give images as they are "
                "before normalisation, or uint8 in 0..255"
            )
        images = (images * 255).round().to(torch.uint8)
    elif images.dtype != torch.uint8:
        raise DataError(f"{name}: expected pixels of type uint8 or floating point, got {images.dtype}; use .byte()")
    return images.contiguous()


def _tensor(values: ArrayLike | Tensor, name: str) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    try:
        # Arrays are copied: most come from Pillow or a file, are read-only, and torch warns of them.
        return torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: expected numbers as pixels and labels, got {error}") from error
