"""Cells that are written in two ways and do the same: by worked examples, and by computing both."""

from collections import defaultdict
from random import Random

import pytest
import torch

from netwright.children.recurrent_cell import run_cell_plainly
from netwright.spaces.effect import effect
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.strategies.mutation import neighbours

SPACE = RecurrentCellSpace(
    combinations=("add", "elem_mult", "max"), activations=("identity", "tanh", "sigmoid", "relu", "sin")
)


def outputs(cell):
    """Of five steps on random inputs, and gradients. All blocks of the weights are equal: their order cannot matter."""
    generator = torch.Generator().manual_seed(0)
    x, w, u = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((5, 2, 3), (3, 3), (3, 3)))
    w.requires_grad_()
    u.requires_grad_()
    zeros = torch.zeros(2, 3, dtype=torch.float64)
    out, _ = run_cell_plainly(cell, x, zeros, zeros, w.repeat(1, cell.base), u.repeat(1, cell.base))
    gradients = torch.autograd.grad(out.square().sum(), [w, u])
    return torch.cat([part.flatten() for part in (out, *gradients)])


def changed(name, nodes=(), **fields):
    cell = published(name)
    own = list(cell.nodes)
    for node, operation in dict(nodes).items():
        own[node] = tuple(operation.split())
    return cell.model_copy(update={"nodes": tuple(own), **fields})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Gate 12 of the LSTM is a sum of sums of leaves 0 to 3: which of them is squashed does not matter ...
        (changed("lstm", {0: "add tanh", 1: "add relu"}), changed("lstm", {0: "add tanh", 2: "add relu"})),
        # ... and as it is multiplied with what it gates, so is a memory that comes in there.
        (
            changed("lstm", {0: "elem_mult tanh", 8: "elem_mult identity"}, c_prev_index=0),
            changed("lstm", {0: "elem_mult tanh", 8: "elem_mult identity"}, c_prev_index=8),
        ),
        # Node 12 sums up what is never negative.
        (
            changed("lstm", {8: "add sigmoid", 9: "add relu", 12: "add relu"}),
            changed("lstm", {8: "add sigmoid", 9: "add relu", 12: "add identity"}),
        ),
        # A memory that is a product with itself stays 0, so its forget gate, leaves 4 and 5, does nothing.
        (changed("lstm", {13: "elem_mult sigmoid"}), changed("lstm", {13: "elem_mult sigmoid", 4: "add relu"})),
    ],
)
def test_what_makes_no_difference_is_left_out(one, other):
    assert one != other
    assert SPACE.canonical(one) != SPACE.canonical(other)
    assert effect(one) == effect(other)
    assert torch.allclose(outputs(one), outputs(other), atol=1e-12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (changed("lstm"), changed("lstm", {12: "add tanh"})),
        # A sum that the memory is taken from is not part of a larger one.
        (changed("lstm", {0: "add tanh"}, c_index=8), changed("lstm", {2: "add tanh"}, c_index=8)),
        # With sigmoid the memory's way in is not 0.
        (
            changed("lstm", {13: "elem_mult tanh"}, inject=("elem_mult", "sigmoid")),
            changed("lstm", {13: "elem_mult tanh", 4: "add relu"}, inject=("elem_mult", "sigmoid")),
        ),
    ],
)
def test_what_makes_a_difference_is_kept(one, other):
    assert effect(one) != effect(other)


@pytest.mark.parametrize("name", ["lstm", "open-lstm", "nascell", None])
def test_cells_of_one_effect_compute_the_same(name):
    """All neighbours of a published cell, or those of ten random cells."""
    random = Random(2)
    cells = [SPACE.encode(published(name))] if name else [uniform_tokens(SPACE.plan(), random) for _ in range(10)]
    near = [tokens for cell in cells for tokens in neighbours(SPACE.plan(), cell)]
    alike = defaultdict(list)
    for tokens in near:
        cell = SPACE.decode(tokens)
        alike[effect(cell)].append(cell)
    groups = [cells for cells in alike.values() if len(cells) > 1]
    assert groups
    for first, *others in groups:
        expected = outputs(first)
        assert all(torch.allclose(outputs(other), expected, atol=1e-9, equal_nan=True) for other in others)
