"""Recurrent layers against TensorFlow's numbers, PyTorch's LSTM and autograd over the plain definition."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from netwright.children.cell_kernels import run_cell
from netwright.children.recurrent_cell import NASRNN, NASCell, cell_step, run_cell_plainly
from netwright.errors import ArchitectureError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer, RecurrentCellArchitecture
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace, merged_nodes

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nascell_tensorflow.json").read_text())
SPACE = RecurrentCellSpace(
    combinations=("add", "elem_mult", "max"), activations=("identity", "tanh", "sigmoid", "relu", "sin")
)


@pytest.mark.parametrize(("case", "proj_size"), [("without_projection", 0), ("with_projection_to_5", 5)])
def test_tensorflow_known_answers(case: str, proj_size: int) -> None:
    cell = NASCell(4, 6, proj_size=proj_size)
    rnn = NASRNN(4, 6, proj_size=proj_size)
    for parameter in (*cell.parameters(), *rnn.parameters()):
        nn.init.constant_(parameter, 0.5)
    for number, output, memory in zip(GOLDEN["inputs"], *GOLDEN[case].values(), strict=True):
        x = torch.full((1, 4), float(number))
        state = torch.full((1, proj_size or 6), 0.1), torch.full((1, 6), 0.1)
        h, c = cell(x, state)
        _, (h_fast, c_fast) = rnn(x[None], (state[0][None], state[1][None]))
        for result, expected in ((h, output), (c, memory), (h_fast[0], output), (c_fast[0], memory)):
            torch.testing.assert_close(result, torch.full_like(result, expected), rtol=0, atol=1e-6)


def test_published_cell_is_tensorflows_formula() -> None:
    """The scalar vector of the formula, weights different in every leaf (a swap of two blocks would show)."""
    cell = published("nascell")
    assert isinstance(cell, RecurrentCellArchitecture)
    leaves = torch.arange(8, dtype=torch.float64)
    h, c = cell_step(cell, 0.1 * (leaves + 1), 0.05 * (8 - leaves) * 0.5, torch.tensor([0.25], dtype=torch.float64))
    assert h.item() == pytest.approx(0.20017658, abs=1e-7)
    assert c.item() == pytest.approx(0.2499386, abs=1e-6)


def test_worked_example_of_base_2() -> None:
    """Figure 5 by hand: a0 = tanh(W1 x + W2 h), c = (W3 x)(W4 h), h = sigmoid(relu(a0 + c') relu(c))."""
    cell = RecurrentCellSpace(base=2).decode((0, 1, 1, 3, 1, 2, 0, 3, 1, 0))
    x, m, c = torch.randn(3, 3, 8).unbind()
    h, c_next = cell_step(cell, x, m, c[:, :4])
    torch.testing.assert_close(c_next, x[:, 4:] * m[:, 4:])
    a0 = torch.relu(torch.tanh(x[:, :4] + m[:, :4]) + c[:, :4])
    torch.testing.assert_close(h, torch.sigmoid(a0 * torch.relu(c_next)))


def test_lstm_cell_is_pytorchs_lstm() -> None:
    lstm = nn.LSTM(3, 5, bias=False).double()
    ours = NASRNN(3, 5, architecture="lstm").double()
    with torch.no_grad():
        for weight, kernel in ((lstm.weight_ih_l0, "kernel"), (lstm.weight_hh_l0, "recurrent_kernel")):
            i, f, g, o = weight.t().chunk(4, 1)
            # Leaves 0 to 3 sum to the output gate, 4 and 5 to the forget gate.
            blocks = torch.cat([o / 4, o / 4, o / 4, o / 4, f / 2, f / 2, i, g], 1)
            getattr(ours.cells[0], kernel).copy_(blocks)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    output, (h, c) = lstm(x)
    our_output, (our_h, our_c) = ours(x)
    torch.testing.assert_close(our_output, output)
    torch.testing.assert_close(our_h, h)
    torch.testing.assert_close(our_c, c)


Problem = tuple[RecurrentCellArchitecture, list[Tensor | None], dict[str, Any]]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A random cell, with or without bias and projection, in float64, on few steps of few sequences."""
    seed = draw(st.integers(0, 2**32))
    cell = SPACE.decode(uniform_tokens(SPACE.plan(), Random(seed)))
    # A third of the cells inject at the root, at a leaf, and at the node that gives the memory state.
    place = draw(st.sampled_from([14, 0, 3, cell.c_index, cell.c_prev_index]))
    memory = draw(st.sampled_from([cell.c_index, place, 14, 5]))
    cell = cell.model_copy(update={"c_prev_index": place, "c_index": memory})
    merged: frozenset[int] = frozenset()
    if draw(st.booleans()):  # what is only added up, of which a random cell has little
        summed = draw(st.sets(st.sampled_from(range(12)), min_size=3))
        nodes = [("add", "identity") if node in summed else operation for node, operation in enumerate(cell.nodes)]
        cell = cell.model_copy(update={"nodes": tuple(nodes)})
        merged = merged_nodes(cell)
    leaves = sum(leaf not in merged for leaf in range(8))
    g = torch.Generator().manual_seed(seed)
    T, N, I, U = 3, 2, 3, 2  # noqa: E741
    H = draw(st.sampled_from([U, 3]))
    sizes = [(T, N, I), (N, H), (N, U), (I, leaves * U), (H, leaves * U)]
    tensors: list[Tensor | None] = [torch.randn(size, dtype=torch.float64, generator=g) for size in sizes]
    tensors.append(torch.randn(leaves * U, dtype=torch.float64, generator=g) if draw(st.booleans()) else None)
    tensors.append(torch.randn(U, H, dtype=torch.float64, generator=g) if H != U else None)
    options: dict[str, Any] = {"merged": merged}
    if draw(st.booleans()):
        options["recurrent_mask"] = torch.rand(N, H, dtype=torch.float64, generator=g)
    if draw(st.booleans()):
        options["padding"] = torch.tensor([[False, False], [False, True], [False, True]])
    return cell, [None if tensor is None else tensor.requires_grad_() for tensor in tensors], options


@settings(deadline=None, max_examples=60)
@given(problems())
def test_a_cell_with_merged_sums_is_the_cell_without_them_whose_other_products_are_zero(problem: Problem) -> None:
    cell, (x, h, c, *weights, projection), options = problem
    merged = options["merged"]
    leaves = [leaf for leaf in range(8) if leaf not in merged]

    def with_zeros(weight: Tensor | None) -> Tensor | None:
        if weight is None:
            return None
        blocks = dict(zip(leaves, weight.chunk(len(leaves), -1), strict=True))
        return torch.cat([blocks.get(leaf, torch.zeros_like(blocks[leaves[0]])) for leaf in range(8)], -1)

    whole = map(with_zeros, weights)
    expected = run_cell_plainly(cell, x, h, c, *whole, projection, **{**options, "merged": frozenset()})
    for one, other in zip(run_cell(cell, x, h, c, *weights, projection, **options), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_merged_sums_leave_an_lstm_four_products() -> None:
    lstm, ours = nn.LSTM(3, 5).double(), NASRNN(3, 5, architecture="lstm", bias=True, merge_sums=True).double()
    i, f, g, o = range(4)
    with torch.no_grad():
        gates = [(lstm.weight_ih_l0, "kernel"), (lstm.weight_hh_l0, "recurrent_kernel")]
        for weight, name in [*gates, (lstm.bias_ih_l0 + lstm.bias_hh_l0, "bias")]:
            blocks = weight.t().chunk(4, -1)
            getattr(ours.cells[0], name).copy_(torch.cat([blocks[gate] for gate in (o, f, i, g)], -1))
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(x)[0], lstm(x)[0])


def test_biases_begin_at_one_where_a_leaf_multiplies() -> None:
    """Tried: from zero, a gate that only multiplies begins as a product of two small numbers (docs/experiments.md)."""
    cell = published("nascell")  # of its leaves the fourth multiplies
    assert NASCell(3, 2, cell, bias=True).bias.tolist() == [0] * 6 + [1, 1] + [0] * 8
    merged = published("lstm").model_copy(
        update={"nodes": (*published("lstm").nodes[:5], ("elem_mult", "identity"), *published("lstm").nodes[6:])}
    )
    assert NASCell(3, 1, merged, bias=True, merge_sums=True).bias.tolist() == [0, 0, 1, 0, 0]


@settings(deadline=None, max_examples=60)
@given(problems())
def test_values_and_gradients_are_autograds_over_the_definition(problem: Problem) -> None:
    cell, tensors, options = problem
    expected = run_cell_plainly(cell, *tensors, **options)
    got = run_cell(cell, *tensors, **options)
    weights = [torch.randn_like(value) for value in expected]
    inputs = [tensor for tensor in tensors if tensor is not None]
    for one, other in zip(_gradients(expected, weights, inputs), _gradients(got, weights, inputs), strict=True):
        torch.testing.assert_close(other, one)
    for one, other in zip(expected, got, strict=True):
        torch.testing.assert_close(other, one)


def _gradients(results: tuple[Tensor, Tensor], weights: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    total = sum((result * weight).sum() for result, weight in zip(results, weights, strict=True))
    return list(torch.autograd.grad(total, inputs, materialize_grads=True))


@settings(deadline=None, max_examples=5)
@given(problems())
def test_gradcheck(problem: Problem) -> None:
    cell, tensors, options = problem
    smooth = tuple((c, "tanh" if a == "relu" else a) for c, a in cell.nodes)
    cell = cell.model_copy(update={"nodes": tuple(("add" if c == "max" else c, a) for c, a in smooth)})
    cell = cell.model_copy(update={"inject": ("elem_mult", "sigmoid")})
    assert torch.autograd.gradcheck(lambda *given: run_cell(cell, *given, **options), tensors)


@pytest.mark.parametrize("name", ["nascell", "figure8-max", "lstm"])
@pytest.mark.parametrize(("bfloat16", "tolerance"), [(False, 5e-6), (True, 0.25)])
def test_low_precision_is_close_to_float64(name: str, bfloat16: bool, tolerance: float) -> None:
    torch.manual_seed(0)
    rnn = NASRNN(16, 32, 2, name, bfloat16_products=bfloat16)
    exact = NASRNN(16, 32, 2, name, plain=True).double()
    exact.load_state_dict(rnn.state_dict())
    x = torch.randn(6, 4, 16)
    torch.testing.assert_close(rnn(x)[0].double(), exact(x.double())[0], rtol=0, atol=tolerance)
    rnn(x)[0].square().mean().backward()
    exact(x.double())[0].square().mean().backward()
    for ours, true in zip(rnn.parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None
        assert true.grad is not None
        torch.testing.assert_close(ours.grad.double(), true.grad, rtol=0, atol=tolerance * true.grad.abs().max().item())


@pytest.mark.parametrize("plain", [False, True])
def test_forms_of_input_agree(plain: bool) -> None:
    rnn = NASRNN(3, 5, 2, bias=True, plain=plain)
    x = torch.randn(6, 4, 3)
    output, (h, c) = rnn(x)
    assert output.shape == (6, 4, 5)
    assert h.shape == c.shape == (2, 4, 5)
    torch.testing.assert_close(h[-1], output[-1])

    first = NASRNN(3, 5, 2, bias=True, plain=plain, batch_first=True)
    first.load_state_dict(rnn.state_dict())
    torch.testing.assert_close(first(x.transpose(0, 1))[0], output.transpose(0, 1))
    strided = torch.randn(6, 4, 6)[..., ::2].copy_(x)
    torch.testing.assert_close(rnn(strided)[0], output)
    single, (h_single, _) = rnn(x[:, 1])
    torch.testing.assert_close(single, output[:, 1])
    torch.testing.assert_close(h_single, h[:, 1])

    half, state = rnn(x[:3])
    rest, state = rnn(x[3:], state)
    torch.testing.assert_close(torch.cat([half, rest]), output)
    torch.testing.assert_close(state[1], c)


@pytest.mark.parametrize("plain", [False, True])
def test_sequences_of_unlike_length(plain: bool) -> None:
    rnn = NASRNN(3, 5, 2, bias=True, plain=plain)
    sequences = [torch.randn(length, 3) for length in (2, 5, 3)]
    padded = nn.utils.rnn.pad_sequence(sequences)
    output, (h, c) = rnn(padded, lengths=torch.tensor([2, 5, 3]))
    packed, (h_packed, c_packed) = rnn(pack_sequence(sequences, enforce_sorted=False))
    torch.testing.assert_close(pad_packed_sequence(packed)[0], output)
    for place, sequence in enumerate(sequences):
        alone, (h_alone, c_alone) = rnn(sequence)
        torch.testing.assert_close(output[: len(sequence), place], alone)
        assert not output[len(sequence) :, place].any()
        for one in (h, h_packed):
            torch.testing.assert_close(one[:, place], h_alone)
        for one in (c, c_packed):
            torch.testing.assert_close(one[:, place], c_alone)


def test_recurrent_dropout_is_tied_in_time_and_off_in_evaluation() -> None:
    rnn = NASRNN(3, 50, recurrent_dropout=0.5)
    x = torch.randn(4, 2, 3)
    torch.testing.assert_close(rnn.eval()(x)[0], rnn(x)[0])
    rnn.train()
    torch.manual_seed(0)
    dropped = rnn(x)[0]
    torch.manual_seed(0)
    mask = nn.functional.dropout(torch.ones(2, 50), 0.5)
    cell = rnn.cells[0]
    assert isinstance(cell, NASCell)
    torch.testing.assert_close(cell.run(x, recurrent_mask=mask)[0], dropped)


def test_variational_dropout_between_layers_drops_a_unit_at_all_steps() -> None:
    rnn = NASRNN(3, 20, 2, dropout=0.5, variational=True)
    x = torch.ones(5, 2, 20)
    dropped = rnn._drop_between(x)
    assert {0.0, 2.0} == set(dropped.flatten().tolist())
    assert (dropped == dropped[0]).all()


def test_second_derivatives_need_the_plain_run() -> None:
    x = torch.randn(3, 2, 3, requires_grad=True)
    for plain in (True, False):
        (gradient,) = torch.autograd.grad(NASRNN(3, 4, plain=plain)(x)[0].sum(), x, create_graph=True)
        if plain:
            gradient.sum().backward()
        else:
            with pytest.raises(RuntimeError, match="does not require grad"):
                gradient.sum().backward()


def test_an_earlier_graph_is_not_disturbed_by_a_later_call() -> None:
    rnn = NASRNN(3, 4)
    x = torch.randn(3, 2, 3, requires_grad=True)
    loss = rnn(x)[0].sum()
    (expected,) = torch.autograd.grad(loss, x, retain_graph=True)
    rnn(torch.randn(3, 2, 3))[0].sum().backward()
    torch.testing.assert_close(torch.autograd.grad(loss, x)[0], expected)


def test_wrong_architectures() -> None:
    with pytest.raises(ArchitectureError, match="nascell"):
        NASCell(3, 4, "gru")
    with pytest.raises(ValueError, match="conv"):
        NASCell(3, 4, ConvArchitecture(layers=(ConvLayer(filter_height=1, filter_width=1, filters=1),)))


def test_tensorflows_names_and_shapes() -> None:
    parameters = NASCell(3, 4, bias=True, proj_size=2).named_parameters()
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters}
    assert shapes == {"kernel": (3, 32), "recurrent_kernel": (2, 32), "bias": (32,), "projection_weights": (4, 2)}


@pytest.mark.parametrize(("h", "c"), [((3, 4), (2, 4)), ((2, 4), (1, 4)), ((2, 4), (2, 8)), ((2, 2), (2, 4))])
def test_a_state_of_another_size_is_refused(h, c):
    """Tried: without the check, kernels read beyond their tensors."""
    layer = NASCell(3, 4)
    with pytest.raises(ValueError, match=r"expected a state of shapes \(\(2, 4\), \(2, 4\)\), got"):
        layer.run(torch.randn(5, 2, 3), (torch.zeros(h), torch.zeros(c)))
