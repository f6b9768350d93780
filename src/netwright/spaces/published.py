"""Architectures that were published, by name."""

from __future__ import annotations

from collections.abc import Callable

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import Architecture, RecurrentCellArchitecture


def published(name: str) -> Architecture:
    """The architecture that is known as ``name``.

    Raises:
        ArchitectureError: There is none; the message lists the names.
    """
    try:
        build = PUBLISHED[name]
    except KeyError:
        raise ArchitectureError(f"no published architecture {name!r}; there are {', '.join(PUBLISHED)}") from None
    return build()


# The cell of Figure 8 (top right), which TensorFlow has as NASCell.
NASCELL = """
add sigmoid | add relu | add sigmoid | elem_mult relu | add tanh | add sigmoid | add tanh | add sigmoid
elem_mult tanh | add tanh | elem_mult tanh | add sigmoid
elem_mult identity | add tanh
elem_mult tanh
inject add tanh
c 12 8
"""

# The cell of Figure 8 (bottom), found with max and sin among the options.
FIGURE8_MAX = """
max tanh | max identity | add tanh | add relu | add tanh | add identity | add tanh | max tanh
add identity | add sigmoid | add sigmoid | add sigmoid
elem_mult identity | elem_mult sigmoid
elem_mult tanh
inject add identity
c 12 0
"""

# Leaves 0 to 3 sum to the output gate, 4 and 5 to the forget gate; 6 is the input gate and 7 the new content.
LSTM = """
add identity | add identity | add identity | add identity | add identity | add identity | add sigmoid | add tanh
add identity | add identity | add sigmoid | elem_mult identity
add sigmoid | add tanh
elem_mult identity
inject elem_mult identity
c 13 10
"""


def _cell(text: str) -> Architecture:
    """The cell written as above: a level of the tree per line, then the injection and the two indices."""
    *levels, inject, indices = text.strip().splitlines()
    nodes = [tuple(node.split()) for level in levels for node in level.split("|")]
    c_index, c_prev_index = map(int, indices.removeprefix("c").split())
    return RecurrentCellArchitecture.model_validate(
        {
            "base": (len(nodes) + 1) // 2,
            "nodes": tuple(nodes),
            "inject": tuple(inject.removeprefix("inject").split()),
            "c_index": c_index,
            "c_prev_index": c_prev_index,
        }
    )


PUBLISHED: dict[str, Callable[[], Architecture]] = {
    "nascell": lambda: _cell(NASCELL),
    "figure8-max": lambda: _cell(FIGURE8_MAX),
    "lstm": lambda: _cell(LSTM),
}
