"""What the recipes for images on one machine share: a space that holds what people draw, and how it is searched."""

from __future__ import annotations

from netwright.config import StrategySettings, VerdictSettings
from netwright.spaces.conv import ConvSpace
from netwright.spaces.references import REFERENCES

# Chosen on CIFAR-10 at 16x16 pixels; docs/experiments.md has the runs.
SMALL_STRATEGY = StrategySettings(
    name="reinforce-replay",
    options={"warmup": 4, "queue": 4, "families": True, "mutants": 0.5, "screen": 16},
)

SMALL_VERDICT = VerdictSettings(references=tuple(REFERENCES), finalist_share=0.05)


def drawn_space(width_multiple: int = 8) -> ConvSpace:
    """Six layers whose shape is decided, type and place of pooling included, and whose widths fill the budget.

    The numbers of filters are proportions; multiples of 8 train a quarter faster than their neighbours, and where a
    layer has no more than a dozen, multiples of 4 leave something to choose. Skips over a pooling layer are pooled, as
    in the networks that people draw. Every layer, of the references too, ends with GELU, and pooling takes the average:
    where filters are few, that is worth 0.03 in accuracy (docs/adr/0018-activation-and-pooling.md).
    """
    return ConvSpace(
        depth=6,
        layer_types=("conv", "separable"),
        filter_heights=(1, 3, 5),
        filter_widths=(1, 3, 5),
        filters=(16, 24, 32, 48, 64),
        pool_decided=True,
        fill=True,
        width_multiple=width_multiple,
        skip_over_pool="pool",
        activation="gelu",
        pooling="average",
    )
