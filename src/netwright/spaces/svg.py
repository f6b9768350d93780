"""Drawings of architectures as SVG: convolutional networks as a column with arcs, recurrent cells as trees."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from netwright.errors import UsageError
from netwright.spaces.architecture import Architecture, CellNode, ConvArchitecture, RecurrentCellArchitecture
from netwright.spaces.cost import IMAGE
from netwright.spaces.recurrent_cell import children

# All lengths are in pixels.
BOX_WIDTH, BOX_HEIGHT, ROW = 150, 26, 44
NODE_WIDTH, LEAF_PITCH, LEVEL = 92, 104, 64
MARGIN = 16
INK, PAPER, SKIP, MEMORY = "#1f2933", "#f5f7fa", "#7b8794", "#c2410c"
FILLS = {"image": "#dbeafe", "conv": "#ecfdf5", "pool": "#fef3c7", "classes": "#ede9fe", "node": "#ecfdf5"}


def has_drawing(architecture: Architecture) -> bool:
    """Whether :func:`architecture_svg` draws such an architecture."""
    return isinstance(architecture, ConvArchitecture | RecurrentCellArchitecture)


def architecture_svg(architecture: Architecture) -> str:
    """A stand-alone SVG document.

    Raises:
        UsageError: This kind of architecture has no drawing.
    """
    match architecture:
        case ConvArchitecture():
            return _conv_svg(architecture)
        case RecurrentCellArchitecture():
            return _cell_svg(architecture)
        case _:
            raise UsageError(f"an architecture of kind {architecture.kind} has no drawing; use --format text or json")


def _conv_svg(architecture: ConvArchitecture) -> str:
    """A box per layer, the image on top; the straight way down as lines, skip connections as arcs on the right.

    The further an arc jumps, the further out it bows, so that arcs of different lengths never coincide.
    """
    labels = [("image", "image")]
    for index, layer in enumerate(architecture.layers):
        stride = (layer.stride_height, layer.stride_width)
        strides = "" if stride == (1, 1) else f" / {stride[0]}x{stride[1]}"
        pooled = ", pooled" if index in architecture.pool_after else ""
        separable = "sep " if layer.layer_type == "separable" else ""
        size = f"{separable}{layer.filter_height}x{layer.filter_width}"
        labels.append(("pool" if pooled else "conv", f"{index}: {size}{strides}, {layer.filters}{pooled}"))
    labels.append(("classes", "average, softmax"))
    sources = [*(layer.inputs or (IMAGE,) for layer in architecture.layers), architecture.outputs]
    edges = [(source + 1, target + 1) for target, inputs in enumerate(sources) for source in inputs]
    longest = max(target - source for source, target in edges)
    parts = [_edge(source, target) for source, target in sorted(edges, key=lambda e: e[0] - e[1])]
    parts += [_box(MARGIN, _top(row), BOX_WIDTH, text, FILLS[kind]) for row, (kind, text) in enumerate(labels)]
    width = MARGIN * 2 + BOX_WIDTH + (0 if longest == 1 else round(_bow(longest) * 0.75))
    return _document(width, _top(len(labels)) - ROW + BOX_HEIGHT + MARGIN, parts)


def _top(row: int) -> int:
    return MARGIN + row * ROW


def _bow(rows: int) -> int:
    """How far out the control points of an arc over so many rows lie."""
    return 24 + 22 * rows


def _edge(source: int, target: int) -> str:
    if target - source == 1:
        x = MARGIN + BOX_WIDTH / 2
        return _line(f"M{x} {_top(source) + BOX_HEIGHT}V{_top(target)}", INK)
    # Arcs leave a box below its middle and arrive above it, so that ends and beginnings stay apart.
    x, y0, y1 = MARGIN + BOX_WIDTH, _top(source) + BOX_HEIGHT * 0.7, _top(target) + BOX_HEIGHT * 0.3
    out = x + _bow(target - source)
    return _line(f"M{x} {y0}C{out} {y0} {out} {y1} {x + 2} {y1}", SKIP)


def _cell_svg(cell: RecurrentCellArchitecture) -> str:
    """The tree with its root on top; the memory's way in and out in another colour."""
    place: dict[int, tuple[float, float]] = {}
    levels = cell.base.bit_length()  # of nodes; above them stands the output, below them input and memory
    for node in range(len(cell.nodes)):
        if node < cell.base:
            place[node] = MARGIN + node * LEAF_PITCH, MARGIN + levels * LEVEL
        else:
            left, right = (place[child] for child in children(cell.base, node))
            place[node] = (left[0] + right[0]) / 2, left[1] - LEVEL
    root = place[len(cell.nodes) - 1]
    floor = MARGIN + (levels + 1) * LEVEL
    width = MARGIN * 2 + cell.base * LEAF_PITCH - (LEAF_PITCH - NODE_WIDTH) + LEAF_PITCH
    memory_in, memory_out = (width - MARGIN - NODE_WIDTH, floor), (width - MARGIN - NODE_WIDTH, MARGIN)
    parts = [
        _link(place[child], place[node])
        for node in range(cell.base, len(cell.nodes))
        for child in children(cell.base, node)
    ]
    parts += [_link((place[leaf][0], floor), place[leaf]) for leaf in range(cell.base)]
    parts.append(_link(root, (root[0], MARGIN)))
    injected, kept = place[cell.c_prev_index], place[cell.c_index]
    parts.append(_memory_in(memory_in, injected))
    parts.append(_memory_out(kept, memory_out))
    parts += [_box(*place[node], NODE_WIDTH, _operation(pair), FILLS["node"]) for node, pair in enumerate(cell.nodes)]
    parts += [_box(place[leaf][0], floor, NODE_WIDTH, "x, h before", FILLS["image"]) for leaf in range(cell.base)]
    parts.append(_box(root[0], MARGIN, NODE_WIDTH, "h", FILLS["classes"]))
    parts.append(_box(*memory_in, NODE_WIDTH, "c before", FILLS["pool"]))
    parts.append(_box(*memory_out, NODE_WIDTH, "c", FILLS["pool"]))
    x, y = injected[0] + NODE_WIDTH, injected[1] - 8
    parts.append(f'<text x="{x + 4}" y="{y}" fill="{MEMORY}" text-anchor="start">{_operation(cell.inject)}</text>')
    return _document(width, floor + BOX_HEIGHT + MARGIN, parts)


def _operation(pair: CellNode) -> str:
    symbols = {"add": "+", "elem_mult": "\u00d7", "max": "max"}
    return f"{symbols[pair[0]]}  {pair[1]}"


def _link(lower: tuple[float, float], upper: tuple[float, float]) -> str:
    """A straight arrow from the top of one box to the bottom of another."""
    middle = NODE_WIDTH / 2
    return _line(f"M{lower[0] + middle} {lower[1]}L{upper[0] + middle} {upper[1] + BOX_HEIGHT}", INK)


def _memory_in(box: tuple[float, float], node: tuple[float, float]) -> str:
    """From the old memory state to the right side of the node that receives it."""
    x, y = node[0] + NODE_WIDTH, node[1] + BOX_HEIGHT / 2
    return _line(f"M{box[0] + NODE_WIDTH / 2} {box[1]}C{box[0] + NODE_WIDTH / 2} {y} {x + 60} {y} {x + 2} {y}", MEMORY)


def _memory_out(node: tuple[float, float], box: tuple[float, float]) -> str:
    """From the right side of the node whose combination is kept, before its activation, to the new memory state."""
    x, y = node[0] + NODE_WIDTH, node[1] + BOX_HEIGHT / 2
    end = box[1] + BOX_HEIGHT / 2
    return _line(f"M{x} {y}C{x + 80} {y} {x + 80} {end} {box[0] - 2} {end}", MEMORY)


def _box(x: float, y: float, width: float, text: str, fill: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{BOX_HEIGHT}" rx="5" fill="{fill}" stroke="{INK}"/>'
        f'<text x="{x + width / 2}" y="{y + BOX_HEIGHT / 2}" dy=".35em">{escape(text)}</text>'
    )


def _line(path: str, colour: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" marker-end="url(#head-{colour[1:]})"/>'


def _document(width: float, height: float, parts: Iterable[str]) -> str:
    heads = "".join(
        f'<marker id="head-{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        for colour in (INK, SKIP, MEMORY)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12" text-anchor="middle">'
        f'<defs>{heads}</defs><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )
