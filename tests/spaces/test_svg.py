"""Drawings compared with what they draw, edge by edge."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from netwright.errors import UsageError
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.spaces.cost import IMAGE
from netwright.spaces.published import published
from netwright.spaces.references import reference
from netwright.spaces.svg import BOX_HEIGHT, MARGIN, ROW, architecture_svg

SVG = "{http://www.w3.org/2000/svg}"


def rows_joined(path):
    """The rows that a line or an arc leaves and reaches; row 0 is the image."""
    down = re.fullmatch(r"M[\d.]+ ([\d.]+)V([\d.]+)", path)
    arc = re.fullmatch(r"M[\d.]+ ([\d.]+)C[\d.]+ [\d.]+ [\d.]+ [\d.]+ [\d.]+ ([\d.]+)", path)
    leaves, reaches = map(float, (down or arc).groups())
    return round((leaves - MARGIN - BOX_HEIGHT) / ROW), round((reaches - MARGIN) / ROW)


@pytest.mark.parametrize("name", ["figure7", "figure7-dense", "figure7-chain"])
def test_a_network_is_drawn_edge_by_edge(name):
    architecture = published(name)
    drawing = ElementTree.fromstring(architecture_svg(architecture))
    drawn = [rows_joined(path.get("d")) for path in drawing.findall(f"{SVG}path")]
    inputs = [*(layer.inputs or (IMAGE,) for layer in architecture.layers), architecture.outputs]
    edges = [(source + 1, target + 1) for target, sources in enumerate(inputs) for source in sources]
    assert sorted(drawn) == sorted(edges)
    labels = [text.text for text in drawing.findall(f"{SVG}text")]
    layers = [f"{i}: {n.filter_height}x{n.filter_width}, {n.filters}" for i, n in enumerate(architecture.layers)]
    assert labels == ["image", *layers, "average, softmax"]


def test_a_separable_layer_says_so():
    drawing = ElementTree.fromstring(architecture_svg(reference("separable")))
    labels = [text.text for text in drawing.findall(f"{SVG}text")]
    assert labels[1:3] == ["0: 3x3, 24", "1: sep 3x3, 24, pooled"]


@pytest.mark.parametrize("name", ["nascell", "lstm", "figure8-max"])
def test_a_cell_shows_every_node(name):
    cell = published(name)
    drawing = ElementTree.fromstring(architecture_svg(cell))
    boxes = drawing.findall(f"{SVG}rect")
    assert len(boxes) == 1 + len(cell.nodes) + cell.base + 3  # ground; nodes; inputs; h, c before, c
    lines = drawing.findall(f"{SVG}path")
    assert len(lines) == len(cell.nodes) - 1 + cell.base + 1 + 2  # within the tree; inputs; h; memory in and out


def test_plain_choices_have_no_drawing():
    with pytest.raises(UsageError, match="no drawing"):
        architecture_svg(ChoiceArchitecture(space="s", choices=(("a", 1),)))
