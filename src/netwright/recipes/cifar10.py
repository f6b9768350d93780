"""The paper's experiments on CIFAR-10 (Zoph & Le 2017, sec. 4.1), complete, and one at the size of two cores."""

from __future__ import annotations

from netwright.config import (
    DataSettings,
    DepthSettings,
    ExperimentConfig,
    ImageTraining,
    LearnerSettings,
    SearchSettings,
)
from netwright.spaces.conv import ConvSpace

PAPER_DEPTH = DepthSettings(start=6, step=2, interval=1600, cap=20)


def cifar10() -> ExperimentConfig:
    """The paper's CIFAR-10 search with fixed strides: 12,800 children of 50 epochs, for a cluster."""
    return ExperimentConfig(
        name="cifar10",
        data=DataSettings(source="cifar10", validation=5000),
        space=ConvSpace(depth=20),
        depth=PAPER_DEPTH,
        search=SearchSettings(trials=12_800, child_seconds=48 * 3600),
    )


def cifar10_strides() -> ExperimentConfig:
    """The paper's CIFAR-10 search that also predicts strides."""
    return cifar10().model_copy(update={"name": "cifar10-strides", "space": ConvSpace(depth=20, strides=(1, 2, 3))})


def cifar10_pooling() -> ExperimentConfig:
    """The paper's CIFAR-10 search with two pooling layers: 13 predictions of blocks of three layers."""
    space = ConvSpace(depth=13, filters=(6, 12, 24, 36), block=3, pool_after=(4, 8))
    return cifar10().model_copy(update={"name": "cifar10-pooling", "space": space, "depth": None})


def cifar10_small() -> ExperimentConfig:
    """The method of the paper at the size of two cores: 16x16 images, 5,000 of them, 3 to 5 layers."""
    return ExperimentConfig(
        name="cifar10-small",
        data=DataSettings(source="cifar10", validation=2000, train_limit=5000, image_size=16),
        space=ConvSpace(depth=5),
        depth=DepthSettings(start=4, step=1, interval=200, cap=5),
        child=ImageTraining(epochs=8),
        controller=LearnerSettings(learning_rate=0.01),
        search=SearchSettings(trials=200, child_seconds=1800),
    )
