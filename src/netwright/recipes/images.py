"""Somebody's own images."""

from __future__ import annotations

from netwright.config import (
    DepthSchedule,
    ExperimentConfig,
    ImageDataSettings,
    ImageTraining,
    LearnerSettings,
    SearchSettings,
)
from netwright.spaces.conv import ConvSpace


def images() -> ExperimentConfig:
    """Your own images, a folder per class: netwright search images --data images:DIR; overnight on one machine."""
    return ExperimentConfig(
        name="images",
        data=ImageDataSettings(source="images:images", validation=0.2, train_limit=10_000, image_size=32),
        space=ConvSpace(depth=8, filters=(16, 24, 32, 48), strides=(1, 2)),
        depth=DepthSchedule(start=4, step=2, interval=80, cap=8),
        child=ImageTraining(epochs=12, batch_size=32, learning_rate=0.05, upsample=1.125),
        controller=LearnerSettings(learning_rate=0.02),
        search=SearchSettings(trials=240, child_seconds=3600, calibrate=True),
    )
