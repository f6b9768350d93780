"""Everything between the matrix products of a recurrent step in one call, forward and backward.

What is computed is the cell's program (``cell_program``); who computes it depends on the device. Where nobody can,
``cell_kernels`` calls PyTorch's own operations one by one.

Shapes as in ``cell_kernels``: T steps, N sequences, U units, B leaves with products of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from netwright.children.cell_program import CellProgram, cell_program
from netwright.children.interpreted_cell import InterpretedKernels
from netwright.children.machine_code import numba_is_there
from netwright.children.triton_cell import TritonKernels, triton_is_there
from netwright.spaces.architecture import RecurrentCellArchitecture


class Kernels(Protocol):
    """Runs a cell's program on all units of all sequences of a step, on one type of device.

    Attributes:
        rounds: Whether gradients are written in the type of the tensor that is given for them, which must otherwise be
            float32.
    """

    rounds: bool

    def rows(self, steps: Tensor) -> Sequence[Any]:
        """A contiguous tensor [T, N, ...] step by step, each as the kernels take it; they share its memory."""

    def row(self, step: Tensor) -> Any:
        """A tensor [N, ...] of one step as the kernels take it; where it is contiguous float32, its own memory."""

    def forward(self, leaves: Any, recurrent: Any, memory: Any, after: Any, top: Any, /) -> None:
        """Runs the program forward; see :class:`~netwright.children.cell_program.CellProgram` for the tensors."""

    def backward(
        self,
        leaves: Any,
        recurrent: Any,
        memory: Any,
        d_top: Any,
        d_memory: Any,
        by_leaf: Any,
        by_input: Any,
        d_previous: Any,
        /,
    ) -> None:
        """Runs the program that goes back."""


KERNELS: dict[str, tuple[Callable[[], bool], Callable[[CellProgram], Kernels]]] = {
    "cpu": (numba_is_there, InterpretedKernels),
    "cuda": (triton_is_there, TritonKernels),
}
"""By type of device: whether what compiles the kernels is installed, and the kernels of a program."""


def can_fuse(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernels run there."""
    return dtype == torch.float32 and device.type in KERNELS and KERNELS[device.type][0]()


@lru_cache(maxsize=64)
def kernels_of(cell: RecurrentCellArchitecture, merged: frozenset[int], device: str) -> tuple[CellProgram, Kernels]:
    """The program of a cell, and its kernels on a type of device."""
    program = cell_program(cell, merged)
    return program, KERNELS[device][1](program)


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
        self.program, self.kernels = kernels_of(cell, merged, memory.device.type)
        self.recurrent: list[Any] = []

    def steps(self) -> Iterator[Callable[[Tensor], None]]:
        """For each step a function that takes the recurrent product [N, B*U] and computes all values of the step."""
        kernels = self.kernels
        whole = (self.leaves, self.memory[:-1], self.memory[1:], self.top)
        for leaves, *rest in zip(*map(kernels.rows, whole), strict=True):

            def advance(recurrent: Tensor, leaves: Any = leaves, rest: Any = rest) -> None:
                self.recurrent.append(kernels.row(recurrent))
                kernels.forward(leaves, self.recurrent[-1], *rest)

            yield advance

    def factors(self, padding: Tensor | None, *, bfloat16: bool) -> FusedFactors:
        """The way back; without padding, which these kernels do not know."""
        assert padding is None
        return FusedFactors(self, bfloat16=bfloat16)


class FusedFactors:
    """The way back through the steps; see ``cell_kernels._Factors``, whose place it takes.

    Attributes:
        by_leaf: [T, N, B, U] the gradient by each leaf's recurrent product, once its step is done; in bfloat16 where
            matrix products take it so and the kernels write it so.
    """

    def __init__(self, values: FusedValues, *, bfloat16: bool) -> None:
        self.values = values
        T, N, _, U = values.leaves.shape
        dtype = torch.bfloat16 if bfloat16 and values.kernels.rounds else values.leaves.dtype
        self.by_leaf = torch.empty_like(values.leaves, dtype=dtype)
        self.by_input = self.by_leaf.new_empty(T, N, len(values.program.keeping), U)

    def steps(self) -> Iterator[tuple[int, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]]:
        """From the last step to the first, as ``cell_kernels._Factors.steps`` does."""
        values, kernels = self.values, self.values.kernels
        given = map(kernels.rows, (values.leaves, values.memory[:-1], self.by_leaf, self.by_input))
        rows = zip(values.recurrent, *given, self.by_leaf.flatten(2).unbind(), strict=True)
        for step, row in reversed(list(enumerate(rows))):

            def go_back(d_top: Tensor, d_memory: Tensor, row: Any = row) -> tuple[Tensor, Tensor]:
                recurrent, leaves, memory, by_leaf, by_input, gradients = row
                d_previous = d_top.new_empty(d_top.shape)
                from_above = kernels.row(d_top), kernels.row(d_memory)
                kernels.backward(leaves, recurrent, memory, *from_above, by_leaf, by_input, kernels.row(d_previous))
                return gradients, d_previous

            yield step, go_back

    def turn_to_input_products(self, gradients: Tensor) -> None:
        """Turns gradients by the recurrent products into those by the input products: the same for leaves that add."""
        for place, column in enumerate(self.values.program.keeping):
            gradients[:, :, column] = self.by_input[:, :, place]
