"""A trained convolutional network as ONNX, from raw images to logits, checked before anybody gets it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from netwright.children.augment import center_crop
from netwright.children.image_training import enlarged
from netwright.config import ImageTraining
from netwright.errors import NetwrightError, UsageError
from netwright.spaces.cost import Shape

TOLERANCE = 1e-4
"""Largest difference between the logits of PyTorch and of onnxruntime, relative to the largest logit above 1."""


class _FromBytes(nn.Module):
    """The network with the preparation of its images in front."""

    def __init__(self, network: nn.Module, settings: ImageTraining) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] bytes -> [N, classes] logits."""
        height, width = images.shape[2:]
        logits: Tensor = self.network(center_crop(enlarged(images, self.settings), height, width))
        return logits


def conv_onnx(
    network: nn.Module, image: Shape, classes: Sequence[str], settings: ImageTraining, bits: int = 16
) -> bytes:
    """The network as an ONNX model: ``images``, bytes [N, C, H, W] with any N, to ``logits`` [N, classes].

    The preparation of the images is part of it. Its metadata say the rest: ``classes``, a JSON list in the order of the
    logits, and ``images``, how a file becomes such bytes.

    Args:
        network: With its weights.
        image: What it reads.
        classes: Names of the classes, in the order of the logits.
        settings: How it was trained, which tells how images are prepared.
        bits: Of the pixels of deep pictures in the data that it was trained on.

    Raises:
        UsageError: The extra is not installed.
        NetwrightError: onnxruntime gets other logits than PyTorch.
    """
    if missing := [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]:
        raise UsageError(f"ONNX needs {', '.join(missing)}: pip install 'netwright[onnx]'")
    model = _FromBytes(network, settings).eval()
    images = torch.randint(256, (3, *image), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    # The exporter reports on its own progress, and warns of what is deprecated inside of PyTorch.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("images", min=1)}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model_proto = program.model_proto
    for key, value in (("classes", json.dumps(list(classes))), ("images", _reading(image, bits))):
        entry = model_proto.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = model_proto.SerializeToString()
    with torch.inference_mode():
        _check(content, images, model(images))
    return content


def _reading(image: Shape, bits: int) -> str:
    """How a file becomes the bytes that the network reads, in words; :mod:`netwright.data.decoding` is the policy."""
    colours = {1: "grey", 3: "RGB"}.get(image.channels, f"{image.channels} channels")
    size = f"{image.height} rows, {image.width} columns"
    return (
        f"{colours}, {size}, 0 to 255 (of deeper pixels the upper 8 of {bits} bits); "
        "upright by EXIF, transparency on white, resized bilinear with antialiasing, as Pillow shrinks"
    )


def _check(content: bytes, images: Tensor, expected: Tensor) -> None:
    """Compares onnxruntime's logits with PyTorch's."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    difference = (torch.from_numpy(logits) - expected).abs().max() / expected.abs().max().clamp(min=1.0)
    if not difference <= TOLERANCE:
        raise NetwrightError(f"onnxruntime's logits differ from PyTorch's by {difference:.2g}; expected {TOLERANCE:g}")
