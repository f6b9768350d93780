"""Evaluation of a convolutional architecture: build it, train it, measure it on the validation part."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from netwright.children.conv_net import ConvNet
from netwright.children.training import ImageTrainer, accuracy
from netwright.config import ImageTraining
from netwright.data.images import ImageData
from netwright.errors import ArchitectureError, DataError, OverBudgetError
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.cost import Shape, cost
from netwright.trial import Evaluation

Report = Callable[[int, float], None]
"""Called after each epoch, counted from 1, with the validation number."""


def no_report(epoch: int, valid: float) -> None:
    """Keeps quiet."""


class ImageChild:
    """A convolutional network in training.

    Args:
        architecture: What to build.
        data: What it learns from and is measured on.
        settings: How it is trained.
        device: Where.
        seed: Of its weights, the order of images and their augmentation.
    """

    def __init__(
        self, architecture: ConvArchitecture, data: ImageData, settings: ImageTraining, device: torch.device, seed: int
    ) -> None:
        self.data = data
        self.settings = settings
        self.device = device
        network = ConvNet(
            architecture,
            image_shape(data),
            data.num_classes,
            batch_norm_eps=settings.batch_norm_eps,
            generator=torch.Generator().manual_seed(derive_seed(seed, "weights")),
        )
        network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.trainer = ImageTrainer(network, data.train, settings, device=device, seed=derive_seed(seed, "training"))
        self.network = network

    @property
    def epoch(self) -> int:
        """Epochs behind it."""
        return self.trainer.epoch

    def run_epoch(self) -> float:
        """One more epoch; its mean loss in nats per image. Raises :class:`DivergedError`."""
        return self.trainer.run_epoch()

    def validate(self) -> float:
        """Accuracy on the validation part, in [0, 1]."""
        return accuracy(self.network, self.data.validation, self.settings, device=self.device)

    def test(self) -> float:
        """Accuracy on the test part, in [0, 1], in single precision so that it can be reproduced anywhere.

        Raises:
            DataError: There is no test part.
        """
        if self.data.test is None:
            raise DataError(f"{self.data.name} has no test part")
        exact = self.settings.model_copy(update={"precision": "float32"})
        return accuracy(self.network, self.data.test, exact, device=self.device)

    def state(self) -> dict[str, Tensor]:
        """See :meth:`ImageTrainer.state`."""
        return self.trainer.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """See :meth:`ImageTrainer.load_state`."""
        self.trainer.load_state(state)


class ImageEvaluator:
    """Trains convolutional children on images.

    Args:
        data: What they learn from; its test part is never looked at.
        settings: How they are trained.
        device: Where.
    """

    def __init__(self, data: ImageData, settings: ImageTraining, device: str = "cpu") -> None:
        self.data = data
        self.settings = settings
        self.device = device

    def begin(self, architecture: Architecture, seed: int) -> ImageChild:
        """A child before its first epoch.

        Raises:
            ArchitectureError: It is no convolutional network.
            OverBudgetError: More parameters or multiply-adds than the settings allow.
        """
        if not isinstance(architecture, ConvArchitecture):
            raise ArchitectureError(f"expected a convolutional network, got kind {architecture.kind!r}")
        price = cost(architecture, image_shape(self.data), self.data.num_classes)
        _check("parameters", price.parameters, self.settings.max_parameters)
        _check("multiply_adds", price.multiply_adds, self.settings.max_multiply_adds)
        return ImageChild(architecture, self.data, self.settings, torch.device(self.device), seed)

    def evaluate(self, architecture: Architecture, seed: int, report: Report = no_report) -> Evaluation:
        """Trains one child from scratch.

        Args:
            architecture: A convolutional one.
            seed: Of its weights, the order of images and their augmentation.
            report: Told the validation accuracy after each epoch.

        Returns:
            ``valid`` is the best validation accuracy of the last ``reward_epochs`` epochs, in [0, 1].

        Raises:
            OverBudgetError: More parameters or multiply-adds than the settings allow.
            DivergedError: The loss is no longer a finite number.
        """
        child = self.begin(architecture, seed)
        curve: list[float] = []
        for _ in range(self.settings.epochs):
            loss = child.run_epoch()
            curve.append(child.validate())
            report(child.epoch, curve[-1])
        price = cost(child.network.architecture, image_shape(self.data), self.data.num_classes)
        return Evaluation(
            valid=max(curve[-self.settings.reward_epochs :]),
            metrics={"parameters": price.parameters, "multiply_adds": price.multiply_adds, "train_loss": loss},
            curve=tuple(curve),
        )


def image_shape(data: ImageData) -> Shape:
    """What a network for this data reads."""
    return Shape(data.channels, data.height, data.width)


def _check(what: str, value: int, limit: int | None) -> None:
    if limit is not None and value > limit:
        raise OverBudgetError(f"{value:,} {what}, more than child.max_{what} = {limit:,}")
