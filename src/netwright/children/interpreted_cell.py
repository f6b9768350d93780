"""The program of a recurrent cell on a CPU, run by an interpreter of blocks of units.

A step of a small layer is some dozens of operations on a few thousand numbers each. Called one by one from Python, they
cost many times what they compute. Here one call runs them all: the interpreter takes a block of units that fits into
the first cache through the whole program, an instruction at a time. It is compiled once per machine, not once per cell,
so a cell that was never seen before is as fast at its first step as at its last.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from netwright.children.cell_program import OPERATIONS, CellProgram, Program

FORWARD = ("leaves", "recurrent", "memory", "after", "top")
BACKWARD = ("leaves", "recurrent", "memory", "d_top", "d_memory", "by_leaf", "by_input", "d_previous")

Row = NDArray[np.float32]


class InterpretedKernels:
    """The kernels of a cell for steps on a CPU, in single precision.

    Args:
        program: Of the cell.
    """

    rounds = False

    def __init__(self, program: CellProgram) -> None:
        self._forward = encoded(program.forward, FORWARD)
        self._backward = encoded(program.backward, BACKWARD)
        self._run = import_module("netwright.children.block_interpreter").run

    def rows(self, steps: Tensor) -> Sequence[Row]:
        """A tensor step by step."""
        return list(steps.flatten(2).numpy())

    def row(self, step: Tensor) -> Row:
        """A tensor of one step."""
        row: Row = step.float().contiguous().numpy()
        return row

    def forward(self, *rows: Row) -> None:
        """Runs a step on the tensors ``FORWARD``; see :class:`netwright.children.fused_cell.Kernels`."""
        same = rows[-1:] * (len(BACKWARD) - len(FORWARD))  # as many as on the way back, so that it is compiled once
        self._run(self._forward[0], rows + same, rows[-1].shape[1], self._forward[1])

    def backward(self, *rows: Row) -> None:
        """Goes back through a step on the tensors ``BACKWARD``; see :class:`netwright.children.fused_cell.Kernels`."""
        self._run(self._backward[0], rows, rows[-1].shape[1], self._backward[1])


def encoded(program: Program, tensors: Sequence[str]) -> tuple[NDArray[np.int32], int]:
    """A program as the interpreter reads it, and how many registers it takes.

    A register is free again once its value has been used for the last time, and that instruction is done: one that
    writes where it reads would go through a number at a time, as far as the compiler knows the order matters.

    Args:
        program: In the order of its instructions.
        tensors: Their names, in the order in which they will be given.
    """
    last = {value: number for number, one in enumerate(program) for value in one.operands}
    register: dict[int, int] = {}
    free: list[int] = []
    registers = 0
    rows = []
    for number, one in enumerate(program):
        taken = [register[value] for value in one.operands]
        done = {register[value] for value in one.operands if last[value] == number}
        if one.operation == "store":
            (out,) = taken
        else:
            registers += not free
            out = register[number] = free.pop() if free else registers - 1
        free += done
        if one.tensor:
            taken = [tensors.index(one.tensor), one.column]
        rows.append([OPERATIONS.index(one.operation), *taken, *[0] * (3 - len(taken)), out])
    return np.array(rows, np.int32), registers
