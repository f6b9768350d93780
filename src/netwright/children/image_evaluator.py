"""Evaluation of a convolutional architecture: build it, train it, measure it on the validation part."""

from __future__ import annotations

import copy
from dataclasses import asdict
from functools import cached_property, partial
from typing import Self

import torch

from netwright.children.child import Child
from netwright.children.conv_net import ConvNet
from netwright.children.devices import use
from netwright.children.image_training import (
    ImageTrainer,
    confusion,
    half_precision,
    in_single_precision,
    measured,
    measured_in_blocks,
)
from netwright.children.latency import image_latency, latency_of_child, refuse_excess, without_latency_limit
from netwright.children.map_operations import compile_kernels
from netwright.config import ImageTraining
from netwright.data.images import ImageData, ImageSplit
from netwright.data.splits import stratified_order
from netwright.errors import ArchitectureError
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.cost import Shape, cost
from netwright.trial import Evaluation, Report, announce, no_report

MOST_APART = 0.1
"""Share of the images by which a class may be more or less frequent among those that are watched."""


class ImageEvaluator:
    """Trains convolutional children on images.

    Args:
        data: What they learn from; its test part is looked at by :meth:`evaluate_and_test` alone.
        settings: How they are trained.
        device: Where.

    Attributes:
        device_share: Of the memory of a graphics card, what these children may take; other workers have the rest.
    """

    def __init__(self, data: ImageData, settings: ImageTraining, device: str = "cpu") -> None:
        self.data = data
        self.settings = settings
        self.device = device
        self.device_share = 1.0

    @cached_property
    def _watched(self) -> ImageSplit:
        """The same tensors for all children, so that a device gets them once."""
        return watched(self.data.validation, self.settings.watch_limit)

    def warm_up(self) -> None:
        """Compiles what children on a CPU run; see :class:`netwright.search.executor.WarmingUp`."""
        device = torch.device(self.device)
        if device.type == "cpu":
            compile_kernels(half_precision(device, self.settings) or torch.float32)

    def begin(self, architecture: Architecture, seed: int) -> Child[ConvNet]:
        """A child before its first epoch; measured as ``settings.measure`` says, in [0, 1].

        Raises:
            ArchitectureError: It is no convolutional network.
            OverBudgetError: More parameters, multiply-adds or memory than the settings allow.
        """
        if not isinstance(architecture, ConvArchitecture):
            raise ArchitectureError(f"expected a convolutional network, got kind {architecture.kind!r}")
        data, settings, device = self.data, self.settings, torch.device(self.device)
        use(device, self.device_share)
        price = cost(architecture, image_shape(data), data.num_classes)
        refuse_excess(asdict(price), settings)
        network = ConvNet(
            architecture,
            image_shape(data),
            data.num_classes,
            batch_norm_eps=settings.batch_norm_eps,
            generator=torch.Generator().manual_seed(derive_seed(seed, "weights")),
        )
        network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.compile:
            network.compile()  # in place, so that the names of its weights stay

        exact = in_single_precision(settings)

        def worth(split: ImageSplit, settings: ImageTraining) -> float:
            return measured(network, split, settings, classes=data.num_classes, device=device)

        def in_blocks(split: ImageSplit) -> tuple[float, ...]:
            return measured_in_blocks(network, split, exact, device=device)

        def confused(split: ImageSplit) -> list[list[int]]:
            return confusion(network, split, exact, classes=data.num_classes, device=device)

        return Child(
            network=network,
            trainer=ImageTrainer(network, data.train, settings, device=device, seed=derive_seed(seed, "training")),
            validate=partial(worth, data.validation, settings),
            test=None if data.test is None else partial(worth, data.test, exact),
            confusion=None if data.test is None else partial(confused, data.test),
            watch=lambda: worth(self._watched, settings),
            blocks=None if data.test is None else partial(in_blocks, data.test),
        )

    def lenient(self) -> Self:
        """The same, which measures the latency if this does, and refuses nothing for it."""
        other = copy.copy(self)
        other.settings = without_latency_limit(self.settings)
        return other

    def evaluate(self, architecture: Architecture, seed: int, report: Report = no_report) -> Evaluation:
        """Trains one child from scratch.

        Args:
            architecture: A convolutional one.
            seed: Of its weights, the order of images and their augmentation.
            report: Told the validation number after each epoch.

        Returns:
            ``valid`` is the best validation number of the last ``reward_epochs`` epochs, in [0, 1]. The weights, and
            with them any test number, are those of the last epoch.

        Raises:
            OverBudgetError: It costs more than the settings allow.
            DivergedError: The loss is no longer a finite number.
        """
        return self._measured(self.begin(architecture, seed), report)

    def evaluate_and_test(self, architecture: Architecture, seed: int, report: Report = no_report) -> Evaluation:
        """As :meth:`evaluate`, and looks at the test part once; see :class:`netwright.search.executor.Examiner`.

        The number there is the metric ``test``, where the data has such a part.
        """
        child = self.begin(architecture, seed)
        return child.tested(self._measured(child, report))

    def _measured(self, child: Child[ConvNet], report: Report) -> Evaluation:
        settings = self.settings
        shape = image_shape(self.data)
        latency = latency_of_child(settings, lambda: image_latency(child.network, shape, settings.latency))
        costs = {**asdict(cost(child.network.architecture, shape, self.data.num_classes)), **latency}
        announce(report, costs)
        curve, loss = child.train(settings.epochs, report, watched=settings.epochs - settings.reward_epochs)
        return Evaluation(
            valid=max(curve[-settings.reward_epochs :]),
            metrics={**costs, "train_loss": loss},
            curve=curve,
        )


def watched(split: ImageSplit, limit: int | None) -> ImageSplit:
    """The images that all epochs but the last are measured on: the first, or others that have each class in its share.

    What a search holds out is in an order whose every beginning has all classes in their shares; a part that somebody
    brought lies as its files do, often class by class.
    """
    first = split.first(limit)
    here, all_ = (part.labels.bincount(minlength=int(split.labels.max()) + 1) / len(part) for part in (first, split))
    if (here - all_).abs().max() <= MOST_APART:
        return first
    return split.take(stratified_order(split.labels, seed=0)[:limit])


def image_shape(data: ImageData) -> Shape:
    """What a network for this data reads."""
    return Shape(data.channels, data.height, data.width)
