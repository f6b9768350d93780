"""Export: a network as files that a stranger can use without netwright."""

from __future__ import annotations

import json
from collections.abc import Sequence

import safetensors.torch
from torch import nn

from netwright.config import ImageTraining, LanguageModelTraining
from netwright.errors import UsageError
from netwright.export.cell import cell_source, layer_source
from netwright.export.conv import conv_source, conv_weights
from netwright.spaces.architecture import ConvArchitecture, RecurrentCellArchitecture
from netwright.spaces.cost import Shape


def conv_files(
    architecture: ConvArchitecture,
    image: Shape,
    classes: Sequence[str],
    training: ImageTraining,
    network: nn.Module,
    *,
    trained: bool,
    onnx: bool,
    bits: int = 16,
) -> dict[str, bytes | str]:
    """A convolutional network as ``model.py``, with ``model.safetensors`` once trained, and ``model.onnx`` if wanted.

    Raises:
        UsageError: ONNX is wanted of a network without trained weights.
    """
    files: dict[str, bytes | str] = {"model.py": conv_source(architecture, image, classes, training, bits)}
    if trained:
        files["model.safetensors"] = safetensors.torch.save(conv_weights(network.state_dict()))
    if onnx:
        from netwright.export.onnx_file import conv_onnx

        if not trained:
            raise UsageError("ONNX holds the weights, and this network has none yet; train it first (netwright train)")
        files["model.onnx"] = conv_onnx(network, image, classes, training, bits)
    return files


def cell_files(
    cell: RecurrentCellArchitecture,
    vocabulary: Sequence[str],
    unit: str,
    training: LanguageModelTraining,
    network: nn.Module,
    *,
    trained: bool,
) -> dict[str, bytes | str]:
    """A language model as ``model.py`` and ``vocabulary.json``, with ``model.safetensors`` once trained."""
    tokens, embedding = network.get_parameter("embedding.weight").shape
    source = cell_source(
        cell,
        vocabulary=tokens,
        embedding=embedding,
        hidden=network.get_parameter("softmax.weight").shape[1],
        layers=training.layers,
        unit=unit,
        streams=training.batch_size,
        init_scale=training.init_scale,
        bias=training.bias,
        merge_sums=training.merge_sums,
    )
    files: dict[str, bytes | str] = {"model.py": source, "vocabulary.json": json.dumps(list(vocabulary))}
    if trained:  # copies, since tied matrices share their memory
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        files["model.safetensors"] = safetensors.torch.save(weights)
    return files


def layer_files(cell: RecurrentCellArchitecture) -> dict[str, bytes | str]:
    """A cell that belongs to no text as ``model.py``: the layer alone, for a network of one's own."""
    return {"model.py": layer_source(cell)}
