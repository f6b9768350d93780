"""A user's own images: tensors or arrays, or anything that can be indexed and gives (image, label)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from netwright.data.decoding import DEEP_BITS, pixels
from netwright.data.image_report import DataReport, warnings_of_parts
from netwright.data.images import ImageData, ImageSplit
from netwright.data.listing import LABEL_KEYS, SplitName, shown
from netwright.data.splits import hold_out
from netwright.data.survey import digest_of
from netwright.errors import DataError, printable
from netwright.seeding import derive_seed

Pair = Sequence[ArrayLike | Tensor]
"""Images and labels that belong together: two of them, in this order."""

DARK, BLACK = 32, 2
"""Lightest pixels of all images, of 255, that are surprising, and that cannot be meant."""

ABOVE_ONE = 1e-3
"""What arithmetic may add to pixels in [0, 1], or take off: resizing does."""

IMAGE_KEYS = ("image", "img", "picture", "pixels", "x")
"""Names under which data sets whose rows are records have an image."""


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

    Images of equal pixels stay together in one part.

    Args:
        images: uint8 or other integers in 0..255, boolean, or floating point in [0, 1]; [N, H, W] grey, or
            [N, C, H, W].
        labels: The class of each image, [N] or a column [N, 1]: integers in 0..K-1, or texts, which then name the
            classes.
        test: Images and labels for the test, two in a tuple or list, or a ``TensorDataset``. None leaves
            ``ImageData.test`` None.
        validation: Images and labels to measure rewards on; or what to hold out for it, a number of images (int) or a
            share in (0, 1) (float).
        seed: Root seed of the run, from which the division is drawn.
        classes: Names of the K classes. None takes the texts of the labels in alphabetical order, or the numbers
            0..K-1, all of which must then occur; labels of all parts are then of one kind.
        name: How messages and reports name the task.

    Raises:
        ValueError: ``validation`` is out of its range.
        DataError: Shapes, types, pixels or labels are not as above, or there are too few images.
    """
    share = _share(validation, name)
    pairs = {"train": (images, labels)}
    if share is None:
        pairs["validation"] = _pair(validation, name, "validation")
    if test is not None:
        pairs["test"] = _pair(test, name, "test")
    pictures = {part: as_pixels(pair[0], f"{name}, {part}") for part, pair in pairs.items()}
    marked = {part: _labels(pair[1], len(pictures[part]), f"{name}, {part}") for part, pair in pairs.items()}
    names = _class_names(classes, marked, name)
    given = {part: ImageSplit(pictures[part], _numbered(marked[part], names, f"{name}, {part}")) for part in pairs}
    train = given["train"]
    for part, split in given.items():
        if split.images.shape[1:] != train.images.shape[1:]:
            shapes = f"{tuple(split.images.shape[1:])}, train has {tuple(train.images.shape[1:])}"
            raise DataError(f"{name}, {part}: expected images of the same shape as in train, got {shapes}")
    if len(names) < 2 or len(torch.unique(train.labels)) < 2:
        raise DataError(
            f"{name}: expected at least two classes, got {min(len(names), len(torch.unique(train.labels)))}"
        )
    if share is not None:
        groups = [int.from_bytes(digest_of(image)[:8], "little", signed=True) for image in train.images.numpy()]
        own_seed = derive_seed(seed, "data", "validation")
        kept, held = hold_out(train.labels, share, own_seed, groups=np.array(groups, np.int64))
        given |= {"train": train.take(kept), "validation": train.take(held)}
    report = _report(name, names, given)
    return ImageData(name, names, given["train"], given["validation"], given.get("test"), report)


def _share(validation: object, name: str) -> int | float | None:
    """What to hold out; None where a part is given.

    Raises:
        DataError: It is neither.
    """
    if isinstance(validation, bool | np.bool_) or validation is None or isinstance(validation, str):
        raise DataError(
            f"{name}, validation: expected a number of images, a share in (0, 1), or images and labels, got "
            f"{validation!r}"
        )
    if isinstance(validation, Integral):
        return int(validation)
    return float(validation) if isinstance(validation, Real) else None


def _pair(given: Any, name: str, part: str) -> tuple[Any, Any]:
    """Images and labels.

    Raises:
        DataError: It is not two of them.
    """
    tensors = getattr(given, "tensors", given)  # of a TensorDataset
    if isinstance(tensors, list | tuple) and len(tensors) == 2:
        return tensors[0], tensors[1]
    what = f"{len(given)} things" if isinstance(given, list | tuple) else type(given).__name__
    raise DataError(
        f"{name}, {part}: expected images and labels, {part}=(images, labels), got {what}; a data set goes to "
        "netwright.from_dataset"
    )


def _class_names(classes: Sequence[str] | None, marked: Mapping[str, NDArray[Any]], name: str) -> tuple[str, ...]:
    """Names of the classes, given or told by the labels.

    Raises:
        DataError: They are not all there, or two are equal.
    """
    if classes is not None:
        if not (isinstance(classes, Sequence | np.ndarray) and all(isinstance(one, str | Integral) for one in classes)):
            raise DataError(f"{name}: expected classes as a list of names, got {classes!r}")
        names = tuple(str(one) for one in classes)
        if twice := [one for one, count in Counter(names).items() if count > 1]:
            raise DataError(f"{name}: expected classes of different names, got {shown(twice)} more than once")
        return names
    texts = {part: labels for part, labels in marked.items() if labels.dtype.kind == "U"}
    if texts and len(texts) < len(marked):
        numbered = [part for part in marked if part not in texts]
        raise DataError(
            f"{name}: expected labels of one kind in all parts, got texts in {shown(list(texts))} and integers in "
            f"{shown(numbered)}; use the same in all, or say which class has which number with classes=[...]"
        )
    if texts:
        return tuple(sorted({str(label) for labels in texts.values() for label in labels}))
    numbers = [str(label) for label in np.unique(marked["train"]).tolist()]
    names = tuple(str(number) for number in range(len(numbers)))
    if numbers != list(names):
        raise DataError(
            f"{name}: expected labels 0..{len(names) - 1} for the {len(names)} classes that occur, "
            f"got {shown(numbers)}; count classes from 0, or name them all with classes=[...]"
        )
    return names


def _numbered(labels: NDArray[Any], names: Sequence[str], name: str) -> Tensor:
    """Labels as numbers of classes, int64 [N].

    Raises:
        DataError: One is of no class.
    """
    if labels.dtype.kind == "U":
        known = {of: number for number, of in enumerate(names)}
        wrong = [position for position, label in enumerate(labels.tolist()) if label not in known]
        if wrong:
            found = shown([f"{printable(str(labels[position]))!r} at {position}" for position in wrong])
            raise DataError(f"{name}: expected labels among {shown(list(names))}, got {len(wrong)} others: {found}")
        return torch.tensor([known[label] for label in labels.tolist()])
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names))).tolist()
    if wrong:
        raise DataError(
            f"{name}: expected labels in 0..{len(names) - 1}, got {len(wrong)} others: "
            + shown([f"{int(labels[position])} at {position}" for position in wrong])
        )
    return torch.from_numpy(labels.astype(np.int64))


def _report(name: str, classes: Sequence[str], given: Mapping[str, ImageSplit]) -> DataReport:
    """What is to be said of them; see :func:`netwright.data.image_report.report_on`."""
    parts: dict[SplitName, ImageSplit] = {
        part: given[part] for part in ("train", "validation", "test") if part in given
    }
    labels = {part: split.labels.numpy() for part, split in parts.items()}
    seen: dict[bytes, SplitName] = {}
    copies: Counter[str] = Counter()
    for part, split in parts.items():
        for image in split.images.numpy():
            first = seen.setdefault(digest_of(image), part)
            if first != part:
                copies[f"in {first} and in {part}"] += 1
    warnings = [f"the same image {where} ({count})" for where, count in copies.items()]
    images = parts["train"].images
    lightest = int(images.max())
    if lightest < DARK:
        warnings.append(
            f"the lightest pixel of the train part is {lightest} of 255: was it divided too often? Pixels are integers "
            "in 0..255, or floating point in [0, 1]"
        )
    height, width = images.shape[2:]
    return DataReport(
        name=name,
        sizes={(height, width): sum(map(len, parts.values()))},
        channels=images.shape[1],
        counts={
            part: dict(zip(classes, np.bincount(of, minlength=len(classes)).tolist(), strict=True))
            for part, of in labels.items()
        },
        uses={part: len(of) for part, of in labels.items()},
        warnings=tuple(warnings + warnings_of_parts(labels, classes)),
    )


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
    share = _share(validation, name)
    return from_tensors(
        *_collected(dataset, f"{name}, train"),
        test=None if test is None else _collected(test, f"{name}, test"),
        validation=_collected(validation, f"{name}, validation") if share is None else share,
        seed=seed,
        classes=classes,
        name=name,
    )


def _collected(dataset: Any, name: str) -> tuple[Tensor, list[Any]]:
    """All images and labels of a data set.

    Raises:
        DataError: It cannot be indexed, is empty, or its images are not alike.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or isinstance(dataset, Mapping | str):
        raise DataError(
            f"{name}: expected a data set with a length whose items are numbered, got {type(dataset).__name__}; "
            "list(...) makes one of what can only be gone through"
        )
    images: list[Tensor] = []
    labels = []
    for index in range(len(dataset)):
        image, label = _item(dataset[index], name, index)
        tensor = _tensor(pixels(image) if isinstance(image, Image.Image) else image, name)
        if images and (tensor.shape, tensor.dtype) != (images[0].shape, images[0].dtype):
            raise DataError(
                f"{name}: expected every image to be like the first, {tuple(images[0].shape)} {images[0].dtype}, "
                f"got {tuple(tensor.shape)} {tensor.dtype} at {index}; resize or convert them in the data set"
            )
        images.append(tensor)
        labels.append(label.tolist() if isinstance(label, Tensor | np.ndarray | np.generic) else label)
    if not images:
        raise DataError(f"{name}: expected images, got an empty data set")
    return torch.stack(images), labels


def _item(item: Any, name: str, index: int) -> tuple[Any, Any]:
    """The image and the label of an item: a pair, or a record with an image and a label.

    Raises:
        DataError: It is neither; says what it is.
    """
    if isinstance(item, Mapping):
        image = next((key for key in IMAGE_KEYS if key in item), None)
        label = next((key for key in LABEL_KEYS if key in item), None)
        if image is not None and label is not None:
            return item[image], item[label]
        raise DataError(
            f"{name}: expected (image, label), or a record with 'image' and 'label', got one with "
            f"{shown([str(key) for key in item])} at {index}"
        )
    if isinstance(item, list | tuple) and len(item) == 2:
        return item[0], item[1]
    what = f"{len(item)} things" if isinstance(item, list | tuple) else type(item).__name__
    raise DataError(f"{name}: expected (image, label), got {what} at {index}")


def _labels(labels: ArrayLike | Tensor, count: int, name: str) -> NDArray[Any]:
    """Labels as an array [N] of integers or of texts.

    Raises:
        DataError: They are something else, or not as many as the images.
    """
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else _array(labels, name)
    if array.ndim == 2 and array.shape[1] == 1:  # a column, as tables have it
        array = array[:, 0]
    if array.shape != (count,):
        fix = "; use labels.argmax(1) if they are one-hot" if array.ndim == 2 and len(array) == count else ""
        raise DataError(f"{name}: expected {count} labels, one an image, got shape {list(array.shape)}{fix}")
    if array.dtype.kind in "OT":
        array = _of_objects(array, name)
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind == "f":
        missing = np.flatnonzero(np.isnan(array)).tolist()
        fix = "labels.long()" if isinstance(labels, Tensor) else "labels.astype(int)"
        detail = f" with {len(missing)} NaN, the first at {missing[0]}" if missing else f"; use {fix}"
        raise DataError(f"{name}: expected integer labels, got {array.dtype}{detail}")
    if array.dtype.kind not in "iuU":
        raise DataError(f"{name}: expected integer labels, or texts, got {array.dtype}")
    return array


def _of_objects(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Python objects as numbers or texts.

    Raises:
        DataError: One is missing or something else; names its position.
    """
    kinds = {kind: [i for i, one in enumerate(array) if isinstance(one, kind)] for kind in (str, Integral)}
    for positions, kind in ((kinds[str], np.str_), (kinds[Integral], np.int64)):
        if len(positions) == len(array):
            return array.astype(kind)
    more = str if len(kinds[str]) >= len(kinds[Integral]) else Integral
    odd = next(i for i, one in enumerate(array) if not isinstance(one, more))
    what = "texts" if more is str else "integers"
    raise DataError(f"{name}: expected labels that are all {what}, got {array[odd]!r} at {odd}")


def as_pixels(images: ArrayLike | Tensor, name: str) -> Tensor:
    """Images as uint8 [N, C, H, W].

    Args:
        images: uint8 or other integers in 0..255, boolean, or floating point in [0, 1]; [N, H, W] grey, or
            [N, C, H, W].
        name: How an error names them.

    Raises:
        DataError: They are something else.
    """
    is_array = not isinstance(images, Tensor)
    images = _tensor(images, name)
    if images.dim() == 3:
        images = images[:, None]
    if images.dim() != 4 or 0 in images.shape:
        raise DataError(f"{name}: expected images [N, H, W] or [N, C, H, W], got {list(images.shape)}")
    if images.shape[3] in (1, 3) and images.shape[1] not in (1, 3):
        fix = "images.transpose(0, 3, 1, 2)" if is_array else "images.permute(0, 3, 1, 2)"
        raise DataError(f"{name}: expected channels first, got {list(images.shape)}; use {fix}")
    if images.is_floating_point():
        images = _from_floats(images, name)
    elif images.dtype is torch.bool:
        images = images.to(torch.uint8) * 255
    elif images.dtype != torch.uint8:
        images = _from_integers(images, name)
    return images.contiguous()


def _from_floats(images: Tensor, name: str) -> Tensor:
    """Pixels in [0, 1] as uint8.

    Raises:
        DataError: They are not in [0, 1], or all black.
    """
    if not bool(images.isfinite().all()):
        wrong = torch.nonzero(~images.isfinite().flatten(1).all(1))[:, 0].tolist()
        count = int((~images.isfinite()).sum())
        raise DataError(
            f"{name}: expected pixels in [0, 1], got {count} that are NaN or infinite, in {len(wrong)} images, the "
            f"first at {wrong[0]}; mend or remove them"
        )
    low, high = float(images.min()), float(images.max())
    if low < -ABOVE_ONE or high > 1 + ABOVE_ONE:
        if low < -ABOVE_ONE:
            fix = "give images as they are before normalisation"
        elif high <= 256:
            fix = "use images / 255"
        else:
            fix = f"use images / {_white(high)}"
        raise DataError(f"{name}: expected pixels in [0, 1], got {low:.9g} to {high:.9g}; {fix}, or uint8 in 0..255")
    if 0 < high <= BLACK / 255:
        raise DataError(
            f"{name}: expected pixels in [0, 1], got {low:.3g} to {high:.3g}, of which less than {BLACK + 1} levels of "
            f"255 would be left; use images / {high:.3g} if this is white"
        )
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def _from_integers(images: Tensor, name: str) -> Tensor:
    """Integers in 0..255 as uint8.

    Raises:
        DataError: They are no integers, or of more bits.
    """
    if images.is_complex():
        raise DataError(f"{name}: expected pixels of type uint8 or floating point, got {images.dtype}")
    images = images.long()
    low, high = int(images.min()), int(images.max())
    if low < 0:
        raise DataError(f"{name}: expected pixels in 0..255, got {low} to {high}; give images before normalisation")
    if high > 255:
        raise DataError(
            f"{name}: expected pixels of type uint8 or floating point, got {low} to {high}; use images / {_white(high)}"
        )
    return images.to(torch.uint8)


def _white(high: float) -> int:
    """The largest value of the least of usual depths that holds the lightest pixel."""
    return next((2**bits - 1 for bits in (*DEEP_BITS, 32) if high < 2**bits), 2**32 - 1)


def _tensor(values: ArrayLike | Tensor, name: str) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach().cpu()
    array = _array(values, name)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)  # torch knows few unsigned ones
    try:
        return torch.from_numpy(array)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: expected numbers as pixels, got {error}") from error


def _array(values: Any, name: str) -> NDArray[Any]:
    """A copy as an array: most are from Pillow or a file, are read-only, and torch warns of them.

    Raises:
        DataError: It is none.
    """
    try:
        array = np.array(values)
    except Exception as error:  # of any class that says how it becomes an array
        raise DataError(f"{name}: expected an array, got {type(values).__name__}: {error}") from error
    return array
