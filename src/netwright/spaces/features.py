"""What an architecture looks like, in a few numbers or words that can be compared."""

from __future__ import annotations

from netwright.spaces.architecture import (
    Architecture,
    ChoiceArchitecture,
    ConvArchitecture,
    RecurrentCellArchitecture,
)


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
