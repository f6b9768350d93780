"""What a recurrent cell computes between the matrix products of a step, as a list of instructions on single units.

Forward, and back from the gradients by what leaves the tree and by the memory state. The way back computes a step's
values again rather than having kept them: a processor has arithmetic to spare, and waits for memory.

What runs such a program knows a dozen operations and nothing of cells: ``triton_cell`` writes it down for a graphics
card's compiler, ``interpreted_cell`` runs it on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from netwright.spaces.architecture import Activation, Combination, RecurrentCellArchitecture
from netwright.spaces.recurrent_cell import operands, own_leaves

Operation = Literal[
    "load",
    "store",
    "add",
    "elem_mult",
    "max",
    "tanh",
    "sigmoid",
    "relu",
    "sin",
    "d_tanh",
    "d_sigmoid",
    "d_relu",
    "d_sin",
    "d_max",
]
"""Of an activation y = f(x), d_f(g, y) is the gradient by x given that by y, of a sine d_sin(g, x); d_max(g, a, b) is
the gradient by a of the larger of a and b."""

OPERATIONS: tuple[Operation, ...] = get_args(Operation)

DERIVATIVE: Mapping[Activation, Operation] = {
    "tanh": "d_tanh",
    "sigmoid": "d_sigmoid",
    "relu": "d_relu",
    "sin": "d_sin",
}
"""Of each activation that is not the identity."""

INJECT = -1
"""Stands beside the numbers of nodes for the injection of the memory state."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation on a unit of a sequence.

    Attributes:
        operation: What is done.
        operands: The values that it takes, by the number of the instruction that computed them.
        tensor: Of a load or a store, the tensor that it reads or writes.
        column: Of a load or a store, which of a tensor's values for a unit.
    """

    operation: Operation
    operands: tuple[int, ...] = ()
    tensor: str = ""
    column: int = 0


Program = tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class CellProgram:
    """A cell's step.

    Attributes:
        forward: Reads ``leaves`` and ``recurrent``, the input and recurrent products [N, B*U], and ``memory`` [N, U],
            that before the step; writes ``after``, that after it, and ``top``, what leaves the tree, both [N, U].
        backward: Reads the same and ``d_top`` and ``d_memory``, the gradients by what leaves the step; writes
            ``by_leaf``, those by the recurrent products, ``by_input`` [N, K*U], those by the input products where these
            are others, and ``d_previous``, that by the memory state before the step.
        leaves: B, the leaves that have products of their own.
        keeping: The columns of the K leaves that do not add, whose two products have gradients of their own.
    """

    forward: Program
    backward: Program
    leaves: int
    keeping: tuple[int, ...]

    def columns(self, tensor: str) -> int:
        """How many values a tensor has for each unit of a sequence."""
        per_leaf = dict.fromkeys(("leaves", "recurrent", "by_leaf"), self.leaves)
        return (per_leaf | {"by_input": len(self.keeping)}).get(tensor, 1)


def cell_program(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> CellProgram:
    """The program of a cell.

    Args:
        cell: The cell.
        merged: Nodes that are left out; see :func:`~netwright.spaces.recurrent_cell.merged_nodes`.
    """
    forward, backward = _Step(cell, merged), _Step(cell, merged)
    forward.keep()
    backward.go_back()
    return CellProgram(forward.needed(), backward.needed(), len(forward.own), tuple(forward.keeping))


class _Step:
    """The instructions of one step as they are written, and the numbers of those that compute a node's values.

    Attributes:
        program: The instructions so far.
        own: The leaves that have products of their own, in order.
        keeping: The columns of those that do not add.
        sides: By leaf, its input product and its recurrent product.
        joined: By node, its combination; of ``INJECT``, that of the memory state.
        output: By node, what follows the activation.
        seen: By node, what its parent sees, or who reads the cell's output where it is the root: another value than the
            output only where the memory state comes in.
    """

    def __init__(self, cell: RecurrentCellArchitecture, merged: frozenset[int]) -> None:
        self.cell, self.merged = cell, merged
        self.program: list[Instruction] = []
        self.own = own_leaves(cell, merged)
        self.keeping = [column for column, leaf in enumerate(self.own) if cell.nodes[leaf][0] != "add"]
        self.sides: dict[int, tuple[int, int]] = {}
        self.joined: dict[int, int] = {}
        self.output: dict[int, int] = {}
        self.seen: dict[int, int] = {}
        self.memory = self._load("memory")
        for node in range(len(cell.nodes)):
            if node not in merged:
                self._compute(node)

    def keep(self) -> None:
        """Writes what a step leaves."""
        self._store("after", self.joined[self.cell.c_index])
        self._store("top", self.seen[len(self.cell.nodes) - 1])

    def go_back(self) -> None:
        """Takes the gradients from the root down to the leaves, and writes those by what the step was given."""
        root = len(self.cell.nodes) - 1
        gradients = {root: self._load("d_top")}
        for node in range(root, -1, -1):
            if node not in self.merged:
                gradients |= self._below(node, gradients[node])

    def needed(self) -> Program:
        """The instructions that something written depends on, in order."""
        wanted: set[int] = set()
        for number, instruction in reversed(list(enumerate(self.program))):
            if instruction.operation == "store" or number in wanted:
                wanted |= {number, *instruction.operands}
        place = {number: position for position, number in enumerate(sorted(wanted))}
        kept = [self.program[number] for number in sorted(wanted)]
        return tuple(replace(one, operands=tuple(place[value] for value in one.operands)) for one in kept)

    def _compute(self, node: int) -> None:
        """The values of a node."""
        combination, activation = self.cell.nodes[node]
        if node < self.cell.base:
            column = self.own.index(node)
            self.sides[node] = self._load("leaves", column), self._load("recurrent", column)
            self.joined[node] = self._join(combination, *self.sides[node])
        else:
            values = [self.seen[child] for child in operands(self.cell, node, self.merged)]
            self.joined[node] = self._join(combination, *values)
        self.output[node] = self.seen[node] = self._activate(activation, self.joined[node])
        if node == self.cell.c_prev_index:
            joining, shaping = self.cell.inject
            self.joined[INJECT] = self._join(joining, self.output[node], self.memory)
            self.seen[node] = self._activate(shaping, self.joined[INJECT])

    def _below(self, node: int, gradient: int) -> dict[int, int]:
        """Takes the gradient by what is seen of a node to what it combines; returns those of its children."""
        combination, activation = self.cell.nodes[node]
        if node == self.cell.c_prev_index:
            joining, shaping = self.cell.inject
            gradient = self._through(shaping, gradient, INJECT, self.seen[node])
            self._store("d_previous", self._to_one(joining, gradient, self.memory, self.output[node]))
            gradient = self._to_one(joining, gradient, self.output[node], self.memory)
        gradient = self._through(activation, gradient, node, self.output[node])
        if node == self.cell.c_index:
            gradient = self._do("add", gradient, self._load("d_memory"))
        if node < self.cell.base:
            self._leave(node, combination, gradient)
            return {}
        below = operands(self.cell, node, self.merged)
        if len(below) == 1:  # the other one is merged with it
            return {below[0]: gradient}
        one, other = (self.seen[child] for child in below)
        to_both = self._to_one(combination, gradient, one, other), self._to_one(combination, gradient, other, one)
        return dict(zip(below, to_both, strict=True))

    def _leave(self, leaf: int, combination: Combination, gradient: int) -> None:
        """Writes the gradients by the two products of a leaf."""
        column = self.own.index(leaf)
        side, recurrent = self.sides[leaf]
        self._store("by_leaf", self._to_one(combination, gradient, recurrent, side), column)
        if column in self.keeping:
            to_input = self._to_one(combination, gradient, side, recurrent)
            self._store("by_input", to_input, self.keeping.index(column))

    def _join(self, combination: Combination, one: int, *other: int) -> int:
        return self._do(combination, one, *other) if other else one

    def _activate(self, activation: Activation, value: int) -> int:
        return value if activation == "identity" else self._do(activation, value)

    def _through(self, activation: Activation, gradient: int, node: int, output: int) -> int:
        """The gradient by what is before the activation of a node, or of the injection."""
        if activation == "identity":
            return gradient
        return self._do(DERIVATIVE[activation], gradient, self.joined[node] if activation == "sin" else output)

    def _to_one(self, combination: Combination, gradient: int, one: int, other: int) -> int:
        """The gradient by the first of two values that are combined."""
        if combination == "add":
            return gradient
        if combination == "elem_mult":
            return self._do("elem_mult", gradient, other)
        return self._do("d_max", gradient, one, other)

    def _load(self, tensor: str, column: int = 0) -> int:
        return self._write(Instruction("load", tensor=tensor, column=column))

    def _store(self, tensor: str, value: int, column: int = 0) -> None:
        self._write(Instruction("store", (value,), tensor, column))

    def _do(self, operation: Operation, *values: int) -> int:
        return self._write(Instruction(operation, values))

    def _write(self, instruction: Instruction) -> int:
        self.program.append(instruction)
        return len(self.program) - 1
