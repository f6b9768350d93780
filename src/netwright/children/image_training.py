"""Training of an image classifier as the paper trains its children (Zoph & Le 2017, sec. 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.augment import center_crop, crop_and_flip, enlarge, whiten
from netwright.children.devices import multiplies_bfloat16
from netwright.config import ImageTraining
from netwright.data.images import ImageSplit
from netwright.errors import DivergedError

EVALUATION_BATCH = {"cpu": 100}
"""Images per step without gradients, by type of device: on a CPU so few that what they become stays in its cache."""

WARM_UP = 0.25
"""Share of a one-cycle training in which the learning rate rises."""

LOOK_EVERY = 50
"""Steps between two looks at the loss: a child that diverges ends soon, and a graphics card seldom waits for us."""


class ImageTrainer:
    """Trains a network in place, an epoch at a time, and can be stopped and taken up again between two epochs.

    SGD with Nesterov momentum on the cross-entropy; the learning rate falls at fixed fractions of the epochs.

    Args:
        network: Images to logits; already on ``device``.
        split: What it learns from.
        settings: Rates, epochs and augmentation.
        device: Where the arithmetic is done.
        seed: Of the order of images and of the augmentation.
    """

    def __init__(
        self, network: nn.Module, split: ImageSplit, settings: ImageTraining, *, device: torch.device, seed: int
    ) -> None:
        self.network = network
        self.settings = settings
        self.device = device
        self.epoch = 0
        self._images, self._labels = split.images.to(device), split.labels.to(device)
        self._generator = torch.Generator().manual_seed(seed)
        self._optimizer = torch.optim.SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.momentum > 0,
            fused=True,
        )

    def run_epoch(self) -> float:
        """Passes over all images once.

        Returns:
            The mean loss, in nats per image.

        Raises:
            DivergedError: The loss was not a finite number.
        """
        self.network.train()
        total = torch.zeros((), device=self.device)
        batches = torch.randperm(len(self._labels), generator=self._generator).split(self.settings.batch_size)
        for number, batch in enumerate(batches, start=1):
            for group in self._optimizer.param_groups:
                group["lr"] = learning_rate_at(self.epoch + (number - 1) / len(batches), self.settings)
            if len(batch) > 1:  # a single image has no variance that batch normalisation could divide by
                total += self._step(batch) * len(batch)
            if number % LOOK_EVERY == 0:
                self._finite(total)
        mean = self._finite(total) / len(self._labels)
        self.epoch += 1
        return mean

    def _finite(self, total: Tensor) -> float:
        if not math.isfinite(sum_of_losses := total.item()):
            raise DivergedError(f"the loss of epoch {self.epoch + 1} is {sum_of_losses}")
        return sum_of_losses

    def _step(self, batch: Tensor) -> Tensor:
        """Learns from the images at the positions ``batch``; returns their mean loss."""
        height, width = self._images.shape[2:]
        images = enlarged(self._images[batch], self.settings)
        images = crop_and_flip(images, height, width, flip=self.settings.flip, generator=self._generator)
        with mixed_precision(self.device, self.settings):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), self._labels[batch])
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on, as tensors with flat names."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            if (momentum := self._optimizer.state[parameter].get("momentum_buffer")) is not None:
                state[f"momentum.{name}"] = momentum
        state["generator"] = self._generator.get_state()
        state["epoch"] = torch.tensor(self.epoch)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly."""
        prefix = "network."
        self.network.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        for name, parameter in self.network.named_parameters():
            if (momentum := state.get(f"momentum.{name}")) is not None:
                # In the layout of its weights, which a file does not keep and the fused optimizer takes for granted.
                self._optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(momentum)
        self._generator.set_state(state["generator"])
        self.epoch = int(state["epoch"])


def learning_rate_at(epochs: float, settings: ImageTraining) -> float:
    """The learning rate after so many epochs, whole and begun ones; see :class:`ImageTraining` for the schedules."""
    done = epochs / settings.epochs
    match settings.schedule:
        case "steps":
            drops = sum(int(epochs) >= round(fraction * settings.epochs) for fraction in settings.decay_at)
            return settings.learning_rate * settings.decay_by**drops
        case "cosine":
            return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
        case "one-cycle":
            rise = done / WARM_UP
            fall = (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
            return settings.learning_rate * min(rise, 1.0) * (1.0 if done < WARM_UP else fall)


@torch.inference_mode()
def accuracy(network: nn.Module, split: ImageSplit, settings: ImageTraining, *, device: torch.device) -> float:
    """The fraction of a split that ``network`` classifies correctly, on the middle crop, in [0, 1]."""
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for logits, labels in _measured(network, split, settings, device):
        correct += (logits.argmax(1) == labels).sum()
    return correct.item() / len(split)


@torch.inference_mode()
def confusion(
    network: nn.Module, split: ImageSplit, settings: ImageTraining, *, classes: int, device: torch.device
) -> list[list[int]]:
    """How many images of each class ``network`` takes for each, on the middle crop: a row for every true class."""
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    for logits, labels in _measured(network, split, settings, device):
        counts += torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes)
    rows: list[list[int]] = counts.view(classes, classes).tolist()
    return rows


@torch.inference_mode()
def probabilities(network: nn.Module, images: Tensor, settings: ImageTraining, *, device: torch.device) -> Tensor:
    """Of each class, [N, classes] on the CPU, for images uint8 [N, C, H, W]; in single precision."""
    exact = in_single_precision(settings)
    return torch.cat([logits.softmax(1).cpu() for logits in _logits(network, images, exact, device)])


def _measured(
    network: nn.Module, split: ImageSplit, settings: ImageTraining, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """The logits of a few images at a time, and their labels."""
    labels = split.labels.split(_at_a_time(device))
    for logits, some in zip(_logits(network, split.images, settings, device), labels, strict=True):
        yield logits, some.to(device)


def _logits(network: nn.Module, images: Tensor, settings: ImageTraining, device: torch.device) -> Iterator[Tensor]:
    """Of a few images at a time, on their middle crop."""
    network.eval()
    height, width = images.shape[2:]
    for some in images.split(_at_a_time(device)):
        inputs = center_crop(enlarged(some.to(device), settings), height, width)
        with mixed_precision(device, settings):
            logits: Tensor = network(inputs.contiguous(memory_format=torch.channels_last))
        yield logits


def _at_a_time(device: torch.device) -> int:
    return EVALUATION_BATCH.get(device.type, 1000)


def in_single_precision(settings: ImageTraining) -> ImageTraining:
    """The same without bfloat16, so that what is measured can be reproduced anywhere."""
    return settings.model_copy(update={"precision": "float32"})


def enlarged(images: Tensor, settings: ImageTraining) -> Tensor:
    """Whitened and enlarged, before any crop."""
    height, width = (round(side * settings.upsample) for side in images.shape[2:])
    return enlarge(whiten(images), height, width)


def mixed_precision(device: torch.device, settings: ImageTraining) -> torch.autocast:
    """Convolutions and products in bfloat16 where that is asked for, or pays."""
    bfloat16 = settings.precision == "bfloat16" or (settings.precision == "auto" and multiplies_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)
