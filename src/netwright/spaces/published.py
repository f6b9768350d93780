"""Architectures that were published, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import (
    Architecture,
    ConvArchitecture,
    ConvLayer,
    RecurrentCellArchitecture,
    TorchCellArchitecture,
)


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

# The same without output gate: the memory is the sum at the root, and leaves through its tanh. Leaves 0 to 3 sum to the
# forget gate, 4 and 5 to the input gate, 6 and 7 to the new content.
OPEN_LSTM = """
add identity | add identity | add identity | add identity | add identity | add identity | add identity | add identity
add identity | add identity | add sigmoid | add tanh
add sigmoid | elem_mult identity
add tanh
inject elem_mult identity
c 14 12
"""


# The network of Figure 7, layer 1 next to the image, read from the vector paths of the paper's PDF: filter height x
# filter width, filters, and the 1-based layers that feed it. Only the first layer reads the image.
FIGURE7 = """
3x3 36 |
3x3 48 | 1
3x3 36 | 1 2
5x5 36 | 1 2 3
3x7 48 | 3 4
7x7 48 | 2 3 4 5
7x7 48 | 2 3 4 5 6
7x3 36 | 1 6 7
7x1 36 | 1 5 6 8
7x7 36 | 1 3 4 5 6 7 8 9
5x7 36 | 1 2 5 6 7 8 9 10
7x7 48 | 1 2 3 4 6 11
7x5 48 | 1 3 6 7 8 9 10 11 12
7x5 48 | 3 7 12 13
7x5 48 | 2 7 11 12 13 14
"""


def _conv(text: str) -> ConvArchitecture:
    """The network written as above."""
    layers = []
    for line in text.strip().splitlines():
        shape, _, inputs = line.partition("|")
        filter_size, filters = shape.split()
        height, width = map(int, filter_size.split("x"))
        sources = tuple(int(number) - 1 for number in inputs.split())
        layers.append(ConvLayer(filter_height=height, filter_width=width, filters=int(filters), inputs=sources))
    return ConvArchitecture(layers=tuple(layers))


def _rewired(architecture: ConvArchitecture, inputs: Callable[[int], Iterable[int]]) -> ConvArchitecture:
    """The same layers with other connections; ``inputs`` gives those of each layer."""
    layers = (
        layer.model_copy(update={"inputs": tuple(inputs(index))}) for index, layer in enumerate(architecture.layers)
    )
    return ConvArchitecture(layers=tuple(layers))


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
    "open-lstm": lambda: _cell(OPEN_LSTM),
    "torch-lstm": lambda: TorchCellArchitecture(cell="lstm"),
    "torch-gru": lambda: TorchCellArchitecture(cell="gru"),
    "figure7": lambda: _conv(FIGURE7),
    # The paper's two perturbations of it (sec. 4.1): all skip connections, and none.
    "figure7-dense": lambda: _rewired(_conv(FIGURE7), range),
    "figure7-chain": lambda: _rewired(_conv(FIGURE7), lambda layer: range(max(layer - 1, 0), layer)),
}

CELLS = ("lstm", "open-lstm", "nascell", "torch-lstm", "torch-gru")
"""What a found cell is held against: what people take, and the paper's own."""
