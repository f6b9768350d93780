"""The convolutional search space: filters, strides and anchors per layer (Zoph & Le 2017, sec. 3.1, 3.3 and 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any, ClassVar, Literal, get_args

from pydantic import ConfigDict

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import (
    MAX_FILTER_SIDE,
    MAX_FILTERS,
    MAX_LAYERS,
    MAX_STRIDE,
    Architecture,
    ConvArchitecture,
    ConvLayer,
    LayerActivation,
    LayerType,
    Pooling,
)
from netwright.spaces.base import SearchSpace
from netwright.spaces.features import layer_features
from netwright.spaces.grammar import (
    MAX_ANCHOR_BITS,
    Anchor,
    Choice,
    Option,
    Plan,
    Tokens,
    check_options,
    check_tokens,
)

POOLING = Choice("pooling", (0, 1))
"""Whether a 2x2 pooling follows a prediction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvSpace(SearchSpace):
    """Convolutional networks, a few decisions per layer.

    The size of a plan is its number of predictions. One prediction describes ``block`` layers with the same filters: a
    single layer in the paper's first two variants, three densely connected ones in the variant with pooling.

    Attributes:
        depth: Predictions at full size.
        kind: Tells spaces apart in a configuration file.
        layer_types: Options for the type of a layer; a single one is fixed and costs no decision. The paper names layer
            types as an extension, each with a step of the controller before the layer's numbers (sec. 3.3).
        filter_heights: Options for the filter height, in pixels.
        filter_widths: Options for the filter width, in pixels.
        filters: Options for the number of filters.
        strides: Options for the stride down and across, in pixels; a single one is fixed and costs no decision.
        anchors: Whether skip connections are decided. Without them each layer is fed by the one before it.
        anchor_position: The anchor's place in a layer's decisions: before the number of filters, or last (the paper's
            Figure 4 shows both).
        block: Layers per prediction.
        pool_after: Numbers of predictions after which a 2x2 pooling halves the map.
        pool_decided: Whether each prediction but the last decides if a pooling follows it; takes the place of
            ``pool_after``.
        fill: Whether all numbers of filters are scaled by one factor until the network just fits those of
            ``child.max_multiply_adds``, ``max_parameters`` and ``max_activation_bytes`` that are set: the controller
            then decides shapes, and every child uses the whole budget. See
            :class:`netwright.spaces.fill.FilledSpace`.
        width_multiple: What the numbers of filters of a filled network are multiples of, as far as the budget allows;
            see :class:`netwright.spaces.fill.Budget`.
        skip_over_pool: What a skip connection over a pooling brings: with ``pad`` the full map, smaller ones padded
            with zeros (the paper's rule for sizes that differ); with ``pool`` the map pooled as often as lies between.
        extra_filters: Added to every number of filters when decoding ("+ more filters", sec. 4.1).
        activation: What ends every layer, of the searched networks and of the built-in references: ``relu`` (the
            paper's) or ``gelu``; see :class:`~netwright.spaces.architecture.ConvArchitecture`.
        pooling: What a pooling layer makes of four pixels, in all of them, too: ``max`` or ``average``.

    Raises:
        ValueError: Options, depth or blocks that make no network.
    """

    # Read by pydantic where a space stands in a configuration file.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    depth: int
    kind: Literal["conv"] = "conv"
    layer_types: tuple[LayerType, ...] = ("conv",)
    filter_heights: tuple[int, ...] = (1, 3, 5, 7)
    filter_widths: tuple[int, ...] = (1, 3, 5, 7)
    filters: tuple[int, ...] = (24, 36, 48, 64)
    strides: tuple[int, ...] = (1,)
    anchors: bool = True
    anchor_position: Literal["before_filters", "last"] = "before_filters"
    block: int = 1
    pool_after: tuple[int, ...] = ()
    pool_decided: bool = False
    fill: bool = False
    width_multiple: int = 1
    skip_over_pool: Literal["pad", "pool"] = "pad"
    extra_filters: int = 0
    activation: LayerActivation = "relu"
    pooling: Pooling = "max"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("filter_heights", 1, MAX_FILTER_SIDE),
            ("filter_widths", 1, MAX_FILTER_SIDE),
            ("filters", 1, MAX_FILTERS - self.extra_filters),
            ("strides", 1, MAX_STRIDE),
        ):
            options: tuple[int, ...] = getattr(self, name)
            if not options or len(set(options)) < len(options) or not low <= min(options) <= max(options) <= high:
                raise ValueError(f"{name}: expected distinct options from {low} to {high}, got {list(options)}")
        check_options("layer_types", self.layer_types)
        for name, allowed in (("activation", get_args(LayerActivation)), ("pooling", get_args(Pooling))):
            if (given := getattr(self, name)) not in allowed:
                raise ValueError(f"{name}: expected {' or '.join(allowed)}, got {given!r}")
        if self.extra_filters < 0:
            raise ValueError(f"extra_filters: expected 0 or more, got {self.extra_filters}")
        if not 1 <= self.width_multiple <= MAX_FILTERS:
            raise ValueError(f"width_multiple: expected 1 to {MAX_FILTERS}, got {self.width_multiple}")
        if self.block < 1:
            raise ValueError(f"block: expected at least 1 layer, got {self.block}")
        if not 1 <= self.depth <= self._most:
            raise ValueError(f"depth: expected 1 to {self._most} predictions, got {self.depth}")
        if list(self.pool_after) != sorted(set(self.pool_after)) or min(self.pool_after, default=1) < 1:
            raise ValueError(f"pool_after: expected ascending, distinct numbers from 1, got {list(self.pool_after)}")
        if self.pool_after and self.pool_decided:
            raise ValueError(f"pool_after: expected none where pool_decided is on, got {list(self.pool_after)}")

    @property
    def scaled_by(self) -> str | None:
        """See :attr:`SearchSpace.scaled_by`."""
        return None if self.fill else "space.fill=true"

    @property
    def _most(self) -> int:
        """The largest depth that an architecture, and an anchor's token, can hold."""
        most = MAX_LAYERS // self.block
        return min(most, MAX_ANCHOR_BITS + 1) if self.anchors else most

    @property
    def _steps(self) -> int:
        """Tokens of each prediction but the last."""
        return sum(1 for _ in self._decisions(0, last=False))

    def _check_depth(self, depth: int) -> None:
        if depth > self._most:
            raise ArchitectureError(f"expected at most {self._most} predictions (layers, or blocks), got {depth}")

    def plan(self, size: int | None = None) -> Plan:
        """The decisions of a network of ``size`` predictions; see :meth:`SearchSpace.plan`."""
        depth = self.depth if size is None else size
        if not 1 <= depth <= self._most:
            raise ValueError(f"expected a depth of at least 1 and at most {self._most}, got {depth}")
        return tuple(chain.from_iterable(self._decisions(n, last=n == depth - 1) for n in range(depth)))

    def _decisions(self, layer: int, *, last: bool) -> Iterator[Choice | Anchor]:
        if len(self.layer_types) > 1:
            yield Choice("layer_type", self.layer_types)
        yield Choice("filter_height", self.filter_heights)
        yield Choice("filter_width", self.filter_widths)
        if len(self.strides) > 1:
            yield Choice("stride_height", self.strides)
            yield Choice("stride_width", self.strides)
        if self.anchors and self.anchor_position == "before_filters":
            yield Anchor(layer)
        yield Choice("filters", self.filters)
        if self.anchors and self.anchor_position == "last":
            yield Anchor(layer)
        if self.pool_decided and not last:
            yield POOLING

    def plan_of(self, tokens: Sequence[int]) -> Plan:
        """The decisions of a string's own number of predictions; see :meth:`SearchSpace.plan_of`."""
        return self.plan(self._depth_of(tokens))

    def _depth_of(self, tokens: Sequence[int]) -> int:
        steps = self._steps
        # The last prediction has one token less where the others decide about pooling.
        depth, rest = divmod(len(tokens) + self.pool_decided, steps)
        if rest or not depth:
            expected = f"a positive multiple of {steps} tokens{', less one' if self.pool_decided else ''}"
            raise ArchitectureError(f"expected {expected}, got {len(tokens)}")
        self._check_depth(depth)
        return depth

    def decode(self, tokens: Sequence[int]) -> ConvArchitecture:
        """The network that ``tokens`` describe; see :meth:`SearchSpace.decode`."""
        steps, depth = self._steps, self._depth_of(tokens)
        plan = self.plan(depth)
        tokens = check_tokens(plan, tokens)
        layers: list[ConvLayer] = []
        pool_after = [n for n in self.pool_after if n < depth]
        for prediction in range(depth):
            span = slice(prediction * steps, (prediction + 1) * steps)
            meaning = dict(_meanings(plan[span], tokens[span]))
            if meaning.pop(POOLING.kind, 0):
                pool_after.append(prediction + 1)
            layers += self._block(prediction, meaning)
        return ConvArchitecture(
            layers=tuple(layers),
            pool_after=tuple(n * self.block - 1 for n in pool_after),
            skip_over_pool=self.skip_over_pool,
            activation=self.activation,
            pooling=self.pooling,
        )

    def _block(self, prediction: int, meaning: dict[str, Any]) -> Iterator[ConvLayer]:
        """The layers of one prediction: the first is fed by earlier blocks' last layers, the others by the block."""
        first = prediction * self.block
        chain = (prediction - 1,) if prediction else ()
        sources = meaning.pop("anchor", chain)
        stride = self.strides[0]
        shape = {"layer_type": self.layer_types[0], "stride_height": stride, "stride_width": stride} | meaning
        shape["filters"] += self.extra_filters
        for position in range(self.block):
            if position == 0:
                inputs = tuple(source * self.block + self.block - 1 for source in sources)
            else:
                inputs = tuple(range(first, first + position))
            yield ConvLayer(inputs=inputs, **shape)

    def encode(self, architecture: Architecture) -> Tokens:
        """The tokens of a network of this space; see :meth:`SearchSpace.encode`."""
        if not isinstance(architecture, ConvArchitecture):
            raise ArchitectureError(f"expected a convolutional network, got kind {architecture.kind!r}")
        depth, rest = divmod(len(architecture.layers), self.block)
        if rest:
            raise ArchitectureError(f"expected a multiple of {self.block} layers, got {len(architecture.layers)}")
        self._check_depth(depth)
        tokens: list[int] = []
        for prediction in range(depth):
            layer = architecture.layers[prediction * self.block]
            for decision in self._decisions(prediction, last=prediction == depth - 1):
                if decision is POOLING:
                    tokens.append(int((prediction + 1) * self.block - 1 in architecture.pool_after))
                elif isinstance(decision, Anchor):
                    tokens.append(decision.token([source // self.block for source in layer.inputs]))
                elif decision.kind == "filters":
                    tokens.append(decision.token(layer.filters - self.extra_filters))
                else:
                    tokens.append(decision.token(getattr(layer, decision.kind)))
        # Whatever the tokens cannot express (a stride, a skip into the middle of a block) shows as a difference here.
        if self.decode(tokens) != architecture:
            raise ArchitectureError(
                "the network has connections, strides, pooling or an activation that this space cannot express"
            )
        return tuple(tokens)

    def features(self, plan: Plan, tokens: Tokens) -> tuple[float, ...]:
        """See :func:`~netwright.spaces.features.layer_features`."""
        return layer_features(self.decode(tokens))

    def names(self) -> tuple[str, ...]:
        """What each decision is about; see :meth:`SearchSpace.names`."""
        said = {"anchor": "inputs of", POOLING.kind: f"{POOLING.kind} after"}
        word = "layer" if self.block == 1 else "block"
        return tuple(
            f"{said.get(decision.kind, decision.kind.replace('_', ' ') + ' of')} {word} {number}"
            for number in range(self.depth)
            for decision in self._decisions(number, last=number == self.depth - 1)
        )

    def cross(self, tokens: Tokens, donor: Tokens, random: Random) -> Tokens:
        """``tokens`` with some consecutive predictions of ``donor`` in the same places.

        In the same place an anchor has as many bits, and a pooling follows the same prediction. See
        :class:`netwright.spaces.base.Crossable`.
        """
        shared = min(len(tokens), len(donor))
        predictions = -(-shared // self._steps)
        first = random.randrange(predictions)
        end = random.randrange(first, predictions) + 1
        span = slice(first * self._steps, min(end * self._steps, shared))
        return (*tokens[: span.start], *donor[span], *tokens[span.stop :])


def _meanings(plan: Plan, tokens: Sequence[int]) -> Iterator[tuple[str, Option | tuple[int, ...]]]:
    """What each token of one layer means, by kind of decision."""
    for decision, token in zip(plan, tokens, strict=True):
        meaning = decision.chosen(token) if isinstance(decision, Anchor) else decision.options[token]
        yield decision.kind, meaning
