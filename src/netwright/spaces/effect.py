"""What a recurrent cell computes, in a form that two cells which compute and learn the same have in common."""

from __future__ import annotations

from typing import Any

from netwright.spaces.architecture import Activation, Combination, RecurrentCellArchitecture

Expression = tuple[Any, ...]
"""A kind, and what belongs to it: operations, and further expressions."""

ZERO: Expression = ("zero",)
MEMORY: Expression = ("memory",)
NEVER_NEGATIVE: Expression = ("memory that is never negative",)


def effect(cell: RecurrentCellArchitecture) -> Expression:
    """The output of a cell as a formula in a normal form, in which the new memory state is marked.

    The form leaves out what has no effect:

    - the order of what is joined;
    - brackets: sums of sums, products of products and maxima of maxima are one, where nothing comes in between;
    - ReLU of what is never negative, such as a sum of two sigmoids;
    - the part of the tree below a memory state that is always 0: it is 0 at first, and stays 0 where it is a product
      with itself.

    Cells whose effect is the same are, up to the rounding of sums and the order of the weights' blocks, one network,
    and learn the same. Cells of different effect may still be the same by reasons that are not looked for here.
    """
    output, memory = _written_out(cell, ZERO)
    if memory == ZERO:
        return output
    output, memory = _written_out(cell, NEVER_NEGATIVE)
    if _never_negative(memory):
        return output
    return _written_out(cell, MEMORY)[0]


def _written_out(cell: RecurrentCellArchitecture, old_memory: Expression) -> tuple[Expression, Expression]:
    """The output and the new memory state, given what is known of the old one."""
    outputs: list[Expression] = []
    memory = ZERO
    for node, (combination, activation) in enumerate(cell.nodes):
        if node < cell.base:
            value: Expression = ("leaf", combination)
        else:
            value = _joined(combination, outputs[2 * (node - cell.base) :][:2])  # its children, as nodes are numbered
        if node == cell.c_index:
            memory = value
            value = value if value == ZERO else ("new memory", value)
        value = _applied(activation, value)
        if node == cell.c_prev_index:
            combination, activation = cell.inject
            value = _applied(activation, _joined(combination, [value, old_memory]))
        outputs.append(value)
    return outputs[-1], memory


def _joined(combination: Combination, operands: list[Expression]) -> Expression:
    if combination == "elem_mult" and ZERO in operands:
        return ZERO
    if combination == "add" and ZERO in operands:
        operands = [operand for operand in operands if operand != ZERO]
        if len(operands) < 2:
            return operands[0] if operands else ZERO
    all_operands: list[Expression] = []
    for operand in operands:
        nested = operand[:2] == ("joined", combination)
        all_operands += operand[2:] if nested else [operand]
    return ("joined", combination, *sorted(all_operands, key=repr))


def _applied(activation: Activation, value: Expression) -> Expression:
    if activation == "identity" or (activation == "relu" and _never_negative(value)):
        return value
    if value == ZERO and activation != "sigmoid":
        return ZERO
    return ("applied", activation, value)


def _never_negative(value: Expression) -> bool:
    match value:
        case ("applied", "sigmoid" | "relu", _):
            return True
        case ("applied", "tanh", inner) | ("new memory", inner):
            return _never_negative(inner)
        case ("joined", combination, *operands):
            signs = [_never_negative(operand) for operand in operands]
            return any(signs) if combination == "max" else all(signs)
        case _:
            return value in (ZERO, NEVER_NEGATIVE)
