"""Export: a network as files that a stranger can use without netwright."""

from __future__ import annotations

import json

import safetensors.torch

from netwright.config import ImageTraining, LanguageModelTraining
from netwright.errors import UsageError
from netwright.export.cell import cell_source, cell_weights
from netwright.export.conv import conv_source, conv_weights
from netwright.networks.network import Network
from netwright.spaces.architecture import ConvArchitecture, RecurrentCellArchitecture
from netwright.spaces.cost import Shape


def exported_files(network: Network, *, onnx: bool = False) -> dict[str, bytes | str]:
    """The files of an export by name.

    Args:
        network: What to export; without trained weights there is no ``model.safetensors``.
        onnx: Whether to add ``model.onnx``, which has the weights in it.

    Raises:
        UsageError: This kind of architecture cannot be exported, or not as ONNX.
        StorageError: The weights are damaged.
    """
    match network.architecture, None if network.config is None else network.config.child:
        case ConvArchitecture() as architecture, ImageTraining() as settings:
            files = _conv_files(network, architecture, settings, onnx=onnx)
        case RecurrentCellArchitecture() as architecture, LanguageModelTraining() as settings:
            if onnx:
                raise UsageError("--onnx: for convolutional networks only; model.py runs a language model anywhere")
            files = _cell_files(network, architecture, settings)
        case _:
            raise UsageError(f"an architecture of kind {network.architecture.kind} cannot be exported")
    return {"architecture.json": network.architecture.canonical_json() + "\n", **files}


def _conv_files(
    network: Network, architecture: ConvArchitecture, settings: ImageTraining, *, onnx: bool
) -> dict[str, bytes | str]:
    image = Shape(*network.task["image"])
    files: dict[str, bytes | str] = {"model.py": conv_source(architecture, image, network.task["classes"], settings)}
    if network.weights is not None:
        files["model.safetensors"] = safetensors.torch.save(conv_weights(network.build().state_dict()))
    if onnx:
        from netwright.export.onnx_file import conv_onnx

        if network.weights is None:
            raise UsageError("ONNX holds the weights, and this network has none yet; train it first (netwright train)")
        files["model.onnx"] = conv_onnx(network.build(), image, settings)
    return files


def _cell_files(
    network: Network, cell: RecurrentCellArchitecture, settings: LanguageModelTraining
) -> dict[str, bytes | str]:
    model = network.build()
    vocabulary, embedding = model.get_parameter("embedding.weight").shape
    source = cell_source(
        cell,
        vocabulary=vocabulary,
        embedding=embedding,
        hidden=model.get_parameter("softmax.weight").shape[1],
        layers=settings.layers,
        unit=network.task["unit"],
        streams=settings.batch_size,
    )
    files: dict[str, bytes | str] = {"model.py": source, "vocabulary.json": json.dumps(network.task["vocabulary"])}
    if network.weights is not None:
        files["model.safetensors"] = safetensors.torch.save(cell_weights(model.state_dict()))
    return files
