"""Tensors on disk: safetensors with a digest of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from netwright.errors import StorageError
from netwright.store.digests import TENSOR_DIGEST, tensor_head
from netwright.store.files import write_atomically

ABOUT = "netwright"
"""In the metadata of the weights of an export: kind of task, task and settings of the training, as JSON."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes :func:`tensor_bytes`."""
    write_atomically(path, tensor_bytes(tensors))


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Safetensors with a digest of their content among the metadata, since the format has none of its own."""
    # Copies, since tied weights share their memory, which the format does not have.
    copies = {name: value.cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    content: bytes = safetensors.torch.save(copies, metadata={TENSOR_DIGEST: _digest(copies)})
    return content


def load_tensors(content: bytes, source: str) -> dict[str, Tensor]:
    """Reads safetensors that anybody may have written; checks the digest that :func:`save_tensors` leaves in them.

    Raises:
        StorageError: They are no safetensors, or a bit of them has flipped.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (safetensors.SafetensorError, ValueError) as error:
        raise StorageError(f"{source}: damaged: {error}") from None
    expected = header.get("__metadata__", {}).get(TENSOR_DIGEST)
    if expected is not None and expected != _digest(tensors):
        raise StorageError(f"{source}: damaged: the numbers are not those that were written")
    return tensors


def with_about(content: bytes, about: Mapping[str, Any]) -> bytes:
    """Safetensors with a record among their metadata that says what they are the weights of; see :func:`read_about`."""
    tensors = safetensors.torch.load(content)
    described: bytes = safetensors.torch.save(tensors, metadata={ABOUT: json.dumps(about)})
    return described


def read_about(content: bytes) -> dict[str, Any] | None:
    """The record that :func:`with_about` left; None where there is none, or anything else.

    Args:
        content: Of a file that anybody may have written; the record is not checked.
    """
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"][ABOUT])
    except (ValueError, KeyError, TypeError):
        return None
    return about if isinstance(about, dict) else None


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(tensor_head(name, str(value.dtype).removeprefix("torch."), value.shape))
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
