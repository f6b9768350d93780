"""Convolutions of each channel by itself, held against PyTorch's."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from netwright.children import depthwise as module
from netwright.children.depthwise import depthwise

pytest.importorskip("numba", reason="no numba here, which compiles the kernel")


def a_conv(channels: int, size: tuple[int, int], **more: object) -> nn.Conv2d:
    padding = size[0] // 2, size[1] // 2
    return nn.Conv2d(channels, channels, size, groups=channels, bias=False, **({"padding": padding} | more))


def maps_of(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 1) -> Tensor:
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return maps.to(dtype).contiguous(memory_format=torch.channels_last)


def never(*_: object) -> None:
    raise AssertionError("went the other way")


@pytest.mark.parametrize(
    ("size", "shape"),
    [((5, 5), (8, 16, 16, 16)), ((1, 5), (3, 5, 4, 3)), ((3, 7), (2, 1, 1, 2)), ((7, 5), (3, 5, 6, 4)),
     ((3, 3), (8, 20, 2, 2)), ((3, 1), (4, 2, 2, 8))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_gradients_are_those_of_pytorch(
    size: tuple[int, int], shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv, maps, gradient = a_conv(shape[1], size).to(dtype), maps_of(shape, dtype), maps_of(shape, dtype, 2)
    exact, exact_maps = deepcopy(conv).double(), maps.double().requires_grad_()
    exact(exact_maps).backward(gradient.double())
    monkeypatch.setattr(nn.Conv2d, "forward", never)  # PyTorch's own may not stand in
    maps.requires_grad_()
    out = depthwise(conv, maps)
    out.backward(gradient)
    rounding = {"rtol": 2**-7, "atol": 2**-6} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    assert out.dtype == conv.weight.grad.dtype == dtype
    torch.testing.assert_close(maps.grad.double(), exact_maps.grad, **rounding)
    largest = exact.weight.grad.abs().max().item()
    torch.testing.assert_close(
        conv.weight.grad.double() / largest, exact.weight.grad / largest, rtol=0, atol=rounding["rtol"]
    )


def test_under_autocast_it_computes_in_16_bits_and_weights_get_gradients_of_their_own_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nn.Conv2d, "forward", never)
    conv, maps = a_conv(8, (5, 5)), maps_of((4, 8, 6, 6), torch.float32)  # of an image, which needs no gradient
    with torch.autocast("cpu", torch.bfloat16):
        out = depthwise(conv, maps)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert conv.weight.grad.dtype == torch.float32


def test_elsewhere_pytorch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Depthwise, "apply", never)
    maps = maps_of((2, 4, 8, 8), torch.float32)
    depthwise(a_conv(4, (5, 3)), maps)
    depthwise(a_conv(4, (7, 1)), maps)
    depthwise(a_conv(4, (5, 5)).eval(), maps)
    depthwise(a_conv(4, (5, 5), stride=2), maps)
    depthwise(a_conv(4, (5, 5), padding=0), maps)
    depthwise(a_conv(4, (5, 4)), maps)
    depthwise(a_conv(4, (5, 5)), maps.contiguous())
    depthwise(a_conv(4, (5, 5)).double(), maps.double())
    monkeypatch.setattr(module, "numba_is_there", lambda: False)
    depthwise(a_conv(4, (5, 5)), maps)
