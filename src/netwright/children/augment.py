"""What the paper does to images (Zoph & Le 2017, sec. 4.1), on whole batches at a time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def whiten(images: Tensor) -> Tensor:
    """Zero mean and unit variance for each image: [N, C, H, W] bytes -> floats.

    The deviation is kept above 1 / sqrt(C H W) of the byte range's unit, so that a blank image stays finite. This is
    TensorFlow's ``per_image_standardization``, in its first versions called whitening.
    """
    floats = images.float()
    mean = floats.mean((1, 2, 3), keepdim=True)
    deviation = floats.std((1, 2, 3), keepdim=True, correction=0)
    return (floats - mean) / deviation.clamp(min=images[0].numel() ** -0.5)


def enlarge(images: Tensor, height: int, width: int) -> Tensor:
    """[N, C, H, W] -> [N, C, height, width], bilinear."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False)


def crop_and_flip(images: Tensor, height: int, width: int, *, flip: bool, generator: torch.Generator) -> Tensor:
    """A random window of each image, mirrored left to right half of the time: [N, C, H, W] -> [N, C, height, width]."""
    count, channels, full_height, full_width = images.shape
    top = torch.randint(full_height - height + 1, (count, 1), generator=generator)
    left = torch.randint(full_width - width + 1, (count, 1), generator=generator)
    rows = top + torch.arange(height)  # [N, height]
    columns = left + torch.arange(width)  # [N, width]
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = rows.to(images.device), columns.to(images.device)
    image = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[:, None, None]
    return images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def center_crop(images: Tensor, height: int, width: int) -> Tensor:
    """The middle window: [N, C, H, W] -> [N, C, height, width]."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]
