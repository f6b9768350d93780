"""The interpreter of blocks and what it is given; its cells are held against autograd in test_fused_cell."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="no numba here, which compiles the interpreter of blocks")

from netwright.children.block_interpreter import BLOCK, LARGEST, run
from netwright.children.cell_program import OPERATIONS, Instruction, Operation, cell_program
from netwright.children.interpreted_cell import BACKWARD, FORWARD, encoded
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.recurrent_cell import RecurrentCellSpace, merged_nodes

OF_ONE: list[Operation] = ["tanh", "sigmoid", "relu", "sin"]


def computed(operation: Operation, *values: np.ndarray) -> np.ndarray:
    """An operation on rows of numbers [N, U]."""
    program = [Instruction("load", tensor=str(place)) for place in range(len(values))]
    program.append(Instruction(operation, tuple(range(len(values)))))
    program.append(Instruction("store", (len(values),), tensor="out"))
    out = np.full_like(values[0], np.nan)
    tensors = (*values, *[out] * (8 - len(values)))
    code, registers = encoded(tuple(program), [*map(str, range(len(values))), "out"])
    run(code, tensors, out.shape[1], registers)
    return out


@pytest.mark.parametrize("width", [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_blocks_hold_several_sequences_or_a_part_of_one(width: int) -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 5, width)).astype(np.float32)
    np.testing.assert_array_equal(computed("add", one, other), one + other)


@pytest.mark.parametrize("operation", OF_ONE)
def test_activations_are_those_of_pytorch(operation: Operation) -> None:
    x = np.linspace(-30, 30, 6001, dtype=np.float32)[None]
    expected = getattr(torch, operation)(torch.from_numpy(x).double()).numpy()
    assert np.abs(computed(operation, x) - expected).max() < 3e-7


def test_a_hyperbolic_tangent_never_leaves_its_range() -> None:
    x = np.array([[0, LARGEST, 2 * LARGEST, np.inf, 1e-30]], np.float32)
    for signed in (x, -x):
        assert np.abs(computed("tanh", signed)).max() <= 1
        np.testing.assert_allclose(computed("tanh", signed), np.tanh(signed.astype(np.float64)), rtol=3e-7)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one not in ("load", "store")])
def test_what_is_not_a_number_stays_none(operation: Operation) -> None:
    x = np.array([[np.nan, 1.0]], np.float32)
    count = 1 if operation in OF_ONE else 3 if operation == "d_max" else 2
    found = computed(operation, x, *[np.ones_like(x)] * (count - 1))
    assert np.isnan(found).tolist() == [[True, False]]


def test_no_instruction_writes_where_it_reads() -> None:
    space = RecurrentCellSpace()
    for seed in range(20):
        cell = space.decode(uniform_tokens(space.plan(), Random(seed)))
        program = cell_program(cell, merged_nodes(cell))
        for instructions, tensors in ((program.forward, FORWARD), (program.backward, BACKWARD)):
            code, registers = encoded(instructions, tensors)
            assert code[:, 4].max() == registers - 1
            for row, one in zip(code, instructions, strict=True):
                if not one.tensor:
                    assert row[4] not in row[1 : 1 + len(one.operands)]


def test_a_program_leaves_out_what_nothing_needs() -> None:
    space = RecurrentCellSpace()
    cell = space.decode(uniform_tokens(space.plan(), Random(0)))
    for instructions in (lambda p: p.forward, lambda p: p.backward):
        program = instructions(cell_program(cell, frozenset()))
        read = {value for one in program for value in one.operands}
        assert all(number in read for number, one in enumerate(program) if one.operation != "store")


def test_an_evaluator_compiles_it_before_its_first_child() -> None:
    """In a process of its own, where nothing else has: its first child's time and memory do not hold that."""
    ask = (
        "from netwright.children.language_evaluator import LanguageModelEvaluator\n"
        "from netwright.config import LanguageModelTraining\n"
        "from netwright.data.text import from_texts\n"
        "data = from_texts({'train': 'a b c d ' * 50})\n"
        "LanguageModelEvaluator(data, LanguageModelTraining()).warm_up()\n"
        "from netwright.children.block_interpreter import run\n"
        "print(len(run.signatures))\n"
    )
    done = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    assert int(done.stdout) == 1
