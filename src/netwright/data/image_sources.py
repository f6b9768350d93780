"""The names under which images are found: ``digits``, ``cifar10``, ``images:DIR``, ``hf:NAME``."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np

from netwright.data.cifar10 import list_cifar10
from netwright.data.hub import list_hub
from netwright.data.image_folder import list_folder
from netwright.data.listing import Listing, Sample
from netwright.errors import DataError

IMAGE_SOURCES = ("digits", "cifar10", "cifar10:DIR", "images:DIR", "hf:NAME")


def list_images(source: str) -> Listing:
    """Lists the images of a source without decoding them.

    Args:
        source: One of :data:`IMAGE_SOURCES`, with a folder or a name of the Hub in place of the capitals.

    Raises:
        DataError: There is no such source, or it cannot be listed.
    """
    kind, _, place = source.partition(":")
    match kind, place:
        case "digits", "":
            return _list_digits()
        case "cifar10", "":
            return list_cifar10()
        case "cifar10", _:
            return list_cifar10(Path(place).expanduser())
        case "images", _ if place:
            return list_folder(Path(place).expanduser())
        case "hf", _ if place:
            return list_hub(place)
    if Path(source).expanduser().is_dir():
        hint = f"images:{source}"
    else:
        near = difflib.get_close_matches(kind, [known.partition(":")[0] for known in IMAGE_SOURCES], 1)
        hint = next((known for known in IMAGE_SOURCES if near and known.startswith(near[0])), "")
    meant = f"; did you mean '{hint}'?" if hint else ""
    raise DataError(f"expected a source of images ({', '.join(IMAGE_SOURCES)}), got '{source}'{meant}")


def _list_digits() -> Listing:
    """The 1,797 handwritten digits of scikit-learn: grey, 8 x 8 pixels, 17 shades (UCI, Alpaydin 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images[:, None] * (255 / 16)).astype(np.uint8)
    samples = [
        Sample(f"digit {row}", image, int(label))
        for row, (image, label) in enumerate(zip(images, digits.target, strict=True))
    ]
    return Listing(classes=tuple("0123456789"), parts={"train": samples})
