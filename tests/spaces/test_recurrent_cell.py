"""The grammar of recurrent cells, against the paper's own examples (Figures 5 and 8)."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer, RecurrentCellArchitecture, parse_architecture
from netwright.spaces.difference import Change, changes
from netwright.spaces.grammar import count_strings, uniform_tokens
from netwright.spaces.published import PUBLISHED, published
from netwright.spaces.recurrent_cell import (
    RecurrentCellSpace,
    children,
    equations,
    leaves_below,
    merged_nodes,
    parent,
    tree_order,
)

PAPER = RecurrentCellSpace()
WITH_CONTROLS = RecurrentCellSpace(
    combinations=("add", "elem_mult", "max"), activations=("identity", "tanh", "sigmoid", "relu", "sin")
)


def random_cell(seed: int, space: RecurrentCellSpace = PAPER) -> RecurrentCellArchitecture:
    return space.decode(uniform_tokens(space.plan(), Random(seed)))


def test_sizes_of_the_paper() -> None:
    assert len(RecurrentCellSpace(base=2).plan()) == 10
    assert len(PAPER.plan()) == 34
    assert count_strings(PAPER.plan()) == 63_331_869_759_897_600


def test_worked_example_of_base_2() -> None:
    """Figure 5: Add Tanh | ElemMult ReLU | ElemMult Sigmoid | Add ReLU | 1 0."""
    cell = RecurrentCellSpace(base=2).decode((0, 1, 1, 3, 1, 2, 0, 3, 1, 0))
    assert equations(cell) == (
        "a0 = tanh(W0 x + U0 h)",
        "a0' = relu(a0 + c')",
        "c = W1 x * U1 h",
        "a1 = relu(c)",
        "a2 = sigmoid(a0' * a1)",
        "h = a2",
    )


def test_published_cell_has_the_equations_of_tensorflow() -> None:
    cell = published("nascell")
    assert isinstance(cell, RecurrentCellArchitecture)
    assert equations(cell) == (
        "a0 = sigmoid(W0 x + U0 h)",
        "a1 = relu(W1 x + U1 h)",
        "a2 = sigmoid(W2 x + U2 h)",
        "a3 = relu(W3 x * U3 h)",
        "a4 = tanh(W4 x + U4 h)",
        "a5 = sigmoid(W5 x + U5 h)",
        "a6 = tanh(W6 x + U6 h)",
        "a7 = sigmoid(W7 x + U7 h)",
        "a8 = tanh(a0 * a1)",
        "a8' = tanh(a8 + c')",
        "a9 = tanh(a2 + a3)",
        "a10 = tanh(a4 * a5)",
        "a11 = sigmoid(a6 + a7)",
        "c = a8' * a9",
        "a12 = c",
        "a13 = tanh(a10 + a11)",
        "a14 = tanh(a12 * a13)",
        "h = a14",
    )


class Drawing(Random):
    """Draws what it was given, in that order."""

    def __init__(self, *drawn: object) -> None:
        super().__init__(0)
        self._drawn = iter(drawn)

    def choice(self, seq):  # type: ignore[no-untyped-def]
        drawn = next(self._drawn)
        assert drawn in seq, (drawn, seq)
        return drawn


def test_a_crossing_takes_a_subtree_and_its_part_of_the_memory() -> None:
    """Tried: without the indices, the LSTM's forget gate comes without the memory that it gates."""
    lstm, nascell = (PAPER.encode(published(name)) for name in ("lstm", "nascell"))
    # The forget gate of the LSTM, node 10 over leaves 4 and 5, replaces node 9 of NASCell, over leaves 2 and 3.
    crossed = PAPER.decode(PAPER.cross(nascell, lstm, Drawing(range(8, 12), 9, 10)))
    theirs, ours = published("lstm"), published("nascell")
    assert isinstance(theirs, RecurrentCellArchitecture)
    assert isinstance(ours, RecurrentCellArchitecture)
    nodes = list(ours.nodes)
    nodes[9], nodes[2], nodes[3] = theirs.nodes[10], theirs.nodes[4], theirs.nodes[5]
    assert crossed.nodes == tuple(nodes)
    assert (crossed.inject, crossed.c_prev_index) == (("elem_mult", "identity"), 9)
    assert crossed.c_index == ours.c_index
    # A leaf that has nothing to do with the memory leaves it where it is.
    crossed = PAPER.decode(PAPER.cross(nascell, lstm, Drawing(range(8), 0, 7)))
    assert crossed.nodes == (theirs.nodes[7], *ours.nodes[1:])
    assert (crossed.inject, crossed.c_index, crossed.c_prev_index) == (ours.inject, ours.c_index, ours.c_prev_index)
    # Half of the LSTM has all of its memory.
    crossed = PAPER.decode(PAPER.cross(nascell, lstm, Drawing(range(12, 14), 12, 13)))
    assert (crossed.c_index, crossed.c_prev_index, crossed.inject) == (12, 8, theirs.inject)
    assert crossed.nodes[:4] == theirs.nodes[4:8]
    assert crossed.nodes[4:8] == ours.nodes[4:8]


@pytest.mark.parametrize("seed", range(5))
def test_cells_differ_in_as_few_decisions_as_any_of_their_forms(seed: int) -> None:
    """Against all 128 commuted forms of a cell. Tried: matching the children as they stand counts more."""
    ours, other = PAPER.encode(random_cell(seed)), random_cell(seed + 100)
    forms = [other]
    for node in range(8, 15):
        forms += [swapped(form, node) for form in forms]
    fewest = min(sum(a != b for a, b in zip(ours, PAPER.encode(form), strict=True)) for form in forms)
    assert len(changes(PAPER, PAPER.encode(other), ours)) == fewest


def test_a_change_is_told_by_what_the_decisions_mean() -> None:
    cell = published("nascell")
    assert isinstance(cell, RecurrentCellArchitecture)
    nodes = [*cell.nodes[:7], ("add", "relu"), *cell.nodes[8:]]
    changed = cell.model_copy(update={"nodes": tuple(nodes), "c_index": 13})
    assert changes(PAPER, PAPER.encode(cell), PAPER.encode(swapped(changed, 14))) == (
        Change("activation of node 3", "sigmoid", "relu"),  # node 7, below what the swap has moved
        Change("node that gives the new memory", 13, 12),
    )


def test_published_cells_are_in_the_space() -> None:
    for name, space in {"nascell": PAPER, "lstm": PAPER, "figure8-max": WITH_CONTROLS}.items():
        cell = published(name)
        assert space.decode(space.encode(cell)) == cell
        assert parse_architecture(cell.canonical_json()) == cell
    with pytest.raises(ArchitectureError, match="max"):
        PAPER.encode(published("figure8-max"))


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ArchitectureError, match="nascell, figure8-max, lstm"):
        published("gru")
    assert all(build() for build in PUBLISHED.values())


def test_heads_are_shared_by_type_or_not_at_all() -> None:
    assert {decision.kind for decision in PAPER.plan()} == {"combination", "activation", "c_index", "c_prev_index"}
    own = RecurrentCellSpace(shared_heads=False).plan()
    assert len({decision.kind for decision in own}) == len(own) == 34


@pytest.mark.parametrize("base", [0, 1, 3, 128])
def test_base_is_a_power_of_two(base: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        RecurrentCellSpace(base=base)


@pytest.mark.parametrize("wrong", [{"combinations": ()}, {"activations": ("tanh", "tanh")}])
def test_options_are_distinct_and_there_are_some(wrong: dict[str, Any]) -> None:
    """Tried: unchecked, the first plan ends with a traceback."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected distinct options, got"):
        RecurrentCellSpace(**wrong)


def test_what_is_not_in_the_space() -> None:
    with pytest.raises(ArchitectureError, match="34 tokens, got 10"):
        PAPER.decode((0,) * 10)
    with pytest.raises(ArchitectureError, match="c_prev_index"):
        PAPER.decode((0,) * 33 + (15,))
    with pytest.raises(ArchitectureError, match="base 8"):
        PAPER.encode(RecurrentCellSpace(base=2).decode((0,) * 10))
    layer = ConvLayer(filter_height=1, filter_width=1, filters=1)
    with pytest.raises(ArchitectureError, match="conv"):
        PAPER.encode(ConvArchitecture(layers=(layer,)))


def test_what_is_only_added_up_is_merged() -> None:
    assert merged_nodes(published("lstm")) == {1, 2, 3, 9, 5}  # four leaves of the output gate, two of the forget gate
    assert merged_nodes(published("open-lstm")) == {1, 2, 3, 9, 5, 7}
    assert merged_nodes(published("nascell")) == frozenset()
    lstm = published("lstm")
    assert merged_nodes(lstm.model_copy(update={"c_index": 0})) == {2, 3, 9, 5}  # the memory state is no part of a sum
    assert merged_nodes(lstm.model_copy(update={"c_prev_index": 9})) == {1, 3, 5}  # nor what meets the old one
    assert merged_nodes(lstm.model_copy(update={"c_prev_index": 8, "c_index": 12})) == {1, 3, 5}
    multiplied = (*lstm.nodes[:2], ("elem_mult", "identity"), *lstm.nodes[3:])
    assert merged_nodes(lstm.model_copy(update={"nodes": multiplied})) == {1, 3, 5}  # whatever order they are added in


def test_tree() -> None:
    assert [children(8, node) for node in range(8, 15)] == [(2 * k, 2 * k + 1) for k in range(7)]
    assert all(node in children(8, parent(8, node)) for node in range(14))
    assert leaves_below(8, 3) == range(3, 4)
    assert leaves_below(8, 13) == range(4, 8)
    assert leaves_below(8, 14) == range(8)


@given(st.integers(0, 2**32), st.sampled_from([2, 4, 8, 16]))
def test_tokens_and_cells_are_one_to_one(seed: int, base: int) -> None:
    space = RecurrentCellSpace(base=base)
    tokens = uniform_tokens(space.plan(), Random(seed))
    assert space.encode(space.decode(tokens)) == tokens


@given(st.integers(0, 2**32), st.integers(8, 14))
def test_commuted_cells_have_one_canonical_form(seed: int, node: int) -> None:
    cell = random_cell(seed, WITH_CONTROLS)
    canonical = WITH_CONTROLS.canonical(cell)
    assert WITH_CONTROLS.canonical(swapped(cell, node)) == canonical
    assert WITH_CONTROLS.canonical(canonical) == canonical
    assert sorted(tree_order(cell)) == list(range(15))


def swapped(cell: RecurrentCellArchitecture, node: int) -> RecurrentCellArchitecture:
    """``cell`` with the children of ``node``, and all that hangs below them, in the other order."""
    left, right = children(8, node)
    order = list(range(15))
    below, above = [left], [right]
    while below:
        for a, b in zip(below, above, strict=True):
            order[a], order[b] = b, a
        below = [child for a in below if a >= 8 for child in children(8, a)]
        above = [child for a in above if a >= 8 for child in children(8, a)]
    return cell.model_copy(
        update={
            "nodes": tuple(cell.nodes[n] for n in order),
            "c_index": order.index(cell.c_index),
            "c_prev_index": order.index(cell.c_prev_index),
        }
    )
