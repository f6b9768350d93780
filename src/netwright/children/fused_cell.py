"""Everything between the matrix products of a recurrent step as one kernel, forward and backward, for graphics cards.

The kernels of a cell are written here as Triton programs, equation by equation, and compiled once per cell. Where
Triton is not installed (PyTorch for CUDA brings it along), ``cell_kernels`` runs PyTorch's own operations instead.

The kernel that goes back computes a step's values again rather than having kept them: a card has arithmetic to spare,
and waits for memory.

Shapes as in ``cell_kernels``: T steps, N sequences, U units, B leaves with products of their own.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from netwright.spaces.architecture import Activation, Combination, RecurrentCellArchitecture
from netwright.spaces.recurrent_cell import operands, own_leaves

UNITS = 128
"""Units of one sequence that a program works on, each in a thread of its own."""

COMBINE: dict[Combination, str] = {
    "add": "{a} + {b}",
    "elem_mult": "{a} * {b}",
    "max": "tl.maximum({a}, {b}, propagate_nan=tl.PropagateNan.ALL)",
}
ACTIVATE: dict[Activation, str] = {
    "identity": "{x}",
    "tanh": "2.0 * tl.sigmoid(2.0 * {x}) - 1.0",
    "sigmoid": "tl.sigmoid({x})",
    "relu": "tl.maximum({x}, 0.0, propagate_nan=tl.PropagateNan.ALL)",
    "sin": "tl.sin({x})",
}
DERIVE_ACTIVATION: dict[Activation, str] = {
    "identity": "{g}",
    "tanh": "{g} * (1.0 - {y} * {y})",
    "sigmoid": "{g} * {y} * (1.0 - {y})",
    "relu": "tl.where({y} > 0.0, {g}, 0.0)",
    "sin": "{g} * tl.cos({x})",
}
"""Of ``y = activation(x)`` the gradient by ``x``, given the gradient ``g`` by ``y``."""
DERIVE_COMBINATION: dict[Combination, str] = {
    "add": "{g}",
    "elem_mult": "{g} * {other}",
    # Halves at a tie, as PyTorch's own derivative.
    "max": "{g} * tl.where({one} > {other}, 1.0, tl.where({one} == {other}, 0.5, 0.0))",
}
"""Of a combination the gradient by ``one`` of two values, given the ``other`` and the gradient ``g`` by the result."""

HEAD = """
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    inside = unit < width
    at = tl.program_id(1) * width + unit
    leaf = tl.program_id(1) * {leaves} * width + unit
    c = tl.load(memory + at, mask=inside)
"""


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels of this module run there."""
    return device.type == "cuda" and dtype == torch.float32 and _triton_is_there()


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None


class FusedValues:
    """The values of a cell at all steps; see ``cell_kernels._Values``, whose place it takes.

    Args:
        cell: The cell.
        merged: Nodes that are left out.
        leaves: [T, N, B, U] the input products.
        memory: [T + 1, N, U] memory states, of which the first is given; contiguous, as all tensors here.
        top: [T, N, U] where what leaves the tree is written; None for memory of its own.
    """

    def __init__(
        self,
        cell: RecurrentCellArchitecture,
        merged: frozenset[int],
        leaves: Tensor,
        memory: Tensor,
        top: Tensor | None,
    ) -> None:
        self.leaves, self.memory = leaves, memory
        self.top = torch.empty_like(memory[1:]) if top is None else top
        self.recurrent: list[Tensor] = []
        self.forward, self.backward = _kernels(cell, merged)
        self.keeping = _keeping(cell, merged)

    def steps(self) -> Iterator[Callable[[Tensor], None]]:
        """For each step a function that takes the recurrent product [N, B*U] and computes all values of the step."""
        memory = self.memory.unbind()
        for leaves, *rest in zip(self.leaves.unbind(), memory[:-1], memory[1:], self.top.unbind(), strict=True):

            def advance(recurrent: Tensor, leaves: Tensor = leaves, rest: Any = rest) -> None:
                self.recurrent.append(recurrent)
                self.launch(self.forward, leaves, recurrent, *rest)

            yield advance

    def launch(self, kernel: Any, *tensors: Tensor) -> None:
        """Runs a kernel for all units of all sequences of a step."""
        _, count, width = self.memory.shape
        with torch.cuda.device_of(self.memory):  # Triton runs on the card in use, which need not be that of the tensors
            kernel[(-(-width // UNITS), count)](*tensors, width, UNITS=UNITS)

    def factors(self, padding: Tensor | None, *, bfloat16: bool) -> FusedFactors:
        """The way back; without padding, which these kernels do not know."""
        assert padding is None
        return FusedFactors(self, bfloat16=bfloat16)


class FusedFactors:
    """The way back through the steps; see ``cell_kernels._Factors``, whose place it takes.

    Attributes:
        by_leaf: [T, N, B, U] the gradient by each leaf's recurrent product, once its step is done, in the type in which
            matrix products take it.
        rounded: The same tensor.
    """

    def __init__(self, values: FusedValues, *, bfloat16: bool) -> None:
        self.values = values
        T, N, _, U = values.leaves.shape
        dtype = torch.bfloat16 if bfloat16 else values.leaves.dtype
        self.rounded = self.by_leaf = torch.empty_like(values.leaves, dtype=dtype)
        self.by_input = self.by_leaf.new_empty(T, N, len(values.keeping), U)

    def steps(self) -> Iterator[tuple[int, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]]:
        """From the last step to the first, as ``cell_kernels._Factors.steps`` does."""
        values = self.values
        whole = (values.leaves, values.memory[:-1], self.by_leaf, self.by_input)
        rows = zip(values.recurrent, *(tensor.unbind() for tensor in whole), strict=True)
        for step, row in reversed(list(enumerate(rows))):

            def go_back(d_top: Tensor, d_memory: Tensor, row: Any = row) -> tuple[Tensor, Tensor]:
                recurrent, leaves, memory, by_leaf, by_input = row
                d_previous = torch.empty_like(d_top)
                given = (leaves, recurrent, memory, d_top, d_memory.contiguous())
                values.launch(values.backward, *given, by_leaf, by_input, d_previous)
                return by_leaf.flatten(1), d_previous

            yield step, go_back

    def turn_to_input_products(self) -> None:
        """Turns gradients by the recurrent products into those by the input products: the same for leaves that add."""
        for place, column in enumerate(self.values.keeping):
            self.by_leaf[:, :, column] = self.by_input[:, :, place]


@lru_cache(maxsize=64)
def _kernels(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> tuple[Any, Any]:
    """The compiled programs of a cell's step, forward and backward."""
    triton = import_module("triton")
    source = program(cell, merged)
    name = f"<kernels of cell {sha256(source.encode()).hexdigest()[:16]}>"
    # Triton reads the source of what it compiles where tracebacks do.
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    names: dict[str, Any] = {"tl": import_module("triton.language")}
    exec(compile(source, name, "exec"), names)
    return triton.jit(names["forward"]), triton.jit(names["backward"])


def program(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> str:
    """A cell's step as source: ``forward`` and ``backward``, each for ``UNITS`` units of one sequence.

    It is made of this module's own tables and of numbers, whoever wrote the cell.
    """
    own = own_leaves(cell, merged)
    head = HEAD.format(leaves=len(own)).splitlines()[1:]
    values = [f"    {line}" for line in _values(cell, merged)]
    root = _seen(cell, len(cell.nodes) - 1)
    return "\n".join(
        [
            "def forward(leaves, recurrent, memory, after, top, width, UNITS: tl.constexpr):",
            *head,
            *values,
            f"    tl.store(after + at, v{cell.c_index:d}, mask=inside)",
            f"    tl.store(top + at, {root}, mask=inside)",
            "",
            "",
            "def backward(",
            "    leaves, recurrent, memory, d_top, d_memory, by_leaf, by_input, d_previous, width, UNITS: tl.constexpr",
            "):",
            *head,
            *values,
            *(f"    {line}" for line in _gradients(cell, merged)),
            "",
        ]
    )


def _values(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> Iterator[str]:
    """Of node n: v before its activation, a after it, and s what its parent sees where the memory state came in."""
    own = own_leaves(cell, merged)
    for node, (combination, activation) in enumerate(cell.nodes):
        if node in merged:
            continue
        if node < cell.base:
            yield f"x{node} = tl.load(leaves + leaf + {own.index(node)} * width, mask=inside)"
            yield f"h{node} = tl.load(recurrent + leaf + {own.index(node)} * width, mask=inside).to(tl.float32)"
        one, *other = _operands(cell, node, merged)
        yield f"v{node} = {COMBINE[combination].format(a=one, b=other[0]) if other else one}"
        yield f"a{node} = {ACTIVATE[activation].format(x=f'v{node}')}"
        if node == cell.c_prev_index:
            combination, activation = cell.inject
            yield f"m = {COMBINE[combination].format(a=f'a{node}', b='c')}"
            yield f"s{node} = {ACTIVATE[activation].format(x='m')}"


def _gradients(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> Iterator[str]:
    """From the root down: g is the gradient by what a node's parent sees, then by what is before its activation."""
    own, keeping = own_leaves(cell, merged), _keeping(cell, merged)
    root = len(cell.nodes) - 1
    yield f"g{root} = tl.load(d_top + at, mask=inside)"
    for node in range(root, -1, -1):
        if node in merged:
            continue
        combination, activation = cell.nodes[node]
        g = f"g{node}"
        if node == cell.c_prev_index:
            joining, shaping = cell.inject
            yield f"{g} = {DERIVE_ACTIVATION[shaping].format(g=g, x='m', y=f's{node}')}"
            to_previous = DERIVE_COMBINATION[joining].format(g=g, one="c", other=f"a{node}")
            yield f"tl.store(d_previous + at, {to_previous}, mask=inside)"
            yield f"{g} = {DERIVE_COMBINATION[joining].format(g=g, one=f'a{node}', other='c')}"
        yield f"{g} = {DERIVE_ACTIVATION[activation].format(g=g, x=f'v{node}', y=f'a{node}')}"
        if node == cell.c_index:
            yield f"{g} += tl.load(d_memory + at, mask=inside)"
        if node >= cell.base:
            below = operands(cell, node, merged)
            seen = _operands(cell, node, merged)
            for child, one, other in zip(below, seen, reversed(seen), strict=True):
                alone = len(below) == 1
                yield f"g{child} = {g if alone else DERIVE_COMBINATION[combination].format(g=g, one=one, other=other)}"
            continue
        x, h, column = f"x{node}", f"h{node}", own.index(node)
        to_recurrent = DERIVE_COMBINATION[combination].format(g=g, one=h, other=x)
        yield f"tl.store(by_leaf + leaf + {column} * width, {to_recurrent}, mask=inside)"
        if column in keeping:
            place = f"tl.program_id(1) * {len(keeping)} * width + unit + {keeping.index(column)} * width"
            to_input = DERIVE_COMBINATION[combination].format(g=g, one=x, other=h)
            yield f"tl.store(by_input + {place}, {to_input}, mask=inside)"


def _keeping(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> list[int]:
    """The columns of leaves that do not add, whose two products have gradients of their own."""
    return [column for column, leaf in enumerate(own_leaves(cell, merged)) if cell.nodes[leaf][0] != "add"]


def _operands(cell: RecurrentCellArchitecture, node: int, merged: frozenset[int]) -> tuple[str, ...]:
    """The values that a node combines."""
    if node < cell.base:
        return f"x{node}", f"h{node}"
    return tuple(_seen(cell, child) for child in operands(cell, node, merged))


def _seen(cell: RecurrentCellArchitecture, node: int) -> str:
    """What the parent of a node sees, or who reads the cell's output where it is the root."""
    return f"s{node}" if node == cell.c_prev_index else f"a{node}"
