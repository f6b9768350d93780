"""The default: a search small enough to watch."""

from __future__ import annotations

from netwright.config import (
    ExperimentConfig,
    ImageDataSettings,
    ImageTraining,
    SearchSettings,
)
from netwright.recipes.small import SMALL_STRATEGY, SMALL_VERDICT, drawn_space


def digits() -> ExperimentConfig:
    """Six-layer networks of 12,000 multiply-adds for 8x8 handwritten digits; minutes on a laptop, no download."""
    return ExperimentConfig(
        name="digits",
        # Few images, and a budget so tight that the shape decides.
        data=ImageDataSettings(source="digits", validation=0.4, train_limit=400),
        space=drawn_space(width_multiple=1),  # so few filters that multiples of 8 would leave no choice
        child=ImageTraining(
            epochs=6,
            batch_size=16,
            optimizer="muon",
            schedule="one-cycle",
            reward_epochs=1,
            upsample=1.0,
            flip=False,
            max_multiply_adds=12_000,
        ),
        strategy=SMALL_STRATEGY,
        search=SearchSettings(trials=160, child_seconds=60, controller_threads=1),
        verdict=SMALL_VERDICT,
    )
