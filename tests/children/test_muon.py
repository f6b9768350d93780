"""Muon: orthogonal steps for convolutions, SGD for all else, against the singular values and PyTorch's own."""

import pytest
import torch
from torch import nn

from netwright.children.muon import Muon, mixes_channels, orthogonal


def randn(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 72), (72, 8), (16, 16), (1, 9)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_singular_vectors_stay_and_singular_values_become_about_one(shape, scale):
    """Tried: without the polynomial's division by the norm, a scale of a million ends in numbers that are none."""
    matrix = randn(*shape, scale=scale)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    made = left.T @ orthogonal(matrix, iterations=5) @ right.T
    assert (made.diagonal() - 1).abs().max() < 0.35
    assert (made - made.diagonal().diag()).abs().max() < 1e-3


def test_of_nothing_comes_nothing():
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_it_is_pytorchs_for_matrices():
    """Theirs computes in bfloat16, with two digits and a half."""
    gradients = [randn(12, 30, seed=seed) for seed in range(4)]
    start = randn(12, 30, seed=9)
    theirs = nn.Parameter(start.clone())
    optimizer = torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.0, ns_steps=3)
    ours = nn.Parameter(start.view(12, 30, 1, 1).clone())
    own = Muon([ours], lr=0.1, momentum=0.9, nesterov=True, fused=True)
    for gradient in gradients:
        theirs.grad, ours.grad = gradient.clone(), gradient.view(12, 30, 1, 1).clone()
        optimizer.step()
        own.step()
    moved = ours.detach().flatten(1) - start
    assert torch.allclose(moved, theirs.detach() - start, atol=0.02)
    assert moved.norm() > 0.5


def test_what_mixes_no_channels_goes_as_with_sgd_and_does_not_decay():
    def parameters():
        return [nn.Parameter(randn(*shape)) for shape in ((6, 1, 3, 3), (6,), (10, 6), (6, 4, 3, 3))]

    settings = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "fused": True}
    ours, theirs = parameters(), parameters()
    for optimizer, moved in (
        (Muon(ours, **settings, weight_decay=0.1), ours),
        (torch.optim.SGD(theirs, **settings), theirs),
    ):
        for seed in range(3):
            for parameter in moved:
                parameter.grad = randn(*parameter.shape, seed=seed)
            optimizer.step()
    assert [torch.equal(one, other) for one, other in zip(ours, theirs, strict=True)] == [True, True, True, False]
    assert [mixes_channels(parameter) for parameter in ours] == [False, False, False, True]


def test_weights_decay_as_fast_as_with_sgd():
    """Without gradients: momentum adds up ten penalties, so 100 steps of 0.001 take off a tenth."""
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.001, "nesterov": True, "fused": True}
    left = []
    for optimizer in (Muon, torch.optim.SGD):
        weight = nn.Parameter(torch.ones(6, 4, 3, 3))
        moved = optimizer([weight], **settings)
        for _ in range(100):
            weight.grad = torch.zeros_like(weight)
            moved.step()
        left.append(weight.mean().item())
    assert left == pytest.approx([0.999**100] * 2, abs=0.01)


def test_the_layout_of_memory_decides_nothing():
    filters, gradient = randn(6, 4, 3, 3), randn(6, 4, 3, 3, seed=1)
    moved = []
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(filters.clone(memory_format=layout))
        weight.grad = gradient.clone(memory_format=layout)
        Muon([weight], lr=0.1, momentum=0.9, nesterov=True, fused=True).step()
        assert weight.is_contiguous(memory_format=layout)
        moved.append(weight.detach())
    assert torch.allclose(*moved, atol=1e-5)


def test_a_loss_scaler_divides_the_gradients_of_all():
    """Fused SGD divides by itself, for those it moves. Tried: left on, momentum is 1,024 times too long."""
    weight = nn.Parameter(randn(6, 4, 3, 3))
    optimizer = Muon([weight], lr=0.1, momentum=0.9, nesterov=True, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((weight * 3.0).sum()).backward()
    scaler.step(optimizer)
    assert torch.allclose(optimizer.state[weight]["momentum_buffer"], torch.full_like(weight, 3.0))


def test_a_closure_is_refused():
    with pytest.raises(ValueError, match="closure"):
        Muon([nn.Parameter(torch.ones(2))], lr=0.1).step(lambda: 0.0)
