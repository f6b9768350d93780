"""Pictures that a trained network is asked about: files, folders or arrays, as tensors of the shape that it reads.

They are read by the same policy as those that it learned from; see :mod:`netwright.data.decoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from netwright.data.decoding import SUFFIXES, Depth, decode_file, is_picture
from netwright.data.image_folder import visible_files
from netwright.data.listing import PICTURE_CHANNELS, Defect, Picture
from netwright.data.own_images import as_pixels
from netwright.errors import DataError

OnDefect = Callable[[str, str], None]
"""Told the name of a file that cannot be read, and why."""


def picture_files(places: Iterable[Path]) -> list[Path]:
    """The files that are meant: files as they are named, and of folders all pictures below them, in order.

    Those of formats that are not read are among them, so that they are named as what cannot be read.

    Raises:
        DataError: There is nothing at a place, or no picture in a folder; names the place.
    """
    files: list[Path] = []
    for place in places:
        if not place.exists():
            raise DataError(f"{place}: there is no such file or folder")
        if not place.is_dir():
            files.append(place)
            continue
        below = sorted(path for path in visible_files(place) if is_picture(path))
        if not below:
            raise DataError(f"{place}: expected pictures ({', '.join(sorted(SUFFIXES))}) in this folder, found none")
        files += below
    return files


def read_pictures(
    files: Sequence[Path], shape: tuple[int, int, int], on_defect: OnDefect | None = None, bits: int = 16
) -> tuple[list[str], Tensor]:
    """The names of the files that can be read, and their pixels, uint8 [N, C, H, W].

    Args:
        files: Pictures of any size, which are resized.
        shape: Channels, rows and columns.
        on_defect: Told of files that cannot be read, which are then left out; see :data:`OnDefect`.
        bits: That white takes in pictures of more than 8 bits, as in those that the network learned from.

    Raises:
        DataError: A file cannot be read, and ``on_defect`` is not given; or no file has so many channels.
    """
    channels, *size = shape
    if channels not in PICTURE_CHANNELS:
        raise DataError(
            f"predict: expected a network that reads grey or RGB, as files of pictures are, got one of {channels} "
            f"channels; give arrays to Network.predict, [N, {', '.join(map(str, shape))}]"
        )
    names, pictures = [], []
    for file in files:
        picture = decode_file(file, str(file), (size[0], size[1]), Depth(bits=bits))
        if not isinstance(picture, Defect):
            names.append(str(file))
            pictures.append(_in_channels(picture, channels))
        elif on_defect is None:
            raise DataError(
                f"{picture.file} {picture.problem}; to go on without it, give a function that is told: "
                "predict(..., on_defect=print)"
            )
        else:
            on_defect(picture.file, picture.problem)
    return names, torch.from_numpy(np.stack(pictures)) if pictures else torch.empty(0, *shape, dtype=torch.uint8)


def given_pictures(images: ArrayLike | Tensor, shape: tuple[int, int, int]) -> tuple[list[str], Tensor]:
    """The positions of images, and their pixels, uint8 [N, C, H, W].

    Args:
        images: As :func:`netwright.from_tensors` takes them, of the shape that the network reads.
        shape: Channels, rows and columns.

    Raises:
        DataError: They are of another shape, or no images.
    """
    pixels = as_pixels(images, "predict")
    if tuple(pixels.shape[1:]) != shape:
        raise DataError(f"predict: expected images [N, {', '.join(map(str, shape))}], got {list(pixels.shape)}")
    return [str(number) for number in range(len(pixels))], pixels


def _in_channels(picture: Picture, channels: int) -> Picture:
    """Grey repeated for a network of colours; colours made grey for one of grey."""
    if len(picture) == channels:
        return picture
    if channels == 1:
        return np.asarray(Image.fromarray(picture.transpose(1, 2, 0)).convert("L"))[None]
    return np.repeat(picture, channels, axis=0)
