"""A search space of your own whose architectures are convolutional networks: the recipe's trainer can train them."""

from collections.abc import Sequence

import netwright
from netwright.errors import ArchitectureError
from netwright.spaces.architecture import Architecture, ConvArchitecture, ConvLayer
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Choice, Plan, Tokens, check_tokens

SIDES, WIDTHS, FACTORS = (1, 3, 5), (2, 4, 8), (1, 2, 3)
SIZE, FILTERS, GROWTH = Choice("filter_size", SIDES), Choice("filters", WIDTHS), Choice("growth", FACTORS)


class Pyramid(SearchSpace):
    """Three layers in a chain: one filter size for all of them, and so many times more filters from layer to layer."""

    def plan(self, size: int | None = None) -> Plan:
        """Three decisions, whatever the size."""
        return (SIZE, FILTERS, GROWTH)

    def decode(self, tokens: Sequence[int]) -> ConvArchitecture:
        """Tokens -> network."""
        size, filters, growth = check_tokens(self.plan(), tokens)
        side, width, factor = SIDES[size], WIDTHS[filters], FACTORS[growth]
        return ConvArchitecture(
            layers=(
                ConvLayer(filter_height=side, filter_width=side, filters=width),  # without inputs: from the image
                ConvLayer(filter_height=side, filter_width=side, filters=width * factor, inputs=(0,)),
                ConvLayer(filter_height=side, filter_width=side, filters=width * factor**2, inputs=(1,)),
            )
        )

    def encode(self, architecture: Architecture) -> Tokens:
        """Network -> tokens."""
        if isinstance(architecture, ConvArchitecture) and len(architecture.layers) == 3:
            first, second, _ = architecture.layers
            size, filters, growth = first.filter_height, first.filters, second.filters // first.filters
            if size in SIDES and filters in WIDTHS and growth in FACTORS:
                tokens = (SIZE.token(size), FILTERS.token(filters), GROWTH.token(growth))
                if self.decode(tokens) == architecture:
                    return tokens
        raise ArchitectureError("expected a pyramid of three layers")


def main(out: str = "runs/own-space", trials: int = 8) -> None:
    """Eight pyramids for handwritten digits."""
    # The recipe's budget and its networks drawn by hand are for its own space.
    settings = {"child.max_multiply_adds": None, "verdict": None}
    run = netwright.run_search("digits", out, space=Pyramid(), trials=trials, settings=settings)
    print(run.summary())


if __name__ == "__main__":  # worker processes import this file
    main()
