"""Runs a list of instructions on single precision numbers, a block of them at a time.

Compiled by Numba, so this module is imported only where that is installed. Places are unsigned where they are added up:
Numba lets a negative one count from the end, and a loop that asks for that at each number takes several times as long.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from netwright.children.cell_program import OPERATIONS
from netwright.children.machine_code import compiled

BLOCK = 128
"""How many numbers go through all instructions at a time, so few that all registers stay in the first cache."""

LOAD, STORE, ADD, MULTIPLY, MAX, TANH, SIGMOID, RELU, SIN, D_TANH, D_SIGMOID, D_RELU, D_SIN, D_MAX = range(
    len(OPERATIONS)
)

LINE = np.uintp(16)
"""Numbers in a line of the cache."""

ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)

# tanh(x) = x P(x^2) / Q(x^2): a quotient of polynomials within 3e-7 of it, which takes no branch and so goes through
# several numbers at once; beyond LARGEST it is one in single precision. Coefficients as in Eigen's ptanh_float.
LARGEST = np.float32(7.90531110763549805)
P0, P1, P2 = np.float32(4.89352455891786e-03), np.float32(6.37261928875436e-04), np.float32(1.48572235717979e-05)
P3, P4 = np.float32(5.12229709037114e-08), np.float32(-8.60467152213735e-11)
P5, P6 = np.float32(2.00018790482477e-13), np.float32(-2.76076847742355e-16)
Q0, Q1 = np.float32(4.89352518554385e-03), np.float32(2.26843463243900e-03)
Q2, Q3 = np.float32(1.18534705686654e-04), np.float32(1.19825839466702e-06)


@njit(inline="always")
def tanh(x: Any) -> Any:
    """The hyperbolic tangent of a float32."""
    if x > LARGEST:
        x = LARGEST
    if x < -LARGEST:
        x = -LARGEST
    s = x * x
    p = (((((P6 * s + P5) * s + P4) * s + P3) * s + P2) * s + P1) * s + P0
    q = ((Q3 * s + Q2) * s + Q1) * s + Q0
    return x * p / q


@compiled
def run(program: Any, tensors: Any, width: int, registers: int) -> None:
    """Runs a program on all units of all sequences.

    Args:
        program: int32 [instructions, 5]: operation, three operands and the register of the result. Of a load or a
            store the operands are the tensor and the column, the register is what is loaded or stored.
        tensors: float32 [N, columns * width] each, contiguous.
        width: Units of a sequence.
        registers: How many the program takes.
    """
    values = np.empty(registers * BLOCK, np.float32)
    total = len(tensors[-1]) * width
    block = np.uintp(BLOCK)
    near = 0
    for first in range(0, total, BLOCK):
        count = min(BLOCK, total - first)
        while near * width < first + count:  # whole rows, so that the processor fetches them in one go
            for tensor in tensors:
                line = tensor[near]
                for k in range(np.uintp(0), np.uintp(len(line)), LINE):
                    values[k % block] = line[k]
            near += 1
        for instruction in program:
            operation = instruction[0]
            if operation <= STORE:
                tensor = tensors[instruction[1]]
                column, at = instruction[2] * width, instruction[4] * BLOCK
                row, unit, end = first // width, first % width, at + count
                while at < end:
                    some = min(width - unit, end - at)
                    there, here = tensor[row, column + unit : column + unit + some], values[at : at + some]
                    if operation == LOAD:
                        for k in range(some):
                            here[k] = there[k]
                    else:
                        for k in range(some):
                            there[k] = here[k]
                    at, row, unit = at + some, row + 1, 0
                continue
            a, b = np.uintp(instruction[1]) * block, np.uintp(instruction[2]) * block
            c, out = np.uintp(instruction[3]) * block, np.uintp(instruction[4]) * block
            if operation == ADD:
                for k in range(block):
                    values[out + k] = values[a + k] + values[b + k]
            elif operation == MULTIPLY:
                for k in range(block):
                    values[out + k] = values[a + k] * values[b + k]
            elif operation == MAX:
                for k in range(block):
                    x, y = values[a + k], values[b + k]
                    values[out + k] = x if (x > y or x != x) else y
            elif operation == TANH:
                for k in range(block):
                    values[out + k] = tanh(values[a + k])
            elif operation == SIGMOID:
                for k in range(block):
                    values[out + k] = HALF * tanh(HALF * values[a + k]) + HALF
            elif operation == RELU:
                for k in range(block):
                    x = values[a + k]
                    values[out + k] = ZERO if x <= ZERO else x
            elif operation == SIN:
                for k in range(block):
                    values[out + k] = math.sin(values[a + k])
            elif operation == D_TANH:
                for k in range(block):
                    y = values[b + k]
                    values[out + k] = values[a + k] * (ONE - y * y)
            elif operation == D_SIGMOID:
                for k in range(block):
                    y = values[b + k]
                    values[out + k] = values[a + k] * (y * (ONE - y))
            elif operation == D_RELU:
                for k in range(block):
                    values[out + k] = values[a + k] if values[b + k] > ZERO else ZERO
            elif operation == D_SIN:
                for k in range(block):
                    values[out + k] = values[a + k] * math.cos(values[b + k])
            elif operation == D_MAX:
                for k in range(block):
                    x, y = values[b + k], values[c + k]
                    # Halves at a tie, as PyTorch's own derivative.
                    values[out + k] = values[a + k] * (ONE if x > y else (HALF if x == y else ZERO))
