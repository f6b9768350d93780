"""Evaluation of a convolutional architecture: build it, train it, measure it on the validation part."""

from __future__ import annotations

from collections.abc import Callable

import torch

from netwright.children.conv_net import ConvNet
from netwright.children.training import ImageTrainer, accuracy
from netwright.config import ImageTraining
from netwright.data.images import ImageData
from netwright.errors import ArchitectureError, OverBudgetError
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture, ConvArchitecture
from netwright.spaces.cost import Shape, cost
from netwright.trial import Evaluation

Report = Callable[[int, float], None]
"""Called after each epoch, counted from 1, with the validation number."""


def no_report(epoch: int, valid: float) -> None:
    """Keeps quiet."""


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
        if not isinstance(architecture, ConvArchitecture):
            raise ArchitectureError(f"expected a convolutional network, got kind {architecture.kind!r}")
        image = Shape(self.data.channels, self.data.height, self.data.width)
        price = cost(architecture, image, self.data.num_classes)
        _check("parameters", price.parameters, self.settings.max_parameters)
        _check("multiply_adds", price.multiply_adds, self.settings.max_multiply_adds)
        device = torch.device(self.device)
        network = ConvNet(
            architecture,
            image,
            self.data.num_classes,
            batch_norm_eps=self.settings.batch_norm_eps,
            generator=torch.Generator().manual_seed(derive_seed(seed, "weights")),
        )
        network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        trainer = ImageTrainer(
            network, self.data.train, self.settings, device=device, seed=derive_seed(seed, "training")
        )
        curve: list[float] = []
        for _ in range(self.settings.epochs):
            loss = trainer.run_epoch()
            curve.append(accuracy(network, self.data.validation, self.settings, device=device))
            report(len(curve), curve[-1])
        return Evaluation(
            valid=max(curve[-self.settings.reward_epochs :]),
            metrics={"parameters": price.parameters, "multiply_adds": price.multiply_adds, "train_loss": loss},
            curve=tuple(curve),
        )


def _check(what: str, value: int, limit: int | None) -> None:
    if limit is not None and value > limit:
        raise OverBudgetError(f"{value:,} {what}, more than child.max_{what} = {limit:,}")
