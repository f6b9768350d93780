"""Shapes and costs of a convolutional network, told from the architecture alone, without torch.

The same shapes build the network (``children/conv_net.py``), so there is one place that knows the compile rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netwright.spaces.architecture import ConvArchitecture, ConvLayer, Pooling

BYTES = 4
"""Of a number in single precision."""

IMAGE = -1
"""The source index that stands for the image."""


class Shape(NamedTuple):
    """Channels, rows and columns of a feature map."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """What a layer, or the classifier, is fed: some sources, concatenated along the channels or added.

    Attributes:
        sources: Indices of layers, or ``IMAGE``, each with the number of 2x2 poolings on its way.
        shape: Of the result, after zero-padding the smaller maps at bottom and right.
        added: Whether the sources are added, narrower ones zero-padded in their channels, rather than concatenated.
        pooling: What the poolings make of four pixels.
    """

    sources: tuple[tuple[int, int], ...]
    shape: Shape
    added: bool = False
    pooling: Pooling


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Every map of a network on images of one shape.

    Attributes:
        image: What the network reads.
        joins: The input of each layer.
        filtered: Of each separable layer, what its filters make of its input before the channels are mixed; else None.
        outputs: The output of each layer.
        final: The input of the classifier.
    """

    image: Shape
    joins: tuple[Join, ...]
    filtered: tuple[Shape | None, ...]
    outputs: tuple[Shape, ...]
    final: Join


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a network costs.

    Attributes:
        parameters: Trainable weights: convolutions without bias, batch normalisation's two per channel, the classifier.
        multiply_adds: Per image, of convolutions and classifier, borders counted as if inside.
        activation_bytes: Peak memory of the feature maps of one image in single precision; see
            :func:`peak_activations`.
    """

    parameters: int
    multiply_adds: int
    activation_bytes: int


def geometry(architecture: ConvArchitecture, image: Shape) -> Geometry:
    """Follows the paper's compile rules (Zoph & Le 2017, sec. 3.3) through the network.

    A layer without inputs reads the image, outputs that nobody consumes are concatenated for the classifier, smaller
    maps are zero-padded to the largest; padding is SAME, so stride s turns n into ceil(n / s) and a map never vanishes.
    """
    outputs: list[Shape] = []
    filtered: list[Shape | None] = []
    joins: list[Join] = []
    for index, layer in enumerate(architecture.layers):
        join = _join(architecture, layer.inputs or (IMAGE,), index, image, outputs)
        joins.append(join)
        height, width = -(-join.shape.height // layer.stride_height), -(-join.shape.width // layer.stride_width)
        filtered.append(Shape(join.shape.channels, height, width) if layer.layer_type == "separable" else None)
        outputs.append(Shape(layer.filters, height, width))
    final = _join(architecture, architecture.outputs, len(architecture.layers), image, outputs)
    return Geometry(image=image, joins=tuple(joins), filtered=tuple(filtered), outputs=tuple(outputs), final=final)


def _join(
    architecture: ConvArchitecture, inputs: Sequence[int], target: int, image: Shape, outputs: Sequence[Shape]
) -> Join:
    sources = tuple((source, _poolings(architecture, source, target)) for source in inputs)
    maps = []
    for source, poolings in sources:
        channels, height, width = image if source == IMAGE else outputs[source]
        for _ in range(poolings):
            height, width = -(-height // 2), -(-width // 2)
        maps.append(Shape(channels, height, width))
    added = architecture.joins == "add" and len(maps) > 1
    channels = max(m.channels for m in maps) if added else sum(m.channels for m in maps)
    shape = Shape(channels, max(m.height for m in maps), max(m.width for m in maps))
    return Join(sources=sources, shape=shape, added=added, pooling=architecture.pooling)


def _poolings(architecture: ConvArchitecture, source: int, target: int) -> int:
    """How often the map of ``source`` is pooled before it reaches ``target``."""
    if architecture.skip_over_pool == "pad":
        return int(source in architecture.pool_after)
    return sum(source <= pool < target for pool in architecture.pool_after)


def cost(architecture: ConvArchitecture, image: Shape, classes: int) -> Cost:
    """What a network costs on images of shape ``image`` with ``classes`` classes."""
    shapes = geometry(architecture, image)
    parameters = shapes.final.shape.channels * classes + classes
    multiply_adds = shapes.final.shape.channels * classes
    for layer, join, output in zip(architecture.layers, shapes.joins, shapes.outputs, strict=True):
        weights = _weights(layer, join.shape.channels)
        parameters += weights + 2 * layer.filters
        multiply_adds += weights * output.height * output.width
    return Cost(parameters=parameters, multiply_adds=multiply_adds, activation_bytes=BYTES * peak_activations(shapes))


def _weights(layer: ConvLayer, channels: int) -> int:
    """Of the convolution, or the two of a separable layer, that read so many channels."""
    area = layer.filter_height * layer.filter_width
    match layer.layer_type:
        case "conv":
            return area * channels * layer.filters
        case "separable":
            return area * channels + channels * layer.filters


def peak_activations(shapes: Geometry) -> int:
    """The most values of feature maps that must be in memory at once while one image passes through the network.

    Layers are run in their order, and a map is forgotten after the last layer that reads it. While a layer is run, the
    maps that it or a later one reads are there, a copy of its input where that is joined or pooled first, and its
    output. Normalisation and activation work in place. A separable layer has two outputs, one after the other, and its
    input is needed for the first alone. A runtime that works in pieces may need less, and its work space for
    convolutions comes on top.
    """
    joins = [*shapes.joins, shapes.final]
    between = [*shapes.filtered, None]
    sizes = [*map(_values, shapes.outputs), shapes.final.shape.channels]
    last_reader = {source: step for step, join in enumerate(joins) for source, _ in join.sources}
    made = {IMAGE: _values(shapes.image)}
    peak = 0
    for step, (join, filtered, size) in enumerate(zip(joins, between, sizes, strict=True)):
        kept = sum(values for source, values in made.items() if last_reader.get(source, IMAGE) >= step)
        is_copy = len(join.sources) > 1 or any(poolings for _, poolings in join.sources)
        before = kept + is_copy * _values(join.shape)
        if filtered is not None:
            peak = max(peak, before + _values(filtered))
            later = sum(values for source, values in made.items() if last_reader.get(source, IMAGE) > step)
            before = later + _values(filtered)
        peak = max(peak, before + size)
        made[step] = size
    return peak


def _values(shape: Shape) -> int:
    return shape.channels * shape.height * shape.width


def excess_of(costs: Mapping[str, float], limits: Mapping[str, float]) -> str | None:
    """What costs more than its limit, for a person; None where nothing does.

    Args:
        costs: By name.
        limits: By the same names; costs that are not known are within them.
    """
    for name, limit in limits.items():
        if (value := costs.get(name, 0)) > limit:
            return f"{name}: {value:,.6g}, more than child.max_{name} = {limit:,.6g}"
    return None
