"""Networks of one price: all widths scaled together until a network just fits a budget.

Where a budget is tight, what distinguishes networks is their shape. Drawn freely, half of all networks are over the
budget and most of the others far below it; scaled, every one uses the whole of it, references and found ones alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import MAX_FILTERS, Architecture, ConvArchitecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape, cost
from netwright.spaces.features import layer_features
from netwright.spaces.grammar import Plan, Tokens

SCALED_TO = ("multiply_adds", "parameters", "activation_bytes")
"""Costs that widths are scaled to: those that are known before a network is built."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a network may cost, and on what.

    Attributes:
        multiply_adds: The most, per image; None sets no limit.
        parameters: The most; None sets no limit.
        activation_bytes: The most, as :class:`netwright.spaces.cost.Cost` has them; None sets no limit.
        image: Channels, rows and columns of the images.
        classes: Number of classes.
        width_multiple: What numbers of filters are multiples of, as far as the budget allows. Vector instructions take
            8 single-precision numbers at a time: 13 filters cost as much time as 16.
    """

    multiply_adds: int | None = None
    parameters: int | None = None
    activation_bytes: int | None = None
    image: Shape
    classes: int
    width_multiple: int = 1

    def allows(self, architecture: ConvArchitecture) -> bool:
        """Whether a network fits."""
        costs = cost(architecture, self.image, self.classes)
        return all(getattr(costs, name) <= limit for name, limit in self.limits.items())

    @property
    def limits(self) -> dict[str, int]:
        """Those that are set, by the name of the cost."""
        named = {name: getattr(self, name) for name in SCALED_TO}
        return {name: limit for name, limit in named.items() if limit is not None}


def fill(architecture: ConvArchitecture, budget: Budget) -> ConvArchitecture:
    """The network with its numbers of filters scaled by one factor until it just fits, then single layers widened.

    The proportions of the widths are kept as well as multiples of ``budget.width_multiple`` allow: what rounding has
    left over goes to one layer after the other, to the one that is furthest below its share first, as long as that
    fits. Strides, filter sizes, connections and poolings stay. Where the narrowest such network is over the budget, the
    multiple is halved; where not even one filter per layer fits, that network is returned, and is over the budget.
    """
    shares = [layer.filters for layer in architecture.layers]

    @cache
    def fit(widths: tuple[int, ...]) -> bool:
        return budget.allows(with_filters(architecture, widths))

    step = budget.width_multiple
    while step > 1 and not fit((step,) * len(shares)):
        step //= 2
    most = MAX_FILTERS - MAX_FILTERS % step

    def scaled(factor: float) -> tuple[int, ...]:
        return tuple(min(max(int(factor * share / step), 1) * step, most) for share in shares)

    low, high = 0.0, 1.0
    while fit(scaled(high)) and high * max(shares) < most:
        low, high = high, 2 * high
    while scaled(low) != scaled(high) and high - low > 1e-9 * high:
        middle = (low + high) / 2
        if fit(scaled(middle)):
            low = middle
        else:
            high = middle
    widths = scaled(low)
    open_layers = set(range(len(shares))) if fit(widths) else set()
    while open_layers:
        index = min(open_layers, key=lambda i: (widths[i] / shares[i], i))
        wider = (*widths[:index], widths[index] + step, *widths[index + 1 :])
        if widths[index] < most and fit(wider):
            widths = wider
        else:
            open_layers.remove(index)
    return with_filters(architecture, widths)


def with_filters(architecture: ConvArchitecture, filters: Sequence[int]) -> ConvArchitecture:
    """The network with other numbers of filters, one for each layer."""
    layers = zip(architecture.layers, filters, strict=True)
    changed = tuple(layer.model_copy(update={"filters": number}) for layer, number in layers)
    return architecture.model_copy(update={"layers": changed})


@dataclass(frozen=True, kw_only=True, slots=True)
class FilledSpace(SearchSpace):
    """A convolutional space whose networks all fill one budget; its numbers of filters are proportions.

    Attributes:
        shapes: Writes the networks before they are scaled.
        budget: What they are scaled to.
    """

    shapes: ConvSpace
    budget: Budget

    def plan(self, size: int | None = None) -> Plan:
        """See :meth:`SearchSpace.plan`."""
        return self.shapes.plan(size)

    def plan_of(self, tokens: Sequence[int]) -> Plan:
        """See :meth:`SearchSpace.plan_of`."""
        return self.shapes.plan_of(tokens)

    def decode(self, tokens: Sequence[int]) -> ConvArchitecture:
        """The network that ``tokens`` describe, scaled; see :meth:`SearchSpace.decode`."""
        return fill(self.shapes.decode(tokens), self.budget)

    def encode(self, architecture: Architecture) -> Tokens:
        """Tokens of a network of this space; of several that give it, the first that are found.

        Whole numbers of filters do not tell the factor, so factors that some layer's option would need are tried.

        Raises:
            ArchitectureError: None gives the network back: its widths are in no proportions of this space, or are so
                small that rounding has hidden them.
        """
        if not isinstance(architecture, ConvArchitecture):
            raise ArchitectureError(f"expected a convolutional network, got kind {architecture.kind!r}")
        widths = [layer.filters for layer in architecture.layers]
        offsets = [self.budget.width_multiple * quarter / 4 for quarter in range(4)]
        factors = {(width + offset) / share for width in widths for share in self._shares for offset in offsets}
        tried = set()
        for factor in sorted(factors):
            for offset in offsets:
                shares = tuple(self._nearest((width + offset) / factor) for width in widths)
                if shares not in tried:
                    tried.add(shares)
                    tokens = self.shapes.encode(with_filters(architecture, shares))
                    if self.decode(tokens) == architecture:
                        return tokens
        raise ArchitectureError("the network's widths are not in proportions of this space, scaled to its budget")

    @property
    def _shares(self) -> list[int]:
        """The numbers of filters before scaling."""
        return [option + self.shapes.extra_filters for option in self.shapes.filters]

    def _nearest(self, wanted: float) -> int:
        return min(self._shares, key=lambda share: abs(share - wanted))

    def features(self, plan: Plan, tokens: Tokens) -> tuple[float, ...]:
        """See :func:`~netwright.spaces.features.layer_features`; of the network as it is scaled."""
        return layer_features(self.decode(tokens))

    def nearest_form(self, tokens: Tokens, other: Tokens) -> Tokens:
        """``other`` with those numbers of filters of ``tokens`` that make no difference once they are scaled.

        Several proportions are one network where rounding hides what is between them. All numbers are tried together,
        then one after the other; see :meth:`SearchSpace.nearest_form`.
        """
        network, form = self.decode(other), other
        widths = [step for step, decision in enumerate(self.plan()) if decision.kind == "filters"]
        for steps in (widths, *([step] for step in widths)):
            tried = tuple(tokens[step] if step in steps else token for step, token in enumerate(form))
            if tried != form and self.decode(tried) == network:
                form = tried
        return form

    def names(self) -> tuple[str, ...]:
        """See :meth:`SearchSpace.names`."""
        return self.shapes.names()

    def cross(self, tokens: Tokens, donor: Tokens, random: Random) -> Tokens:
        """See :meth:`netwright.spaces.conv.ConvSpace.cross`; what comes of it is filled, as any string."""
        return self.shapes.cross(tokens, donor, random)

    def encode_shape(self, architecture: Architecture) -> Tokens:
        """The tokens of a network by its shape before scaling, whose widths are options as they stand."""
        return self.shapes.encode(architecture)
