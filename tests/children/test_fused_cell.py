"""The kernels of cells against autograd over the definition: the interpreter of blocks, and the source for graphics
cards in PyTorch, and where Triton is installed by Triton's own interpreter. On a card it is tested in tests/gpu."""

from random import Random

import pytest
import torch

from helpers import tiles
from netwright.children import cell_kernels, fused_cell, triton_cell
from netwright.children.cell_kernels import run_cell
from netwright.children.cell_program import cell_program
from netwright.children.fused_cell import can_fuse
from netwright.children.interpreted_cell import InterpretedKernels
from netwright.children.recurrent_cell import run_cell_plainly
from netwright.children.triton_cell import TritonKernels, source
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace, merged_nodes

# NumPy, which interprets, warns where a sigmoid of a very negative number is on its way to zero.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp")

T, N, INPUTS, U = 3, 2, 5, 7
SPACE = RecurrentCellSpace(
    combinations=("add", "elem_mult", "max"), activations=("identity", "tanh", "sigmoid", "relu", "sin")
)


def random_cell(seed):
    """Every third one injects where the memory state is taken, or at the root."""
    cell = SPACE.decode(uniform_tokens(SPACE.plan(), Random(seed)))
    place = {0: cell.c_index, 1: 14, 2: cell.c_prev_index}[seed % 3]
    return cell.model_copy(update={"c_prev_index": place})


CELLS = {name: published(name) for name in ("lstm", "nascell", "open-lstm")} | {
    f"random {seed}": random_cell(seed) for seed in range(12)
}


def problem(cell, merged, *, bias=True, projected=False):
    g = torch.Generator().manual_seed(0)
    H, width = 4 if projected else U, (8 - sum(node < 8 for node in merged)) * U
    sizes = [(T, N, INPUTS), (N, H), (N, U), (INPUTS, width), (H, width)]
    sizes += [(width,)] if bias else []
    tensors = [torch.randn(size, generator=g, requires_grad=True) for size in sizes]
    tensors += [] if bias else [None]
    return [*tensors, torch.randn(U, H, generator=g, requires_grad=True) if projected else None]


def values_and_gradients(run, cell, tensors, **options):
    outputs = run(cell, *tensors, **options)
    weights = [torch.linspace(-1, 2, value.numel()).view_as(value) for value in outputs]
    loss = sum((value * weight).sum() for value, weight in zip(outputs, weights, strict=True))
    return [*outputs, *torch.autograd.grad(loss, [tensor for tensor in tensors if tensor is not None])]


def in_pytorch(text):
    names = {"tl": tiles}
    exec(text, names)
    return tiles.Kernel(names["forward"]), tiles.Kernel(names["backward"])


@pytest.fixture(params=["blocks", "operations", "PyTorch", "Triton"])
def fused(request, monkeypatch):
    """The kernels run on the CPU, whatever they are made for."""
    fused_cell.kernels_of.cache_clear()
    if request.param == "blocks":
        pytest.importorskip("numba", reason="no numba here, which compiles the interpreter of blocks")
        yield
        return
    if request.param == "operations":  # what runs where there are no kernels
        monkeypatch.setattr(cell_kernels, "can_fuse", lambda device, dtype: False)
        yield
        return
    if request.param == "PyTorch":
        monkeypatch.setattr(triton_cell, "_compiled", in_pytorch)
    else:
        triton = pytest.importorskip("triton", reason="no triton here, which PyTorch brings along only for CUDA")
        if not triton.knobs.runtime.interpret:
            pytest.skip("Triton was imported to compile, not to interpret")
    monkeypatch.setattr(fused_cell, "KERNELS", {"cpu": (lambda: True, TritonKernels)})
    yield
    fused_cell.kernels_of.cache_clear()


@pytest.mark.parametrize("merging", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_kernels_have_the_values_and_gradients_of_the_definition(fused, name, merging):
    cell = CELLS[name]
    merged = merged_nodes(cell) if merging else frozenset()
    tensors = problem(cell, merged)
    expected = values_and_gradients(run_cell_plainly, cell, tensors, merged=merged)
    found = values_and_gradients(run_cell, cell, tensors, merged=merged)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()


@pytest.mark.parametrize("options", [{"bias": False}, {"projected": True}])
def test_kernels_know_layers_without_bias_and_with_projection(fused, options):
    cell = published("nascell")
    tensors = problem(cell, frozenset(), **options)
    mask = torch.rand(N, 4 if "projected" in options else U)
    expected = values_and_gradients(run_cell_plainly, cell, tensors, recurrent_mask=mask)
    found = values_and_gradients(run_cell, cell, tensors, recurrent_mask=mask)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()


def test_kernels_round_gradients_by_leaves_as_bfloat16_products_take_them(fused, monkeypatch):
    cell = published("nascell")
    tensors = problem(cell, frozenset())
    found = values_and_gradients(run_cell, cell, tensors, bfloat16=True)
    monkeypatch.setattr(cell_kernels, "can_fuse", lambda device, dtype: False)
    expected = values_and_gradients(run_cell, cell, tensors, bfloat16=True)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() < 0.02 * other.norm()


def test_padded_sequences_take_the_other_way(fused):
    cell = published("lstm")
    tensors = problem(cell, frozenset())
    padding = torch.tensor([[False, False], [False, True], [False, True]])
    expected = values_and_gradients(run_cell_plainly, cell, tensors, padding=padding)
    torch.testing.assert_close(values_and_gradients(run_cell, cell, tensors, padding=padding), expected)


def test_a_number_that_is_none_is_not_lost_in_a_maximum(fused):
    cell = published("lstm").model_copy(update={"nodes": (("max", "relu"),) * 15})
    tensors = problem(cell, frozenset())
    with torch.no_grad():
        tensors[0][0, 0, 0] = torch.nan
    assert run_cell(cell, *tensors)[0].isnan().any()


def test_kernels_are_for_single_precision_on_processors_that_they_are_made_for(monkeypatch):
    monkeypatch.setitem(fused_cell.KERNELS, "cpu", (lambda: True, InterpretedKernels))
    assert can_fuse(torch.device("cpu"), torch.float32)
    assert not can_fuse(torch.device("cpu"), torch.float64)
    assert not can_fuse(torch.device("mps"), torch.float32)
    monkeypatch.setitem(fused_cell.KERNELS, "cpu", (lambda: False, InterpretedKernels))
    assert not can_fuse(torch.device("cpu"), torch.float32)


def test_a_program_computes_merged_leaves_only_once():
    cell = published("lstm")
    text = source(cell_program(cell, merged_nodes(cell)))
    assert text.count("tl.load(leaves") == 2 * 4  # an LSTM has four products; forward and backward
