"""Export: an architecture as files that a stranger can use without netwright."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import safetensors.torch

from netwright.config import ExperimentConfig
from netwright.errors import StorageError, UsageError
from netwright.report.export_conv import conv_source, conv_weights
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.cost import Shape


def exported_files(
    architecture: Architecture, task: Mapping[str, Any], config: ExperimentConfig, weights: bytes | None
) -> dict[str, bytes | str]:
    """The files of an export by name.

    Args:
        architecture: What to export.
        task: What it reads and writes.
        config: How it was trained.
        weights: Its trained weights as safetensors; None when it was not trained.

    Raises:
        UsageError: This kind of architecture cannot be exported.
        StorageError: The weights are damaged.
    """
    files: dict[str, bytes | str] = {"architecture.json": architecture.canonical_json() + "\n"}
    try:
        state = None if weights is None else safetensors.torch.load(weights)
    except safetensors.SafetensorError as error:
        raise StorageError(f"model.safetensors is damaged ({error}); train again") from None
    match architecture:
        case ConvArchitecture():
            files["model.py"] = conv_source(architecture, Shape(*task["image"]), task["classes"], config.child)
            if state is not None:
                files["model.safetensors"] = safetensors.torch.save(conv_weights(state))
        case _:
            raise UsageError(f"an architecture of kind {architecture.kind} cannot be exported")
    return files
