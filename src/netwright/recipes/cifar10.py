"""The paper's experiments on CIFAR-10 (Zoph & Le 2017, sec. 4.1), complete, and one at the size of two cores."""

from __future__ import annotations

from netwright.config import (
    ClusterSettings,
    DepthSchedule,
    ExperimentConfig,
    ImageDataSettings,
    ImageTraining,
    SearchSettings,
)
from netwright.recipes.small import SMALL_STRATEGY, SMALL_VERDICT, drawn_space
from netwright.spaces.conv import ConvSpace

# The paper's 800 children at a time. Whether its replicas waited for the slowest of their eight, it does not say: going
# one batch ahead keeps the cards busy meanwhile (docs/cluster.md has the price).
PAPER_CLUSTER = ClusterSettings(shards=20, replicas=100, children=8, ahead=1, child_gpus=1.0)
PAPER_DEPTH = DepthSchedule(start=6, step=2, interval=1600, cap=20)


def cifar10() -> ExperimentConfig:
    """The paper's CIFAR-10 search with fixed strides: 12,800 children of 50 epochs, for a cluster."""
    return ExperimentConfig(
        name="cifar10",
        data=ImageDataSettings(source="cifar10", validation=5000),
        space=ConvSpace(depth=20),
        depth=PAPER_DEPTH,
        search=SearchSettings(trials=12_800, child_seconds=48 * 3600, calibrate=True),
        cluster=PAPER_CLUSTER,
    )


def cifar10_strides() -> ExperimentConfig:
    """The paper's CIFAR-10 search that also predicts strides."""
    return cifar10().model_copy(update={"name": "cifar10-strides", "space": ConvSpace(depth=20, strides=(1, 2, 3))})


def cifar10_pooling() -> ExperimentConfig:
    """The paper's CIFAR-10 search with two pooling layers: 13 predictions of blocks of three layers."""
    space = ConvSpace(depth=13, filters=(6, 12, 24, 36), block=3, pool_after=(4, 8))
    return cifar10().model_copy(update={"name": "cifar10-pooling", "space": space, "depth": None})


def cifar10_small() -> ExperimentConfig:
    """Six-layer networks of 100,000 multiply-adds for CIFAR-10 at 16x16 pixels; half an hour on two cores."""
    return ExperimentConfig(
        name="cifar10-small",
        data=ImageDataSettings(source="cifar10", validation=10_000, image_size=16),
        # A budget so tight that the shape decides: with five times as much, what people draw is as good.
        space=drawn_space(width_multiple=4),
        # Each image twice, in small batches and without a crop: in so few steps nothing is learnt by heart.
        child=ImageTraining(
            epochs=8,
            epoch_limit=10_000,
            batch_size=64,
            optimizer="muon",
            learning_rate=0.2,
            weight_decay=1e-3,
            schedule="one-cycle",
            reward_epochs=1,
            watch_limit=1000,
            upsample=1.0,
            max_multiply_adds=100_000,
        ),
        strategy=SMALL_STRATEGY,
        search=SearchSettings(trials=200, child_seconds=1800, calibrate=True, controller_threads=1),
        verdict=SMALL_VERDICT,
    )
