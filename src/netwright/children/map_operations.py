"""Operations on maps whose way back PyTorch is slow at, trained in the time that they take to compute.

On a CPU most of a child's training is not in its products: what lies between two convolutions goes through the maps
once for each operation, and once more for each derivative. Kernels of our own (:mod:`netwright.children.map_kernels`)
do what belongs together in one go; ``python benchmarks/maps.py`` holds them against PyTorch. Where there is no Numba,
on other devices, without gradients (which is how networks are measured), and for other types or layouts PyTorch's run.

All maps are [N, C, H, W], with the channels last in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from netwright.children.machine_code import numba_is_there

QUICK_WIDTH = 3
"""Pixels of a filter that reads one channel: oneDNN is quick up to here."""

THREADS = 2
"""With more threads than these PyTorch normalises and pools: it divides the maps among them, where a kernel runs in one
and takes a third of one thread's time."""


def convolution(conv: nn.Conv2d, maps: Tensor) -> Tensor:
    """``conv(maps)``, [N, C, H, W] -> [N, filters, H', W'], by another way where oneDNN's is slow in training.

    *Filters of one pixel* are a product of matrices, with the channels last. In float32 and one thread that takes two
    thirds of the time; in bfloat16, and in several threads, it has not been measured.

    *A filter for each channel*: oneDNN goes back through these quickly where they are at most three pixels wide and no
    larger than the maps; for others it takes two to ten times as long. There the gradient of the maps is computed as
    what it is, another convolution of this kind, and that of the filters by a kernel.

    Args:
        conv: Without bias.
        maps: What it reads.
    """
    result: Tensor
    if not conv.training or not _is_laid_out(maps):
        result = conv(maps)
    elif _is_product(conv, maps):
        result = F.linear(maps.permute(0, 2, 3, 1), conv.weight.flatten(1)).permute(0, 3, 1, 2)
    elif _is_slow(conv, maps) and _has_kernels(maps):
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else maps.dtype
        result = _Depthwise.apply(maps.to(dtype), conv.weight.to(dtype), conv.padding)  # type: ignore[no-untyped-call]
    else:
        result = conv(maps)
    return result


def normalised_gelu(norm: nn.BatchNorm2d, maps: Tensor) -> Tensor:
    """``F.gelu(norm(maps))``; in training that brings the running statistics of ``norm`` up to date, as there.

    Args:
        norm: With weights, biases and running statistics.
        maps: [N, C, H, W].
    """
    mean, variance = norm.running_mean, norm.running_var
    has_all = norm.affine and norm.momentum is not None and mean is not None and variance is not None
    usual = has_all and norm.training and norm.weight.dtype == torch.float32
    if not (usual and _has_kernels(maps) and _is_alone() and _several(maps)):
        return F.gelu(norm(maps))
    result: Tensor = _NormalisedGelu.apply(  # type: ignore[no-untyped-call]
        maps, norm.weight, norm.bias, mean, variance, norm.eps, norm.momentum
    )
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    return result


def average_pool(maps: Tensor) -> Tensor:
    """The means of 2x2 pixels, [N, C, ceil(H / 2), ceil(W / 2)]; at an odd edge, of those that there are."""
    result: Tensor
    if torch.is_grad_enabled() and _has_kernels(maps) and _is_alone():
        result = _AveragePool.apply(maps)  # type: ignore[no-untyped-call]
    else:
        result = F.avg_pool2d(maps, 2, ceil_mode=True)
    return result


def mean(maps: Tensor) -> Tensor:
    """Global average pooling, [N, C, H, W] -> [N, C]."""
    if not maps.requires_grad or _is_written_down():
        return maps.mean((2, 3))
    means: Tensor = _Mean.apply(maps)  # type: ignore[no-untyped-call]
    return means


def concatenation(parts: Sequence[Tensor]) -> Tensor:
    """Maps of one size beside each other, along their channels."""
    if len(parts) == 1:
        return parts[0]
    if _is_written_down():
        return torch.cat(tuple(parts), 1)
    joined: Tensor = _Concatenation.apply(*parts)  # type: ignore[no-untyped-call]
    return joined


def compile_kernels(dtype: torch.dtype) -> None:
    """Has this process load all kernels, which Numba compiles where they are not kept from an earlier one.

    Args:
        dtype: Of the maps to come.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        conv, norm = nn.Conv2d(2, 2, 5, padding=2, groups=2, bias=False), nn.BatchNorm2d(2)
        maps = _empty((2, 2, 2, 2), dtype).zero_()
        average_pool(normalised_gelu(norm, convolution(conv.to(dtype), maps))).sum().backward()


def _is_written_down() -> bool:
    """Whether a compiler or an exporter looks on, which knows PyTorch's operations and chooses its layouts itself."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()


def _is_laid_out(maps: Tensor) -> bool:
    """Whether these are maps on a CPU with the channels last."""
    return (
        maps.device.type == "cpu" and maps.is_contiguous(memory_format=torch.channels_last) and not _is_written_down()
    )


def _has_kernels(maps: Tensor) -> bool:
    return _is_laid_out(maps) and maps.dtype in (torch.float32, torch.bfloat16) and numba_is_there()


def _is_alone() -> bool:
    """Whether PyTorch has so few threads that what runs in one is quicker."""
    return torch.get_num_threads() <= THREADS


def _several(maps: Tensor) -> bool:
    """Whether a channel has more than one number, without which there is no variance."""
    return maps.numel() > maps.shape[1]


def _is_product(conv: nn.Conv2d, maps: Tensor) -> bool:
    """Whether this is a product of matrices, and quicker as one."""
    return (
        conv.kernel_size == conv.stride == (1, 1)
        and conv.padding == (0, 0)
        and conv.groups == 1
        and maps.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    )


def _is_slow(conv: nn.Conv2d, maps: Tensor) -> bool:
    """Whether each channel has a filter that oneDNN is slow at, and there is a kernel for."""
    height, width = conv.kernel_size
    rows, columns = maps.shape[2:]
    return (
        conv.groups == conv.out_channels == maps.shape[1]
        and (width > QUICK_WIDTH or height > rows or width > columns)
        and conv.stride == (1, 1)
        and conv.padding == (height // 2, width // 2)
        and height % 2 == width % 2 == 1  # what is filtered is as large as what comes out
    )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.padding = padding
        ctx.save_for_backward(maps, weight)
        return F.conv2d(maps, weight, padding=padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        maps, weight = ctx.saved_tensors
        gradient = _as(maps, gradient)
        by_maps = None
        if ctx.needs_input_grad[0]:
            by_maps = F.conv2d(gradient, weight.flip(2, 3), padding=ctx.padding, groups=len(weight))
        filters = _kernels().filter_gradient(_pixels(maps), _pixels(gradient), *weight.shape[2:])
        by_weight = torch.from_numpy(filters).permute(2, 0, 1)[:, None].to(weight.dtype)
        return by_maps, by_weight, None


class _NormalisedGelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        momentum: float,
    ) -> Tensor:
        result = _empty(maps.shape, maps.dtype)
        ctx.statistics = _kernels().normalised_gelu(
            _pixels(maps), *_arrays(weight, bias), eps, momentum, *_arrays(mean, variance), _pixels(result)
        )
        ctx.save_for_backward(maps, weight, bias)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, bias = ctx.saved_tensors
        by_maps = _empty(maps.shape, maps.dtype)
        by_weight, by_bias = _kernels().normalised_gelu_back(
            _pixels(maps), _pixels(_as(maps, gradient)), *_arrays(weight, bias), ctx.statistics, _pixels(by_maps)
        )
        return by_maps, torch.from_numpy(by_weight), torch.from_numpy(by_bias), None, None, None, None


class _AveragePool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.shape, ctx.dtype = maps.shape, maps.dtype
        *outer, height, width = maps.shape
        result = _empty((*outer, -(-height // 2), -(-width // 2)), maps.dtype)
        _kernels().average_of_four(_pixels(maps), _pixels(result))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        by_maps = _empty(ctx.shape, ctx.dtype)
        _kernels().average_of_four_back(_pixels(_as(by_maps, gradient)), _pixels(by_maps))
        return by_maps


class _Mean(torch.autograd.Function):
    """Over all pixels; the gradient is laid out as the maps are.

    PyTorch's own gradient of a mean is laid out otherwise, which slows everything below. Its pooling over whole maps
    takes twice as long as this on a CPU, and several times as long on a card, where a thread adds up a channel alone.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.shape = maps.shape
        return maps.mean((2, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        _, _, height, width = ctx.shape
        spread: Tensor = (gradient / (height * width))[:, :, None, None].expand(ctx.shape)
        return spread.contiguous(memory_format=torch.channels_last)


class _Concatenation(torch.autograd.Function):
    """Each part gets a gradient of its own memory.

    PyTorch's own gradient is a strided view for each part, with which everything below (activations, normalisation,
    sums of gradients) takes several times as long as the copies made here.
    """

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.channels = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        in_channels_last = gradient.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if in_channels_last else torch.contiguous_format
        return tuple(part.contiguous(memory_format=layout) for part in gradient.split(ctx.channels, 1))


@cache
def _kernels() -> ModuleType:
    return import_module("netwright.children.map_kernels")


def _empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    return torch.empty(tuple(shape), dtype=dtype, memory_format=torch.channels_last)


def _as(maps: Tensor, gradient: Tensor) -> Tensor:
    """A gradient in the type of ``maps``, with the channels last in memory."""
    return gradient.to(maps.dtype).contiguous(memory_format=torch.channels_last)


def _arrays(*tensors: Tensor) -> Iterator[Any]:
    """The same memory, for a kernel."""
    return (tensor.detach().numpy() for tensor in tensors)


def _pixels(maps: Tensor) -> Any:
    """[N, C, H, W] -> [N, H, W, C] without a copy, bfloat16 as its bits."""
    maps = maps.detach()
    return (maps.view(torch.uint16) if maps.dtype == torch.bfloat16 else maps).numpy().transpose(0, 2, 3, 1)
