"""The program of a recurrent cell as two kernels for a graphics card, forward and backward.

They are written as Triton's source, equation by equation, and compiled once per cell.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from netwright.children.cell_program import CellProgram, Operation, Program

UNITS = 128
"""Units of one sequence that a program works on, each in a thread of its own."""

SOURCE: dict[Operation, str] = {
    "add": "{0} + {1}",
    "elem_mult": "{0} * {1}",
    "max": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "tanh": "2.0 * tl.sigmoid(2.0 * {0}) - 1.0",
    "sigmoid": "tl.sigmoid({0})",
    "relu": "tl.maximum({0}, 0.0, propagate_nan=tl.PropagateNan.ALL)",
    "sin": "tl.sin({0})",
    "d_tanh": "{0} * (1.0 - {1} * {1})",
    "d_sigmoid": "{0} * {1} * (1.0 - {1})",
    "d_relu": "tl.where({1} > 0.0, {0}, 0.0)",
    "d_sin": "{0} * tl.cos({1})",
    # Halves at a tie, as PyTorch's own derivative.
    "d_max": "{0} * tl.where({1} > {2}, 1.0, tl.where({1} == {2}, 0.5, 0.0))",
}


@cache
def triton_is_there() -> bool:
    """Whether Triton is installed, which PyTorch for CUDA brings along."""
    return find_spec("triton") is not None


class TritonKernels:
    """The kernels of a cell for steps on a graphics card.

    Args:
        program: Of the cell.
    """

    rounds = True

    def __init__(self, program: CellProgram) -> None:
        self._forward, self._backward = _compiled(source(program))

    def rows(self, steps: Tensor) -> Sequence[Tensor]:
        """A tensor step by step."""
        return steps.unbind()

    def row(self, step: Tensor) -> Tensor:
        """A tensor of one step."""
        return step.contiguous()

    def forward(self, *rows: Tensor) -> None:
        """Runs a step; see :class:`netwright.children.fused_cell.Kernels`."""
        self._launch(self._forward, rows, like=rows[-1])

    def backward(self, *rows: Tensor) -> None:
        """Goes back through a step; see :class:`netwright.children.fused_cell.Kernels`."""
        self._launch(self._backward, rows, like=rows[-1])

    def _launch(self, kernel: Any, rows: Sequence[Tensor], like: Tensor) -> None:
        """Runs a kernel for all units of all sequences of a step."""
        count, width = like.shape
        with torch.cuda.device_of(like):  # Triton runs on the card in use, which need not be that of the tensors
            kernel[(-(-width // UNITS), count)](*rows, width, UNITS=UNITS)


@cache
def _compiled(text: str) -> tuple[Any, Any]:
    triton = import_module("triton")
    name = f"<kernels of cell {sha256(text.encode()).hexdigest()[:16]}>"
    # Triton reads the source of what it compiles where tracebacks do.
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    names: dict[str, Any] = {"tl": import_module("triton.language")}
    exec(compile(text, name, "exec"), names)
    return triton.jit(names["forward"]), triton.jit(names["backward"])


def source(program: CellProgram) -> str:
    """A cell's step as source: ``forward`` and ``backward``, each for ``UNITS`` units of one sequence.

    It is made of this module's own table and of numbers, whoever wrote the cell.
    """
    return "\n".join(
        [
            "def forward(leaves, recurrent, memory, after, top, width, UNITS: tl.constexpr):",
            *_body(program, program.forward),
            "",
            "",
            "def backward(",
            "    leaves, recurrent, memory, d_top, d_memory, by_leaf, by_input, d_previous, width, UNITS: tl.constexpr",
            "):",
            *_body(program, program.backward),
            "",
        ]
    )


def _body(program: CellProgram, instructions: Program) -> Iterator[str]:
    yield "    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)"
    yield "    inside = unit < width"
    for number, one in enumerate(instructions):
        place = f"{one.tensor} + (tl.program_id(1) * {program.columns(one.tensor)} + {one.column}) * width + unit"
        values = [f"v{value}" for value in one.operands]
        match one.operation:
            case "load":
                yield f"    v{number} = tl.load({place}, mask=inside).to(tl.float32)"
            case "store":
                yield f"    tl.store({place}, {values[0]}, mask=inside)"
            case operation:
                yield f"    v{number} = {SOURCE[operation].format(*values)}"
