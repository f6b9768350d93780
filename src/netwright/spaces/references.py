"""Networks that people draw by hand: what a found network has to be better than.

Each is a shape, with widths as proportions, that :func:`netwright.spaces.fill.fill` scales to the budget of a recipe,
so that found and drawn networks cost the same. They are drawn as their papers have them, cut to a few layers: with two
poolings, as for small images, and with one behind nearly every layer, which is better by far where a budget is tight.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netwright.errors import UsageError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer

SMALL, MIDDLE, LARGE = 24, 48, 64
"""Filters before the first pooling, between the two, and behind the second."""

OFTEN = (1, 2, 3, 4)
"""Pooled behind each layer but the first and the last, as a VGG is until one pixel is left."""


def vgg() -> ConvArchitecture:
    """Six 3x3 layers, two before each pooling, wider behind it (Simonyan & Zisserman 2015)."""
    return _network(_chain(6), _widths(6), pool_after=(1, 3))


def vgg_pointwise() -> ConvArchitecture:
    """As ``vgg``, with a 1x1 layer at the end (Lin et al. 2014)."""
    return _network(_chain(6), _widths(6), pool_after=(1, 3), sides=(3, 3, 3, 3, 3, 1))


def vgg_skips() -> ConvArchitecture:
    """As ``vgg``; each pair of layers is also skipped, its input concatenated to its output."""
    inputs = ((), (0,), (0, 1), (2,), (1, 2, 3), (4,))
    return _network(inputs, _widths(6), pool_after=(1, 3))


def separable() -> ConvArchitecture:
    """As ``vgg-skips``, with separable layers behind the first (Chollet 2017; for small devices Howard et al. 2017)."""
    plain = vgg_skips()
    first, *others = plain.layers
    layers = (first, *(layer.model_copy(update={"layer_type": "separable"}) for layer in others))
    return plain.model_copy(update={"layers": layers})


def vgg_pooled() -> ConvArchitecture:
    """As ``vgg``, pooled behind each layer from the second on."""
    return _pooled_often(vgg())


def vgg_pointwise_pooled() -> ConvArchitecture:
    """As ``vgg-pointwise``, pooled behind each layer from the second on."""
    return _pooled_often(vgg_pointwise())


def separable_pooled() -> ConvArchitecture:
    """As ``separable``, pooled behind each layer from the second on, as networks for small devices are early."""
    return _pooled_often(separable())


def dense() -> ConvArchitecture:
    """Every layer reads all earlier ones (Huang et al. 2017)."""
    return _network(tuple(tuple(range(n)) for n in range(6)), (SMALL,) * 6, pool_after=(1, 3))


def chain() -> ConvArchitecture:
    """Six 3x3 layers of one width, without pooling."""
    return _network(_chain(6), (SMALL,) * 6)


def resnet() -> ConvArchitecture:
    """A stem and three blocks of two 3x3 layers, each added to its input (He et al. 2016)."""
    inputs = ((), (0,), (1,), (0, 2), (3,), (0, 2, 4), (5,))
    widths = (SMALL, SMALL, SMALL, MIDDLE, MIDDLE, LARGE, LARGE)
    return _network(inputs, widths, pool_after=(2, 4), joins="add")


def resnet_pooled() -> ConvArchitecture:
    """As ``resnet``, with the stem pooled, too, as it is for large images."""
    return resnet().model_copy(update={"pool_after": (0, 2, 4)})


def is_file(given: str) -> bool:
    """Whether a reference is given as an architecture file, and not by its name."""
    return given.endswith(".json")


def reference_name(given: str) -> str:
    """What a reference is called: by its own name, or by that of its file."""
    return Path(given).stem if is_file(given) else given


REFERENCES = {
    "vgg": vgg,
    "vgg-pointwise": vgg_pointwise,
    "vgg-skips": vgg_skips,
    "separable": separable,
    "vgg-pooled": vgg_pooled,
    "vgg-pointwise-pooled": vgg_pointwise_pooled,
    "separable-pooled": separable_pooled,
    "dense": dense,
    "chain": chain,
    "resnet": resnet,
    "resnet-pooled": resnet_pooled,
}


def reference(name: str) -> ConvArchitecture:
    """The shape of a built-in reference.

    Raises:
        UsageError: There is none of that name; the message lists them.
    """
    if name not in REFERENCES:
        raise UsageError(f"no reference {name!r}; there are {', '.join(REFERENCES)}")
    return REFERENCES[name]()


def _pooled_often(architecture: ConvArchitecture) -> ConvArchitecture:
    return architecture.model_copy(update={"pool_after": OFTEN})


def _chain(depth: int) -> tuple[tuple[int, ...], ...]:
    """Each layer reads the one before it."""
    return ((), *((layer,) for layer in range(depth - 1)))


def _widths(depth: int) -> tuple[int, ...]:
    """A third of the layers of each width."""
    return tuple((SMALL, MIDDLE, LARGE)[3 * layer // depth] for layer in range(depth))


def _network(
    inputs: Sequence[tuple[int, ...]],
    filters: Sequence[int],
    *,
    pool_after: tuple[int, ...] = (),
    sides: Sequence[int] | None = None,
    joins: str = "concatenate",
) -> ConvArchitecture:
    layers = tuple(
        ConvLayer(filter_height=side, filter_width=side, filters=width, inputs=sources)
        for sources, width, side in zip(inputs, filters, sides or [3] * len(filters), strict=True)
    )
    fields = {"layers": layers, "pool_after": pool_after, "skip_over_pool": "pool", "joins": joins}
    return ConvArchitecture.model_validate(fields)
