"""Convolutions with a filter for each channel, trained on a CPU in the time that they take to compute.

oneDNN goes back through them quickly where filters are at most three pixels wide and no larger than the maps. In
bfloat16 it takes three to ten times as long as this for others. There the gradient of the maps is computed as what it
is, another convolution of this kind, and that of the filters by a kernel of our own (``benchmarks/depthwise.py``).
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.machine_code import numba_is_there

QUICK_WIDTH = 3
"""Of filters, in pixels: up to here oneDNN is quick."""


def depthwise(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """``conv(maps)``, [N, C, H, W] -> [N, C, H', W'].

    Args:
        conv: As many groups as channels, and no bias.
        maps: As many channels.
    """
    result: Tensor
    if _has_kernel(conv, maps):
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
        result = _Depthwise.apply(maps.to(dtype), conv.weight.to(dtype), conv.padding)  # type: ignore[no-untyped-call]
    else:
        result = conv(maps)
    return result


def _has_kernel(conv: nn.Conv2d, maps: Tensor) -> bool:
    height, width = conv.kernel_size
    rows, columns = maps.shape[2:]
    return (
        conv.training  # what is measured or deployed runs as its exported file does
        and maps.device.type == "cpu"
        and (width > QUICK_WIDTH or height > rows or width > columns)
        and conv.stride == (1, 1)
        and conv.padding == (height // 2, width // 2)
        and height % 2 == width % 2 == 1  # what is filtered is as large as what comes out
        and maps.dtype in (torch.float32, torch.bfloat16)
        and maps.is_contiguous(memory_format=torch.channels_last)
        and not torch.compiler.is_compiling()
        and numba_is_there()
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.padding = padding
        ctx.save_for_backward(maps, weight)
        return F.conv2d(maps, weight, padding=padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        maps, weight = ctx.saved_tensors
        gradient = gradient.to(maps.dtype).contiguous(memory_format=torch.channels_last)
        by_maps = None
        if ctx.needs_input_grad[0]:
            by_maps = F.conv2d(gradient, weight.flip(2, 3), padding=ctx.padding, groups=len(weight))
        filters = _kernel().filter_gradient(_pixels(maps), _pixels(gradient), *weight.shape[2:])
        by_weight = torch.from_numpy(filters).permute(2, 0, 1)[:, None].to(weight.dtype)
        return by_maps, by_weight, None


@cache
def _kernel() -> ModuleType:
    return import_module("netwright.children.depthwise_kernel")


def _pixels(maps: Tensor) -> Any:
    """[N, C, H, W] -> [N, H, W, C] without a copy, bfloat16 as its bits."""
    maps = maps.detach()
    return (maps.view(torch.uint16) if maps.dtype == torch.bfloat16 else maps).numpy().transpose(0, 2, 3, 1)
