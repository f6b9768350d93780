"""A trained network in whole numbers of eight bits, for small machines: made and run by ONNX Runtime's own tools."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from netwright.children.image_training import mean_recall
from netwright.children.latency import Latency, measure, onnx_session
from netwright.config import ImageTraining, LatencySettings
from netwright.errors import UsageError
from netwright.measure import Measure
from netwright.tasks.images import MEASURES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from netwright.data.images import ImageData, ImageSplit

    Bytes = NDArray[np.uint8]

CALIBRATION_IMAGES = 512
"""Training images that the ranges of activations are taken from."""

AT_A_TIME = 100
"""Images of one call, where only the logits are wanted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """What a model file is like in use.

    Attributes:
        bytes: Size of the file.
        measured: By the measure of the training, in [0, 1].
        accuracy: The share of images that it takes for what they are, in [0, 1].
        latency: Of one image on one thread.
    """

    bytes: int
    measured: float
    accuracy: float
    latency: Latency

    def to_json(self) -> dict[str, float]:
        """As an object that JSON can hold."""
        told = {"bytes": self.bytes, "measured": self.measured, "accuracy": self.accuracy}
        return {**told, **self.latency.metrics()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantized:
    """A model in eight bits beside the one that it was made from.

    Attributes:
        content: The ONNX file.
        before: Of the model in single precision.
        after: Of this one.
        measure: What both are measured by.
        part: Which part of the data they are measured on.
        images: How many images that has.
    """

    content: bytes
    before: Behaviour
    after: Behaviour
    measure: Measure
    part: str
    images: int

    def to_json(self) -> dict[str, Any]:
        """As an object that JSON can hold."""
        sides = {"float": self.before.to_json(), "int8": self.after.to_json()}
        return {**sides, "measure": self.measure.to_json(), "part": self.part, "images": self.images}


def quantized(model: bytes, data: ImageData, training: ImageTraining) -> Quantized:
    """Static quantisation, calibrated on training images; both models are measured on the test part.

    Weights are quantised per channel, activations per tensor. Weights use seven of the eight bits, since without
    VNNI instructions the sums of two products of eight bits overflow on x86 processors.

    Args:
        model: In single precision, as :func:`netwright.export.onnx_file.conv_onnx` makes it.
        data: What it was trained on. Where there is no test part, the validation part is measured.
        training: How it was trained, which says what it is measured by.

    Raises:
        UsageError: The extra is not installed.
    """
    content = _quantize(model, data.train)
    part, split = ("validation", data.validation) if data.test is None else ("test", data.test)
    return Quantized(
        content=content,
        before=_behaviour(model, split, training),
        after=_behaviour(content, split, training),
        measure=MEASURES[training.measure],
        part=part,
        images=len(split.labels),
    )


def _quantize(model: bytes, train: ImageSplit) -> bytes:
    try:
        import onnx
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UsageError(f"int8 needs onnx and onnxruntime: pip install 'netwright[onnx]' ({error})") from None

    class Images(CalibrationDataReader):  # type: ignore[misc]  # its module has no types
        def __init__(self) -> None:
            # Evenly spaced, since images may lie in the order of their classes.
            count = min(len(train.images), CALIBRATION_IMAGES)
            self._batches = _batches(train.images[[len(train.images) * place // count for place in range(count)]])

        def get_next(self) -> dict[str, Bytes] | None:
            images = next(self._batches, None)
            return None if images is None else {"images": images}

    with tempfile.TemporaryDirectory() as folder:
        given, prepared, made = (Path(folder) / f"{name}.onnx" for name in ("given", "prepared", "int8"))
        given.write_bytes(model)
        quant_pre_process(given, prepared)
        quantize_static(
            prepared,
            made,
            Images(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        result = onnx.load(made)
    known = {entry.key for entry in result.metadata_props}
    for entry in onnx.load_from_string(model).metadata_props:
        if entry.key not in known:
            result.metadata_props.add(key=entry.key, value=entry.value)
    return cast("bytes", result.SerializeToString())


def _batches(images: Tensor) -> Iterator[Bytes]:
    for some in images.split(AT_A_TIME):
        yield some.numpy()


def _behaviour(model: bytes, split: ImageSplit, training: ImageTraining) -> Behaviour:
    session = onnx_session(model, threads=1)
    counts: list[list[int]] = []  # a row for every true class, how many of it are taken for each
    for images, labels in zip(_batches(split.images), split.labels.split(AT_A_TIME), strict=True):
        (logits,) = session.run(["logits"], {"images": images})
        counts = counts or [[0] * logits.shape[1] for _ in range(logits.shape[1])]
        for label, taken in zip(labels.tolist(), logits.argmax(1).tolist(), strict=True):
            counts[label][taken] += 1
    accuracy = sum(row[label] for label, row in enumerate(counts)) / len(split.labels)
    feed = {"images": split.images[:1].numpy()}
    return Behaviour(
        bytes=len(model),
        measured=accuracy if training.measure == "accuracy" else mean_recall(counts),
        accuracy=accuracy,
        latency=measure(lambda: session.run(None, feed), LatencySettings()),
    )


def comparison_lines(result: Mapping[str, Any]) -> list[str]:
    """Both models side by side, for a person; from :meth:`Quantized.to_json`."""
    measured = Measure.from_json(result["measure"]).name
    columns = {measured: "measured", "accuracy": "accuracy"}  # one, where it is measured by its accuracy
    heads = "".join(f"  {head:>{max(len(head), 8)}}" for head in columns)
    lines = [f"{'':8}  {'bytes':>9}{heads}  {'one image, ms':>17}"]
    for name in ("float", "int8"):
        side = result[name]
        numbers = "".join(f"  {side[key]:>{max(len(head), 8)}.4f}" for head, key in columns.items())
        latency = f"{side['latency_ms']:.4g} ± {side['latency_ms_error']:.1g}"
        lines.append(f"{name:8}  {side['bytes']:>9,}{numbers}  {latency:>17}")
    return [*lines, f"{measured} on the {result['part']} part, {result['images']:,} images; one thread of this machine"]
