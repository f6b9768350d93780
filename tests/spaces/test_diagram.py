"""Drawings of architectures."""

import re

import pytest

from netwright.spaces.architecture import ChoiceArchitecture, ConvArchitecture, ConvLayer
from netwright.spaces.conv import ConvSpace
from netwright.spaces.diagram import draw
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published

TASK = {"image": [3, 32, 32], "classes": list("abcdefghij")}
ARCS = "┌├└│"


def layer(*inputs, **more):
    return ConvLayer(filter_height=3, filter_width=5, filters=24, inputs=inputs, **more)


def test_figure7_tells_the_papers_numbers():
    text = draw(published("figure7"), TASK)
    assert "4,201,630 parameters" in text
    assert "image    3x32x32" in text
    rows = [line for line in text.splitlines() if "layer" in line and "conv" in line]
    assert len(rows) == 15
    assert "conv 7x5, 48 filters" in rows[14]
    assert rows[14].endswith("from 1, 6, 10, 11, 12, 13")


def test_a_network_too_wide_for_the_terminal_is_drawn_without_its_arcs():
    """Tried: with them, a terminal of 80 columns breaks most lines of Figure 7, and nothing can be read."""
    whole = draw(published("figure7"), TASK)
    narrow = draw(published("figure7"), TASK, width=80)
    assert max(map(len, whole.splitlines())) > 80 >= max(map(len, narrow.splitlines()))
    assert "layer 11 conv 7x7, 48 filters  -> 48x32x32   from 0, 1, 2, 3, 5, 10" in narrow
    assert draw(published("figure7"), TASK, width=120) == whole


def test_a_layer_shows_its_stride_pooling_and_output():
    layers = (layer(stride_height=2), layer(0, layer_type="separable"))
    architecture = ConvArchitecture(layers=layers, pool_after=(0,))
    lines = draw(architecture, TASK).splitlines()
    assert "conv 3x5, 24 filters stride 2x1" in lines[1]
    assert "-> 24x16x32" in lines[1]
    assert "max pool 2x2" in lines[2]
    assert "separable 3x5, 24 filters" in lines[3]
    assert "-> 24x8x16" in lines[3]


def test_an_activation_or_a_pooling_other_than_the_papers_is_said():
    plain = ConvArchitecture(layers=(layer(), layer(0)))
    smooth = plain.model_copy(update={"activation": "gelu"})
    assert draw(plain, TASK).splitlines()[0] == "image    3x32x32"
    assert draw(smooth, TASK).splitlines()[0] == "image    3x32x32   (GELU after each layer)"
    assert draw(smooth, {}).splitlines()[0] == "image   (GELU after each layer)"
    averaged = ConvArchitecture(layers=(layer(), layer(0)), pool_after=(0,), pooling="average")
    assert draw(averaged, TASK).splitlines()[2].strip() == "average pool 2x2"


def test_a_chain_has_no_arcs_and_a_skip_has_two_ends():
    assert not set(draw(ConvArchitecture(layers=(layer(), layer(0))), TASK)) & set(ARCS)
    skip = draw(ConvArchitecture(layers=(layer(), layer(0), layer(0, 1))), TASK).splitlines()
    assert [line[0] for line in skip[1:4]] == ["┌", "│", "└"]


@pytest.mark.parametrize("seed", range(20))
def test_every_skip_begins_and_ends_in_its_column(seed):
    """Read back from the drawing: each column's arcs are exactly the connections that are not to the next row."""
    from random import Random

    space = ConvSpace(depth=8)
    architecture = space.decode(uniform_tokens(space.plan(), Random(seed)))
    lines = [line for line in draw(architecture, TASK).splitlines() if re.search(r"image  |layer|classes ", line)]
    starts = [re.search(r"image  |layer|classes ", line).start() for line in lines]
    assert len(set(starts)) == 1, "the table is not aligned"
    found = set()
    for column in range(starts[0] - 1):
        open_at = None
        for row, line in enumerate(lines):
            mark = line[column]
            if mark in "└├":
                found.add((open_at, row))
                open_at = None
            if mark in "┌├":
                open_at = row
            assert (mark == "│") <= (open_at is not None)
        assert open_at is None
    targets = [*(layer.inputs or (-1,) for layer in architecture.layers), architecture.outputs]
    assert found == {(s + 1, t + 1) for t, sources in enumerate(targets) for s in sources if s != t - 1}


def test_a_network_for_nothing_known_is_drawn_without_sizes_and_costs():
    """As of a search whose evaluator came from Python. Tried: without the question, KeyError: 'image'."""
    architecture = ConvArchitecture(layers=(layer(), layer(0)))
    assert draw(architecture, {}).splitlines() == [
        "image",
        "layer 0  conv 3x5, 24 filters   from image",
        "layer 1  conv 3x5, 24 filters   from 0",
        "classes  by global average pooling and a linear layer   from 1",
    ]


def test_choices_are_listed():
    text = draw(ChoiceArchitecture(space="s", choices=(("first", "a"), ("second one", 2))), {})
    assert text == "first       a\nsecond one  2"


def test_a_cell_with_merged_sums_is_drawn_whole_and_computed_without_the_rest():
    """An LSTM of four products: three of its leaves only add to the output gate, one to the forget gate."""
    text = draw(published("lstm"), {}, merge_sums=True)
    tree, equations, note = text.split("\n\n")
    assert len(tree.splitlines()) == 15
    assert [line.split(" = ")[0] for line in equations.splitlines()] == [
        *("a0", "a4", "a6", "a7", "a8", "a10", "a10'", "a11", "a12", "c", "a13", "a14", "h")
    ]
    assert "a12 = sigmoid(a8)" in equations
    assert "share one product" in note
    assert draw(published("nascell"), {}, merge_sums=True) == draw(published("nascell"), {})
