"""Somebody's own images."""

from __future__ import annotations

from netwright.config import (
    ExperimentConfig,
    ImageDataSettings,
    ImageTraining,
    SearchSettings,
)
from netwright.recipes.small import SMALL_STRATEGY, SMALL_VERDICT, drawn_space


def images() -> ExperimentConfig:
    """Your own images, a folder per class: search images --data images:DIR; from ten minutes to an hour and more."""
    return ExperimentConfig(
        name="images",
        # No more images than a child sees.
        data=ImageDataSettings(
            source="images:images", validation=0.25, train_limit=120_000, validation_limit=10_000, image_size=32
        ),
        space=drawn_space(),
        child=ImageTraining(
            epochs=12,
            epoch_limit=10_000,
            batch_size=32,
            optimizer="muon",
            learning_rate=0.2,
            weight_decay=1e-3,
            schedule="one-cycle",
            reward_epochs=1,
            watch_limit=1000,
            upsample=1.125,
            max_multiply_adds=2_000_000,
        ),
        strategy=SMALL_STRATEGY,
        search=SearchSettings(trials=120, child_seconds=3600, calibrate=True, controller_threads=1),
        verdict=SMALL_VERDICT,
    )
