"""What the paper does to images (Zoph & Le 2017, sec. 4.1), on whole batches at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def whiten(images: Tensor) -> Tensor:
    """Zero mean and unit variance for each image: [N, C, H, W] bytes -> floats.

    The deviation is kept above 1 / sqrt(C H W) of the byte range's unit, so that a blank image stays finite. This is
    TensorFlow's ``per_image_standardization``, in its first versions called whitening.
    """
    floats = images.float()
    centred = floats - floats.mean((1, 2, 3), keepdim=True)
    # Not floats.std(...): on a CPU it takes seven times as long as all of this.
    deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp(min=images[0].numel() ** -0.5)


def enlarge(images: Tensor, height: int, width: int) -> Tensor:
    """[N, C, H, W] -> [N, C, height, width], bilinear."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False)


@dataclass(frozen=True, slots=True)
class Windows:
    """Where a batch of N images is cut, and which of them are mirrored.

    Attributes:
        top: [N] first row of each window, int64.
        left: [N] first column.
        mirrored: [N] whether left and right change places, booleans or 0 and 1.
    """

    top: Tensor
    left: Tensor
    mirrored: Tensor


def draw_windows(
    count: int, margin_height: int, margin_width: int, *, flip: bool, generator: torch.Generator
) -> Windows:
    """Windows for ``count`` images that are larger than what is cut from them by so many rows and columns."""
    top = torch.randint(margin_height + 1, (count, 1), generator=generator)
    left = torch.randint(margin_width + 1, (count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5 if flip else torch.zeros(count, 1, dtype=torch.bool)
    return Windows(top[:, 0], left[:, 0], mirrored[:, 0])


def cut(images: Tensor, windows: Windows, height: int, width: int) -> Tensor:
    """A window of each image: [N, C, H, W] -> [N, C, height, width]; all on one device."""
    count, channels, _, length = images.shape
    device = images.device
    rows = windows.top[:, None] + torch.arange(height, device=device)  # [N, height]
    columns = windows.left[:, None] + torch.arange(width, device=device)  # [N, width]
    columns = torch.where(windows.mirrored[:, None].bool(), columns.flip(1), columns)
    # Places in a whole map, for all channels alike; an index for each dimension takes three times as long on a CPU.
    places = (rows[:, :, None] * length + columns[:, None, :]).flatten(1)  # [N, height * width]
    pixels = images.flatten(2).gather(2, places[:, None].expand(-1, channels, -1))
    return pixels.view(count, channels, height, width)


def crop_and_flip(images: Tensor, height: int, width: int, *, flip: bool, generator: torch.Generator) -> Tensor:
    """A random window of each image, mirrored left to right half of the time: [N, C, H, W] -> [N, C, height, width]."""
    margins = images.shape[2] - height, images.shape[3] - width
    drawn = draw_windows(len(images), *margins, flip=flip, generator=generator)
    there = (part.to(images.device) for part in (drawn.top, drawn.left, drawn.mirrored))
    return cut(images, Windows(*there), height, width)


def center_crop(images: Tensor, height: int, width: int) -> Tensor:
    """The middle window: [N, C, H, W] -> [N, C, height, width]."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]
