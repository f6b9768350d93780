"""What an architecture looks like, in a few numbers or words that can be compared."""

from __future__ import annotations

from math import log2

from netwright.spaces.architecture import (
    Architecture,
    ChoiceArchitecture,
    ConvArchitecture,
    RecurrentCellArchitecture,
)
from netwright.spaces.cost import Shape, geometry

LARGE = Shape(1, 1 << 10, 1 << 10)
"""An image whose maps are told apart however often they are halved."""


def hyperparameters(architecture: Architecture) -> dict[str, bool | int | float | str]:
    """What an architecture looks like, in a few numbers or words that can be compared."""
    match architecture:
        case ConvArchitecture(layers=layers):
            return {
                "layers": len(layers),
                "filters": sum(layer.filters for layer in layers),
                "connections": sum(len(layer.inputs) for layer in layers),
            }
        case RecurrentCellArchitecture():
            nodes = {f"node {index}": " ".join(pair) for index, pair in enumerate(architecture.nodes)}
            return {**nodes, "inject": " ".join(architecture.inject), "c_index": architecture.c_index}
        case ChoiceArchitecture():
            return {name: "None" if value is None else value for name, value in architecture.choices}
        case _:
            return {"kind": architecture.kind}


def layer_features(architecture: ConvArchitecture) -> tuple[float, ...]:
    """What each layer is, for a prediction: eight numbers, and one for each layer before it, layer by layer.

    Whether it is separable, its filters' height, width and area in pixels, the logarithms to base 2 of its width and of
    its map's height as a share of the image's, how many layers it reads, and whether its map is pooled; then which of
    the earlier layers it reads. The order of networks is foretold better from these than from their tokens
    (docs/adr/0017-foretold-rewards.md).
    """
    maps = geometry(architecture, LARGE).outputs
    numbers: list[float] = []
    for index, (layer, outputs) in enumerate(zip(architecture.layers, maps, strict=True)):
        numbers += (
            layer.layer_type == "separable",
            layer.filter_height,
            layer.filter_width,
            layer.filter_height * layer.filter_width,
            log2(layer.filters),
            log2(outputs.height / LARGE.height),
            len(layer.inputs),
            index in architecture.pool_after,
            *(earlier in layer.inputs for earlier in range(index)),
        )
    return tuple(map(float, numbers))
