"""The convolutional child: a ``torch.nn.Module`` built from a convolutional architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.map_operations import average_pool, concatenation, convolution, mean, normalised_gelu
from netwright.spaces.architecture import ConvArchitecture, ConvLayer, LayerActivation, Pooling
from netwright.spaces.cost import IMAGE, Join, Shape, geometry

# At an odd edge, of the pixels that there are.
POOL: dict[Pooling, Callable[[Tensor], Tensor]] = {
    "max": partial(F.max_pool2d, kernel_size=2, ceil_mode=True),
    "average": average_pool,
}


class ConvNet(nn.Module):
    """Convolutions with skip connections, global average pooling and one linear layer (Zoph & Le 2017, sec. 3.3).

    Args:
        architecture: What to build.
        image: Channels, rows and columns of the images.
        classes: Number of classes.
        batch_norm_eps: Added to the variance by batch normalisation.
        generator: Source of the initial weights (He et al. 2015).
    """

    def __init__(
        self,
        architecture: ConvArchitecture,
        image: Shape,
        classes: int,
        *,
        batch_norm_eps: float = 1e-5,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.geometry = geometry(architecture, image)
        self.layers = nn.ModuleList(
            ConvBlock(layer, join.shape, batch_norm_eps, architecture.activation)
            for layer, join in zip(architecture.layers, self.geometry.joins, strict=True)
        )
        self.classifier = nn.Linear(self.geometry.final.shape.channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] images -> [N, classes] logits."""
        maps: dict[tuple[int, int], Tensor] = {(IMAGE, 0): images}
        for index, (layer, join) in enumerate(zip(self.layers, self.geometry.joins, strict=True)):
            maps[index, 0] = layer(_join(maps, join))
        final = _join(maps, self.geometry.final)
        logits: Tensor = self.classifier(mean(final))
        return logits


class ConvBlock(nn.Module):
    """Convolution with SAME padding, batch normalisation, activation.

    In a separable layer each channel has a filter of its own first, and the convolution mixes the channels by 1x1.
    """

    def __init__(self, layer: ConvLayer, incoming: Shape, batch_norm_eps: float, activation: LayerActivation) -> None:
        super().__init__()
        self.activation = activation
        top, bottom = same_padding(incoming.height, layer.filter_height, layer.stride_height)
        left, right = same_padding(incoming.width, layer.filter_width, layer.stride_width)
        symmetric = top == bottom and left == right
        # A stride or an even side can make SAME padding lopsided, which nn.Conv2d cannot express; zeros are then added
        # beforehand.
        self.pad = None if symmetric else (left, right, top, bottom)
        window: dict[str, Any] = {
            "kernel_size": (layer.filter_height, layer.filter_width),
            "stride": (layer.stride_height, layer.stride_width),
            "padding": (top, left) if symmetric else 0,
        }
        channels = incoming.channels
        self.depthwise: nn.Conv2d | None = None
        if layer.layer_type == "separable":
            self.depthwise = nn.Conv2d(channels, channels, **window, groups=channels, bias=False)
            window = {"kernel_size": 1}
        self.conv = nn.Conv2d(channels, layer.filters, **window, bias=False)
        self.norm = nn.BatchNorm2d(layer.filters, eps=batch_norm_eps)

    def forward(self, maps: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, filters, ceil(H / stride), ceil(W / stride)]."""
        if self.pad is not None:
            maps = F.pad(maps, self.pad)
        if self.depthwise is not None:
            maps = convolution(self.depthwise, maps)
        maps = convolution(self.conv, maps)
        return normalised_gelu(self.norm, maps) if self.activation == "gelu" else F.relu(self.norm(maps), inplace=True)


def same_padding(size: int, filter_size: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of ``size`` pixels so that the output has ceil(size / stride)."""
    total = max((-(-size // stride) - 1) * stride + filter_size - size, 0)
    return total // 2, total - total // 2


def _join(maps: dict[tuple[int, int], Tensor], join: Join) -> Tensor:
    """What a join makes of its maps, pooled and zero-padded as it says; pooled maps are kept in ``maps``."""
    parts = [_padded(_pooled(maps, source, poolings, join.pooling), join.shape) for source, poolings in join.sources]
    if join.added:
        return _sum(parts, join.shape.channels)
    return concatenation(parts)


def _sum(parts: Sequence[Tensor], channels: int) -> Tensor:
    """The sum of maps [N, C, H, W]; one with fewer channels has zeros for those that it lacks."""
    widened = [F.pad(part, (0, 0, 0, 0, 0, channels - part.shape[1])) for part in parts]
    return reduce(torch.add, widened)


def _pooled(maps: dict[tuple[int, int], Tensor], source: int, poolings: int, pooling: Pooling) -> Tensor:
    if (source, poolings) not in maps:
        larger = _pooled(maps, source, poolings - 1, pooling)
        maps[source, poolings] = POOL[pooling](larger)
    return maps[source, poolings]


def _padded(part: Tensor, shape: Shape) -> Tensor:
    below, right = shape.height - part.shape[2], shape.width - part.shape[3]
    return F.pad(part, (0, right, 0, below)) if below or right else part
