"""Matrix products through oneDNN where PyTorch has it and it is faster, else through ``torch.mm``.

The library behind ``torch.mm`` on a CPU reaches half of oneDNN's speed for large matrices where there is AVX-512, but
is as fast without, and for the few rows of one step. The operators used here are the ones that ``torch.compile`` emits;
their names are private, so each use has a plain fallback.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from netwright.children.devices import multiplies_bfloat16

SMALL = 1 << 16
"""Up to so many numbers in a matrix that few rows are multiplied with, neither oneDNN nor bfloat16 is faster."""


def product(a: Tensor, b: Tensor, *, bfloat16: bool = False) -> Tensor:
    """``a @ b`` in the type of ``a``, outside of autograd.

    Args:
        a: [m, k].
        b: [k, n], of any strides; the transpose of a contiguous matrix is as good as one.
        bfloat16: Round both factors and the result to bfloat16.
    """
    if bfloat16:
        return torch.mm(a.to(torch.bfloat16), b.to(torch.bfloat16)).to(a.dtype)
    if _through_onednn(a) and a.numel() and b.numel():
        result: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
        return result
    return torch.mm(a, b)


def packed_product(
    b: Tensor, rows: int, bias: Tensor | None = None, *, bfloat16: bool = False
) -> Callable[[Tensor], Tensor]:
    """The function ``a -> a @ b + bias`` for many ``a`` of ``rows`` rows, in the type of ``a`` on a CPU.

    Args:
        b: [k, n], of any strides; laid out for oneDNN once, where that pays.
        rows: The number of rows of each ``a`` to come.
        bias: [n], in the type of ``a``.
        bfloat16: Round both factors to bfloat16, where that is faster; elsewhere than on a CPU the result stays in that
            type without a bias.
    """
    if b.device.type == "cpu" and b.numel() <= SMALL:
        return (lambda a: torch.mm(a.to(b.dtype), b)) if bias is None else (lambda a: torch.addmm(bias, a, b))
    multiply = _large_product(b.to(torch.bfloat16) if bfloat16 else b, rows)
    if b.device.type == "cpu" and bfloat16:
        # Converted first: PyTorch's addition of two types takes several times as long.
        return (lambda a: multiply(a).float()) if bias is None else (lambda a: multiply(a).float().add_(bias))
    return multiply if bias is None else (lambda a: multiply(a) + bias)


def _large_product(b: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """The function ``a -> a @ b`` in the type of ``b``."""
    if not (_through_onednn(b) and rows and b.numel()):
        return lambda a: torch.mm(a.to(b.dtype), b)
    packed = torch.ops.mkldnn._reorder_linear_weight(b.t(), rows)
    linear = torch.ops.mkldnn._linear_pointwise.default
    return lambda a: linear(a.to(b.dtype), packed, None, "none", [], "")


def _through_onednn(a: Tensor) -> bool:
    """Whether the products of ``a`` are taken by oneDNN."""
    fitting = a.dtype == torch.float32 or (a.dtype == torch.bfloat16 and multiplies_bfloat16(a.device))
    return fitting and a.device.type == "cpu" and _onednn_pays()


@cache
def _onednn_pays() -> bool:
    return _onednn_is_there() and torch.backends.cpu.get_cpu_capability() != "AVX2"


def _onednn_is_there() -> bool:
    names = ("_linear_pointwise", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)
