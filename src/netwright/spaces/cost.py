"""Shapes, parameters and multiply-adds of a convolutional network, told from the architecture alone, without torch.

The same shapes build the network (``children/conv_net.py``), so there is one place that knows the compile rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netwright.spaces.architecture import ConvArchitecture

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
        sources: Indices of layers, or ``IMAGE``, each with the number of 2x2 max poolings on its way.
        shape: Of the result, after zero-padding the smaller maps at bottom and right.
        added: Whether the sources are added, narrower ones zero-padded in their channels, rather than concatenated.
    """

    sources: tuple[tuple[int, int], ...]
    shape: Shape
    added: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Every map of a network on images of one shape.

    Attributes:
        joins: The input of each layer.
        outputs: The output of each layer.
        final: The input of the classifier.
    """

    joins: tuple[Join, ...]
    outputs: tuple[Shape, ...]
    final: Join


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a network costs.

    Attributes:
        parameters: Trainable weights: convolutions without bias, batch normalisation's two per channel, the classifier.
        multiply_adds: Per image, of convolutions and classifier, borders counted as if inside.
    """

    parameters: int
    multiply_adds: int


def geometry(architecture: ConvArchitecture, image: Shape) -> Geometry:
    """Follows the paper's compile rules (Zoph & Le 2017, sec. 3.3) through the network.

    A layer without inputs reads the image, outputs that nobody consumes are concatenated for the classifier, smaller
    maps are zero-padded to the largest; padding is SAME, so stride s turns n into ceil(n / s) and a map never vanishes.
    """
    outputs: list[Shape] = []
    joins: list[Join] = []
    for index, layer in enumerate(architecture.layers):
        join = _join(architecture, layer.inputs or (IMAGE,), index, image, outputs)
        joins.append(join)
        height, width = -(-join.shape.height // layer.stride_height), -(-join.shape.width // layer.stride_width)
        outputs.append(Shape(layer.filters, height, width))
    final = _join(architecture, architecture.outputs, len(architecture.layers), image, outputs)
    return Geometry(joins=tuple(joins), outputs=tuple(outputs), final=final)


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
    return Join(sources=sources, shape=shape, added=added)


def _poolings(architecture: ConvArchitecture, source: int, target: int) -> int:
    """How often the map of ``source`` is pooled before it reaches ``target``."""
    if architecture.skip_over_pool == "pad":
        return int(source in architecture.pool_after)
    return sum(source <= pool < target for pool in architecture.pool_after)


def cost(architecture: ConvArchitecture, image: Shape, classes: int) -> Cost:
    """Parameters and multiply-adds on images of shape ``image`` with ``classes`` classes."""
    shapes = geometry(architecture, image)
    parameters = shapes.final.shape.channels * classes + classes
    multiply_adds = shapes.final.shape.channels * classes
    for layer, join, output in zip(architecture.layers, shapes.joins, shapes.outputs, strict=True):
        weights = layer.filter_height * layer.filter_width * join.shape.channels * layer.filters
        parameters += weights + 2 * layer.filters
        multiply_adds += weights * output.height * output.width
    return Cost(parameters=parameters, multiply_adds=multiply_adds)
