"""A user's own tensors and data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from netwright.data import from_dataset, from_tensors
from netwright.errors import DataError

GREY = torch.arange(20 * 4 * 4, dtype=torch.int32).reshape(20, 4, 4).to(torch.uint8)
LABELS = torch.arange(20) % 2


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (GREY, (1, 4, 4)),
        (GREY.numpy(), (1, 4, 4)),
        (GREY[:, None].expand(20, 3, 4, 4), (3, 4, 4)),
        (GREY / 255, (1, 4, 4)),
        (GREY.numpy() / 255, (1, 4, 4)),
    ],
)
def test_images_may_be_uint8_or_floats_grey_or_with_channels(images: Any, shape: tuple[int, ...]) -> None:
    data = from_tensors(images, LABELS, validation=4)
    assert data.train.images.dtype == torch.uint8
    assert data.train.images.shape == (16, *shape)
    assert len(data.validation) == 4
    assert data.test is None
    assert data.classes == ("0", "1")
    rows = {image[0].numpy().tobytes() for split in (data.train, data.validation) for image in split.images}
    assert rows == {image.numpy().tobytes() for image in GREY}


def test_parts_of_ones_own_are_used_as_they_are() -> None:
    data = from_tensors(
        GREY[:10], LABELS[:10], validation=(GREY[10:14], LABELS[10:14]), test=(GREY[14:], LABELS[14:]), classes="ab"
    )
    assert data.test is not None
    assert torch.equal(data.train.images[:, 0], GREY[:10])
    assert torch.equal(data.validation.images[:, 0], GREY[10:14])
    assert torch.equal(data.test.labels, LABELS[14:])
    assert data.classes == ("a", "b")


def test_arrays_of_which_nothing_may_be_written_are_taken() -> None:
    images, labels = GREY.numpy().copy(), LABELS.numpy().copy()
    images.flags.writeable = labels.flags.writeable = False
    assert len(from_tensors(images, labels, validation=4).train) == 16


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (GREY[0], LABELS, r"expected images \[N, H, W\] or \[N, C, H, W\], got \[4, 4\]"),
        (GREY[:0], LABELS[:0], r"got \[0, 1, 4, 4\]"),
        (GREY[..., None].expand(20, 4, 4, 3), LABELS, r"channels first, got \[20, 4, 4, 3\]; use images.permute"),
        (GREY.long() * 16, LABELS, r"pixels of type uint8 or floating point, got 0 to \d+; use images / 4095"),
        (GREY.long() - 1, LABELS, r"pixels in 0..255, got -1 to \d+; give images before normalisation"),
        (GREY.float(), LABELS, r"pixels in \[0, 1\], got 0 to 255; use images / 255, or uint8"),
        (torch.full((20, 4, 4), torch.nan), LABELS, r"got 320 that are NaN or infinite, in 20 images, the first at 0"),
        (GREY, LABELS[:19], "expected 20 labels, one an image, got shape"),
        (GREY, torch.nn.functional.one_hot(LABELS), r"expected 20 labels, one an image, got shape \[20, 2\]"),
        (GREY, LABELS.float(), "expected integer labels, got float32; use labels.long"),
        (GREY, torch.tensor([0.0] * 17 + [torch.nan] * 3), "got float32 with 3 NaN, the first at 17"),
        (GREY, [b"cat", b"dog"] * 10, "expected integer labels, or texts, got"),
        (GREY, [None, "dog"] * 10, "labels that are all texts, got None at 0"),
        (GREY, LABELS + 1, r"expected labels 0..1 for the 2 classes that occur, got 1, 2; count classes from 0"),
        (GREY, LABELS * 10**12, "got 0, 1000000000000"),
        (GREY, LABELS - 1, "got -1, 0"),
        (GREY, LABELS * 0, "expected at least two classes, got 1"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_the_fix(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_tensors(images, labels, name="mine")


def test_labels_outside_the_named_classes_are_named_by_position() -> None:
    with pytest.raises(DataError, match=r"mine, train: expected labels in 0..1, got 2 others: 5 at 3, -1 at 7"):
        from_tensors(GREY, LABELS.index_put((torch.tensor([3, 7]),), torch.tensor([5, -1])), classes="ab", name="mine")
    with pytest.raises(DataError, match=r"mine, test: expected labels in 0..1, got 1 others: 2 at 1"):
        from_tensors(GREY, LABELS, test=(GREY[:2], torch.tensor([0, 2])), name="mine")


def test_labels_of_two_kinds_are_refused_without_names() -> None:
    """Tried: numbered by the sorted texts, a 0 that is "pos" becomes "neg", and nobody says so."""
    texts = np.array(["pos", "neg"])
    with pytest.raises(DataError, match=r"got texts in train and integers in validation, test; .* classes=\[\.\.\.\]"):
        from_tensors(GREY, texts[LABELS], validation=(GREY, LABELS), test=(GREY, LABELS), name="mine")
    data = from_tensors(GREY, texts[LABELS], test=(GREY, LABELS), classes=["pos", "neg"])
    assert data.test is not None
    assert torch.equal(data.test.labels, LABELS)


def test_parts_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"mine, test: expected images of the same shape as in train, got \(1, 4, 3\)"):
        from_tensors(GREY, LABELS, test=(GREY[:, :, :3], LABELS), name="mine")


class Shapes:
    """A data set as a user would write it."""

    def __init__(self, images: list[Any], labels: list[Any] | None = None) -> None:
        self.images = images
        self.labels = labels or [index % 2 for index in range(len(images))]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.labels[index]


@pytest.mark.parametrize(
    "images",
    [
        [Image.fromarray(image) for image in GREY.numpy()],
        list(GREY),
        list(GREY[:, None] / 255),
        [np.asarray(Image.fromarray(image)) for image in GREY.numpy()],
    ],
    ids=["pillow", "tensor", "float tensor", "read-only array"],
)
def test_anything_indexable_is_a_data_set(images: list[Any]) -> None:
    data = from_dataset(Shapes(images), validation=4, test=Shapes(images[:5]))
    assert data.train.images.shape == (16, 1, 4, 4)
    assert data.test is not None
    assert torch.equal(data.test.images[:, 0], GREY[:5])
    assert data.test.labels.tolist() == [0, 1, 0, 1, 0]


def test_a_torch_data_set_and_a_validation_set_are_taken() -> None:
    whole = torch.utils.data.TensorDataset(GREY, LABELS)
    parts = [torch.utils.data.Subset(whole, range(12)), torch.utils.data.Subset(whole, range(12, 20))]
    data = from_dataset(parts[0], validation=parts[1])
    assert torch.equal(data.validation.images[:, 0], GREY[12:])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Shapes([]), "mine, train: expected images, got an empty data set"),
        (Shapes([GREY[0], GREY[0, :3]]), r"like the first, \(4, 4\) torch.uint8, got \(3, 4\) torch.uint8 at 1"),
        (Shapes([GREY[0], GREY[0] / 255]), "got .* torch.float32 at 1"),
        (Shapes(list(GREY), [None, 1] * 10), "expected labels that are all integers, got None at 0"),
    ],
)
def test_a_data_set_that_is_not_even_is_refused(dataset: Shapes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_dataset(dataset, name="mine")
