"""The default: a search small enough to watch."""

from __future__ import annotations

from netwright.config import (
    ExperimentConfig,
    ImageDataSettings,
    ImageTraining,
    LearnerSettings,
    SearchSettings,
)
from netwright.spaces.conv import ConvSpace


def digits() -> ExperimentConfig:
    """Four-layer networks for 8x8 handwritten digits; minutes on a laptop, no download."""
    return ExperimentConfig(
        name="digits",
        # Few images and epochs, so that good and bad architectures come out far apart.
        data=ImageDataSettings(source="digits", validation=0.4, train_limit=400),
        space=ConvSpace(depth=4, filters=(8, 16, 24, 32)),
        child=ImageTraining(epochs=4, batch_size=32, upsample=1.0, flip=False, reward_epochs=2),
        # Thirty times the paper's step, for an eightieth of its trials.
        controller=LearnerSettings(learning_rate=0.02),
        search=SearchSettings(trials=160, child_seconds=60),
    )
