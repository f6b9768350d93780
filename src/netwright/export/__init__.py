"""An export is a network as files that a stranger can use without netwright: ``model.py``, weights, ONNX.

Public names: ``cell_files``, ``conv_files``, ``layer_files``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.export.files import cell_files, conv_files, layer_files

__all__ = ["cell_files", "conv_files", "layer_files"]

__getattr__ = lazily(
    __name__,
    {
        "files": ("cell_files", "conv_files", "layer_files"),
    },
)
