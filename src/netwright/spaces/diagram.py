"""Drawings of architectures as text: a table of layers, and skip connections as arcs beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netwright.spaces.architecture import (
    LAYER_ACTIVATIONS,
    Architecture,
    ChoiceArchitecture,
    ConvArchitecture,
    RecurrentCellArchitecture,
    TorchCellArchitecture,
)
from netwright.spaces.cost import IMAGE, Shape, cost, geometry
from netwright.spaces.recurrent_cell import children, equations, merged_nodes


def draw(
    architecture: Architecture, task: Mapping[str, Any], *, width: int | None = None, merge_sums: bool = False
) -> str:
    """An architecture as text.

    Args:
        architecture: Of any kind.
        task: What it reads and writes: ``image`` [channels, height, width] and ``classes`` for a convolutional network.
            Without them, as where an evaluator came from Python, its layers are drawn without sizes and costs.
        width: Columns that there are, where the lines of a network would be broken in the middle: one whose skip
            connections take more is drawn without them, since each layer names its inputs, too.
        merge_sums: Whether leaves of a cell that are only added up share one product, as it is trained.
    """
    match architecture:
        case ConvArchitecture():
            known = "image" in task and "classes" in task
            sizes = (Shape(*task["image"]), len(task["classes"])) if known else ()
            text = conv_text(architecture, *sizes)
            too_wide = width is not None and max(map(len, text.splitlines())) > width
            return conv_text(architecture, *sizes, arcs=False) if too_wide else text
        case RecurrentCellArchitecture():
            return cell_text(architecture, merged_nodes(architecture) if merge_sums else frozenset())
        case TorchCellArchitecture(cell=cell):
            return f"torch.nn.{cell.upper()}, with biases"
        case ChoiceArchitecture():
            width = max(len(name) for name, _ in architecture.choices)
            return "\n".join(f"{name:{width}}  {value}" for name, value in architecture.choices)
        case _:
            return architecture.model_dump_json(indent=1)


def conv_text(
    architecture: ConvArchitecture, image: Shape | None = None, classes: int | None = None, *, arcs: bool = True
) -> str:
    """The network layer by layer, the image on top; with sizes and costs where image and classes are known.

    Each line gives a layer's filters, its output and its inputs. To its left runs one column for every skip connection
    (an input that is not the layer just above): it opens at the source, ``┌``, and ends at the layer it feeds, ``└``;
    where one ends as the next one opens there is ``├``. Without ``arcs`` they are left out.
    """
    sizes = None if image is None else geometry(architecture, image).outputs
    skips = _columns(architecture) if arcs else []
    lines = [f"{_arcs(skips, IMAGE)}image    {'' if image is None else _size(image)}".rstrip()]
    if architecture.activation != "relu":
        lines[0] += f"   ({LAYER_ACTIVATIONS[architecture.activation]} after each layer)"
    for index, layer in enumerate(architecture.layers):
        stride = (layer.stride_height, layer.stride_width)
        strides = "" if stride == (1, 1) else f" stride {stride[0]}x{stride[1]}"
        inputs = ", ".join(map(str, layer.inputs)) or "image"
        output = "" if sizes is None else f"  -> {_size(sizes[index])}"
        lines.append(
            f"{_arcs(skips, index)}layer {index:<2} {layer.layer_type} {layer.filter_height}x{layer.filter_width}, "
            f"{layer.filters} filters{strides}{output}   from {inputs}"
        )
        if index in architecture.pool_after:
            lines.append(f"{_arcs(skips, index, between=True)}         {architecture.pooling} pool 2x2")
    number = "" if classes is None else f"{classes}, "
    lines.append(
        f"{_arcs(skips, len(architecture.layers))}classes  {number}by global average pooling and a linear layer"
        f"   from {', '.join(map(str, architecture.outputs))}"
    )
    if image is None or classes is None:
        return "\n".join(lines)
    total = cost(architecture, image, classes)
    lines.append(f"{total.parameters:,} parameters, {total.multiply_adds:,} multiply-adds per image")
    return "\n".join(lines)


def cell_text(cell: RecurrentCellArchitecture, merged: frozenset[int] = frozenset()) -> str:
    """The cell as a tree, root first, with the memory's way in and out, and then as equations without ``merged``."""
    lines = [*_branches(cell, len(cell.nodes) - 1, "h = ", "", ""), "", *equations(cell, merged)]
    if merged:
        lines += ["", "Leaves that are only added up share one product; the others of them are not in the equations."]
    return "\n".join(lines)


def _branches(cell: RecurrentCellArchitecture, node: int, name: str, head: str, rest: str) -> Iterator[str]:
    """A node and what is below it; ``head`` goes before its own line, ``rest`` before the lines below."""
    notes = ""
    if node == cell.c_prev_index:
        notes += f"   then {' '.join(cell.inject)} with c before"
    if node == cell.c_index:
        notes += "   (before its activation: c)"
    yield f"{head}{name}a{node}: {' '.join(cell.nodes[node])}{notes}"
    if node >= cell.base:
        left, right = children(cell.base, node)
        yield from _branches(cell, left, "", f"{rest}├─ ", f"{rest}│  ")
        yield from _branches(cell, right, "", f"{rest}└─ ", f"{rest}   ")


def _size(shape: Shape) -> str:
    return f"{shape.channels}x{shape.height}x{shape.width}"


def _columns(architecture: ConvArchitecture) -> list[list[tuple[int, int]]]:
    """Skip connections (source, target) packed into as few columns as do not overlap."""
    targets = [*(layer.inputs or (IMAGE,) for layer in architecture.layers), architecture.outputs]
    skips = [(s, t) for t, sources in enumerate(targets) for s in sources if s != t - 1]
    columns: list[list[tuple[int, int]]] = []
    for skip in sorted(skips, key=lambda edge: (edge[0], -edge[1])):
        for column in columns:
            if column[-1][1] <= skip[0]:
                column.append(skip)
                break
        else:
            columns.append([skip])
    return columns


def _arcs(columns: list[list[tuple[int, int]]], row: int, *, between: bool = False) -> str:
    """The part of every column beside a row of the table."""
    text = ""
    for column in reversed(columns):
        opens = not between and any(source == row for source, _ in column)
        ends = not between and any(target == row for _, target in column)
        passes = any(source < row < target or (between and source <= row < target) for source, target in column)
        text += "├" if opens and ends else "┌" if opens else "└" if ends else "│" if passes else " "
    return f"{text} " if columns else ""
