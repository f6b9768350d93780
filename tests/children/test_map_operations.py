"""Operations on maps with a way back of their own, held against PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children import map_operations as module
from netwright.children.conv_net import ConvNet
from netwright.children.devices import torch_threads
from netwright.children.map_operations import average_pool, compile_kernels, convolution, mean, normalised_gelu
from netwright.spaces.cost import Shape
from netwright.spaces.references import reference

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
    out = convolution(conv, maps)
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
        out = convolution(conv, maps)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert conv.weight.grad.dtype == torch.float32


def test_elsewhere_pytorch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Depthwise, "apply", never)
    monkeypatch.setattr(F, "linear", never)
    maps = maps_of((2, 4, 8, 8), torch.float32)
    convolution(a_conv(4, (5, 3)), maps)
    convolution(a_conv(4, (7, 1)), maps)
    convolution(a_conv(4, (5, 5)).eval(), maps)
    convolution(a_conv(4, (5, 5), stride=2), maps)
    convolution(a_conv(4, (5, 5), padding=0), maps)
    convolution(a_conv(4, (5, 4)), maps)
    convolution(a_conv(4, (5, 5)), maps.contiguous())
    convolution(a_conv(4, (5, 5)).double(), maps.double())
    for mixing in (
        nn.Conv2d(4, 8, 1, stride=2, bias=False),
        nn.Conv2d(4, 8, 1, padding=1, bias=False),
        nn.Conv2d(4, 8, 1, groups=2, bias=False),
        nn.Conv2d(4, 8, (1, 3), bias=False),
        nn.Conv2d(4, 8, 1, bias=False).eval(),
    ):
        convolution(mixing, maps)
    convolution(nn.Conv2d(4, 8, 1, bias=False), maps.contiguous())
    with torch.autocast("cpu", torch.bfloat16):
        convolution(nn.Conv2d(4, 8, 1, bias=False), maps)
    monkeypatch.setattr(module, "numba_is_there", lambda: False)
    convolution(a_conv(4, (5, 5)), maps)


def test_filters_of_one_pixel_are_a_product_of_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, maps = nn.Conv2d(5, 7, 1, bias=False), maps_of((3, 5, 4, 2), torch.float32).requires_grad_()
    gradient = maps_of((3, 7, 4, 2), torch.float32, 2)
    theirs = torch.autograd.grad(conv(maps), (maps, conv.weight), gradient)
    monkeypatch.setattr(nn.Conv2d, "forward", never)
    out = convolution(conv, maps)
    assert out.is_contiguous(memory_format=torch.channels_last)
    ours = torch.autograd.grad(out, (maps, conv.weight), gradient)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def a_norm(channels: int) -> nn.BatchNorm2d:
    norm, generator = nn.BatchNorm2d(channels), torch.Generator().manual_seed(3)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5, generator=generator)
        norm.bias.uniform_(-1.0, 1.0, generator=generator)
        norm.running_mean.uniform_(-1.0, 1.0, generator=generator)
    return norm


SHAPES = [(8, 16, 16, 16), (3, 5, 4, 3), (2, 1, 1, 1), (2, 3, 1, 1), (1, 2, 1, 2), (5, 1, 3, 3)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_normalisation_with_gelu_is_that_of_pytorch(
    shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    norm, maps, gradient = a_norm(shape[1]), 3 * maps_of(shape, dtype) + 2, maps_of(shape, dtype, 2)
    exact, exact_maps = deepcopy(norm).double(), maps.double().requires_grad_()
    wanted = F.gelu(exact(exact_maps))
    theirs = torch.autograd.grad(wanted, (exact_maps, exact.weight, exact.bias), gradient.double())
    monkeypatch.setattr(nn.BatchNorm2d, "forward", never)
    out = normalised_gelu(norm, maps.requires_grad_())
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last)
    ours = torch.autograd.grad(out, (maps, norm.weight, norm.bias), gradient)
    rounding = {"rtol": 2**-7, "atol": 2**-6} if dtype == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(out.double(), wanted, **rounding)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, **(rounding | {"atol": rounding["atol"] * len(maps)}))
    torch.testing.assert_close(norm.running_mean, exact.running_mean.float())
    torch.testing.assert_close(norm.running_var, exact.running_var.float())
    assert norm.num_batches_tracked == exact.num_batches_tracked == 1


def test_gelu_and_its_slope_are_right_to_single_precision_however_far_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two numbers are normalised to -1 and 1, so weight and bias place one of them anywhere."""
    places = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    norm = nn.BatchNorm2d(len(places), eps=0.0)
    with torch.no_grad():
        norm.bias.copy_(places - 1)
    maps = torch.tensor([-1.0, 1.0])[:, None, None, None].expand(2, len(places), 1, 1)
    maps = maps.contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(nn.BatchNorm2d, "forward", never)
    out = normalised_gelu(norm, maps)
    exact = places.float().double().requires_grad_()
    wanted = F.gelu(exact)
    (slope,) = torch.autograd.grad(wanted.sum(), exact)
    (ours,) = torch.autograd.grad(out[1].sum(), norm.bias)
    assert ((out[1, :, 0, 0] - wanted).abs() / exact.abs().clamp(min=1)).max() < 1e-6
    assert (ours - slope).abs().max() < 1e-6


def test_the_variance_keeps_its_digits_far_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried: without the number near the mean the variance has no right digit. The first image is as far off again."""
    maps = (1000 + 0.1 * maps_of((16, 3, 8, 8), torch.float32)).contiguous(memory_format=torch.channels_last)
    maps[0] += 1
    exact = deepcopy(norm := a_norm(3)).double()
    wanted = F.gelu(exact(maps.double()))
    monkeypatch.setattr(nn.BatchNorm2d, "forward", never)
    torch.testing.assert_close(normalised_gelu(norm, maps).double(), wanted, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(norm.running_var, exact.running_var.float(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_that_are_none_stay_so(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that diverges must be seen to."""
    monkeypatch.setattr(nn.BatchNorm2d, "forward", never)
    maps = maps_of((2, 3, 4, 4), dtype)
    maps[0, 1, 0, 0] = torch.nan
    out = normalised_gelu(a_norm(3), maps)
    assert out[:, 1].isnan().all()
    assert out[:, [0, 2]].isfinite().all()


def test_a_single_pixel_is_refused_as_by_pytorch() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        normalised_gelu(a_norm(2), maps_of((1, 2, 1, 1), torch.float32))


@pytest.mark.parametrize("size", [(16, 16), (7, 5), (1, 1), (1, 4), (3, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_average_pooling_is_that_of_pytorch(
    size: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = maps_of((3, 5, *size), dtype).requires_grad_()
    wanted = F.avg_pool2d(maps, 2, ceil_mode=True)
    gradient = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(4)).to(dtype)  # with channels first
    (theirs,) = torch.autograd.grad(wanted, maps, gradient)
    monkeypatch.setattr(F, "avg_pool2d", never)
    out = average_pool(maps)
    (ours,) = torch.autograd.grad(out, maps, gradient)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mean_over_maps_is_pytorchs_and_its_gradient_has_the_layout_of_the_maps(dtype: torch.dtype) -> None:
    maps = maps_of((2, 3, 4, 5), dtype).requires_grad_()
    weights = torch.randn(2, 3).to(dtype)
    (expected,) = torch.autograd.grad((F.avg_pool2d(maps, maps.shape[2:]).flatten(1) * weights).sum(), maps)
    means = mean(maps)
    torch.testing.assert_close(means, F.avg_pool2d(maps, maps.shape[2:]).flatten(1))
    assert torch.equal(means, mean(maps.detach()))
    (found,) = torch.autograd.grad((means * weights).sum(), maps)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_elsewhere_pytorch_normalises_and_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._NormalisedGelu, "apply", never)
    monkeypatch.setattr(module._AveragePool, "apply", never)
    maps = maps_of((2, 4, 8, 8), torch.float32)

    def both(maps: Tensor) -> None:
        normalised_gelu(a_norm(4).to(maps.dtype), maps)
        average_pool(maps)

    both(maps.contiguous())
    both(maps.double())
    normalised_gelu(a_norm(4).eval(), maps)
    with torch.inference_mode():
        average_pool(maps)
    with torch_threads(module.THREADS + 1):
        both(maps)
        with monkeypatch.context() as inside:  # however many: PyTorch is slow at these
            inside.setattr(nn.Conv2d, "forward", never)
            convolution(a_conv(4, (5, 5)), maps)
    monkeypatch.setattr(module, "numba_is_there", lambda: False)
    both(maps)


@pytest.mark.parametrize("name", ["vgg", "vgg-pointwise", "separable", "dense", "resnet"])
def test_a_network_trains_as_with_pytorchs_operations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = reference(name).model_copy(update={"activation": "gelu", "pooling": "average"})
    images = maps_of((4, 3, 10, 10), torch.float32)
    taken = []
    monkeypatch.setattr(nn.BatchNorm2d, "forward", never)
    for _ in range(2):
        network = ConvNet(architecture, Shape(3, 10, 10), 5, generator=torch.Generator().manual_seed(1))
        network.to(memory_format=torch.channels_last)
        logits = network(images)
        logits.square().sum().backward()
        taken.append([logits.detach(), *(parameter.grad for parameter in network.parameters())])
        monkeypatch.undo()
        monkeypatch.setattr(module, "_is_laid_out", lambda _: False)
    for one, other in zip(*taken, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * other.abs().max().item())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_an_exporter_sees_pytorchs_operations() -> None:
    """Tried: with an operation of Python's in it, a trace does not agree with itself."""
    architecture = reference("dense").model_copy(update={"activation": "gelu", "pooling": "average"})
    network = ConvNet(architecture, Shape(3, 8, 8), 5).to(memory_format=torch.channels_last).eval()
    traced = torch.jit.trace(network, maps_of((2, 3, 8, 8), torch.float32))
    others = maps_of((4, 3, 8, 8), torch.float32, 2)
    torch.testing.assert_close(traced(others), network(others))
    assert "PythonOp" not in str(traced.inlined_graph)


@pytest.mark.parametrize("operation", [average_pool, partial(normalised_gelu, nn.BatchNorm2d(3)),
                                       partial(convolution, a_conv(3, (5, 5)))])  # fmt: skip
def test_a_second_derivative_is_refused(operation: Callable[[Tensor], Tensor]) -> None:
    """Tried: computed through arrays as the first one is, it is zero without a word."""
    maps = maps_of((2, 3, 4, 4), torch.float32).requires_grad_()
    (first,) = torch.autograd.grad(operation(maps).square().sum(), maps, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_kernels_are_compiled_beforehand_and_chance_is_left_as_it_was() -> None:
    before = torch.get_rng_state()
    compile_kernels(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
    kernels = module._kernels()
    names = ("filter_gradient", "normalised_gelu", "normalised_gelu_back", "average_of_four", "average_of_four_back")
    for name in names:
        assert getattr(kernels, name).signatures, name
