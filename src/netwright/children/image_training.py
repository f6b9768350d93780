"""Training of an image classifier as the paper trains its children (Zoph & Le 2017, sec. 4.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.augment import Windows, center_crop, cut, draw_windows, enlarge, whiten
from netwright.children.devices import Glance, fast_half, resident
from netwright.children.muon import Muon
from netwright.children.replay import Replay, learning_rate_on, set_learning_rate
from netwright.config import ImageTraining
from netwright.data.images import ImageSplit
from netwright.errors import DivergedError
from netwright.trial import BLOCKS

EVALUATION_BATCH = {"cpu": 100}
"""Images per step without gradients, by type of device: on a CPU so few that what they become stays in its cache."""

WARM_UP = 0.25
"""Share of a one-cycle training in which the learning rate rises."""

OPTIMIZERS = {"sgd": torch.optim.SGD, "muon": Muon}
"""What moves the weights, by its name in the settings."""

LOOK_EVERY = 50
"""Steps between two looks at the loss, so that a child that diverges ends soon."""

TO_COME = "to_come"
"""What a state calls the positions of the images that the next epochs begin with."""

SCALE = ("scale", "_growth_tracker")
"""What of a loss scaler's state changes in training."""


class ImageTrainer:
    """Trains a network in place, an epoch at a time, and can be stopped and taken up again between two epochs.

    SGD with Nesterov momentum, or what is named instead, on the cross-entropy; the learning rate goes by a schedule.

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
        self._images, self._labels = resident(split.images, device), resident(split.labels, device)
        self._generator = torch.Generator().manual_seed(seed)
        self._to_come = torch.empty(0, dtype=torch.int64)
        # A loss that is scaled for the small range of float16; in every other type it passes through as it is.
        self._scaler = torch.amp.GradScaler(device.type, enabled=half_precision(device, settings) is torch.float16)
        self._replay = Replay(device, record=not self._scaler.is_enabled())  # a scaler decides on the host
        self._optimizer = OPTIMIZERS[settings.optimizer](
            network.parameters(),
            lr=learning_rate_on(device, settings.learning_rate, recorded=self._replay.records),
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.momentum > 0,
            fused=True,
        )

    def run_epoch(self) -> float:
        """Passes once over all images, or over as many as ``epoch_limit`` says.

        Returns:
            The mean loss, in nats per image.

        Raises:
            DivergedError: The loss was not a finite number.
        """
        self.network.train()
        total, learned = torch.zeros((), device=self.device), 0
        glance = Glance(self.device)
        batches = self._plan().split(self.settings.batch_size, dim=1)
        for number, batch in enumerate(batches, start=1):
            set_learning_rate(
                self._optimizer, learning_rate_at(self.epoch + (number - 1) / len(batches), self.settings)
            )
            if (count := batch.shape[1]) > 1:  # batch normalisation cannot divide by the variance of a single image
                (loss,) = self._replay(self._learn, batch)
                total += loss * count
                learned += count
            if number % LOOK_EVERY == 0:
                self._finite(glance(total))
        mean = self._finite(total.item()) / max(learned, 1)
        self.epoch += 1
        return mean

    def _plan(self) -> Tensor:
        """What chance decides about an epoch, [4, N] on the device: which images come, and their windows.

        Drawn on the CPU, so that it is the same on every device, and sent in one piece: a copy at each step would have
        the host wait for the device.
        """
        height, width = self._images.shape[2:]
        larger = enlarged_size(height, width, self.settings)
        order = self._next_images()
        plan = torch.zeros(4, len(order), dtype=torch.int64)
        plan[0] = order
        for batch in plan.split(self.settings.batch_size, dim=1):
            if (count := batch.shape[1]) > 1:
                margins = larger[0] - height, larger[1] - width
                drawn = draw_windows(count, *margins, flip=self.settings.flip, generator=self._generator)
                batch[1], batch[2], batch[3] = drawn.top, drawn.left, drawn.mirrored
        return plan.to(self.device)

    def _next_images(self) -> Tensor:
        """The positions of the images of an epoch, in their order: all come once before one comes again."""
        images = len(self._labels)
        count = min(self.settings.epoch_limit or images, images)
        if len(self._to_come) < count:
            again = torch.randperm(images, generator=self._generator)
            self._to_come = torch.cat((self._to_come, again))
        order, self._to_come = self._to_come[:count], self._to_come[count:]
        return order

    def _finite(self, sum_of_losses: float) -> float:
        if not math.isfinite(sum_of_losses):
            raise DivergedError(f"the loss of epoch {self.epoch + 1} is {sum_of_losses}")
        return sum_of_losses

    def _learn(self, batch: Tensor) -> tuple[Tensor]:
        """Learns from the images of a part [4, n] of the plan; returns their mean loss."""
        positions, top, left, mirrored = batch
        images = self._images.index_select(0, positions)  # an index in brackets copies byte by byte
        images = enlarged(images, self.settings)
        images = cut(images, Windows(top, left, mirrored), *self._images.shape[2:])
        with mixed_precision(self.device, self.settings):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), self._labels[positions])
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return (loss.detach(),)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on, as tensors with flat names."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            if (momentum := self._optimizer.state[parameter].get("momentum_buffer")) is not None:
                state[f"momentum.{name}"] = momentum
        if scale := self._scaler.state_dict():
            state |= {f"scaler.{name}": torch.tensor(scale[name]) for name in SCALE}
        if len(self._to_come) > 0:  # none where every epoch takes all images
            state[TO_COME] = self._to_come
        state["generator"] = self._generator.get_state()
        state["epoch"] = torch.tensor(self.epoch)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly."""
        self._replay.forget()
        prefix = "network."
        self.network.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        for name, parameter in self.network.named_parameters():
            if (momentum := state.get(f"momentum.{name}")) is not None:
                # In the layout of its weights, which a file does not keep and the fused optimizer takes for granted.
                self._optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(momentum)
        if scale := self._scaler.state_dict():
            self._scaler.load_state_dict(scale | {name: state[f"scaler.{name}"].item() for name in SCALE})
        self._to_come = state.get(TO_COME, self._to_come[:0])
        self._generator.set_state(state["generator"])
        self.epoch = int(state["epoch"])


def learning_rate_at(epochs: float, settings: ImageTraining) -> float:
    """The learning rate after so many epochs, whole and begun ones; see :class:`ImageTraining` for the schedules."""
    done = epochs / settings.epochs
    match settings.schedule:
        case "steps":
            # A hair more, since 0.7 of 90 is less than 63 to a computer.
            places = [math.floor(fraction * settings.epochs + 1e-9) for fraction in settings.decay_at]
            drops = sum(epochs >= max(place, 1) for place in places)
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
    return _recognised(network, split, settings, device).sum().item() / len(split)


@torch.inference_mode()
def measured_in_blocks(
    network: nn.Module, split: ImageSplit, settings: ImageTraining, *, device: torch.device
) -> tuple[float, ...]:
    """What ``network`` is worth, as :func:`measured` says, on each of at most :data:`BLOCKS` parts of a split.

    The images of a block are chosen by chance, the same for every network. Of the balanced accuracy an image counts by
    how rare its class is in the whole split, since a block may lack classes. The mean of all blocks is what the whole
    split says: where one has an image more than another, it counts.
    """
    right = _recognised(network, split, settings, device).cpu().double()
    weights = torch.ones_like(right)
    if settings.measure != "accuracy":
        labels = split.labels.cpu()
        weights = 1.0 / labels.bincount().double()[labels]
    order = torch.randperm(len(right), generator=torch.Generator().manual_seed(0))
    count = min(BLOCKS, len(order))
    worth = right * weights * count / weights.sum()
    return tuple(worth[order[number::count]].sum().item() for number in range(count))


def _recognised(network: nn.Module, split: ImageSplit, settings: ImageTraining, device: torch.device) -> Tensor:
    """For each image of a split, bool [N], whether ``network`` classifies it correctly, on the middle crop."""
    return torch.cat([logits.argmax(1) == labels for logits, labels in _logits_of(network, split, settings, device)])


def measured(
    network: nn.Module, split: ImageSplit, settings: ImageTraining, *, classes: int, device: torch.device
) -> float:
    """What ``network`` is worth on a split by the measure that the settings name, in [0, 1]."""
    if settings.measure == "accuracy":
        return accuracy(network, split, settings, device=device)
    return mean_recall(confusion(network, split, settings, classes=classes, device=device))


def mean_recall(counts: Sequence[Sequence[int]]) -> float:
    """The balanced accuracy: the mean, over the classes that have images, of the share of them taken for their own.

    Args:
        counts: A row for every true class, as of :func:`confusion`; not all are zero.
    """
    recalls = [row[number] / sum(row) for number, row in enumerate(counts) if any(row)]
    return sum(recalls) / len(recalls)


@torch.inference_mode()
def confusion(
    network: nn.Module, split: ImageSplit, settings: ImageTraining, *, classes: int, device: torch.device
) -> list[list[int]]:
    """How many images of each class ``network`` takes for each, on the middle crop: a row for every true class."""
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    for logits, labels in _logits_of(network, split, settings, device):
        counts += torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes)
    rows: list[list[int]] = counts.view(classes, classes).tolist()
    return rows


@torch.inference_mode()
def probabilities(network: nn.Module, images: Tensor, settings: ImageTraining, *, device: torch.device) -> Tensor:
    """Of each class, [N, classes] on the CPU, for images uint8 [N, C, H, W]; in single precision."""
    exact = in_single_precision(settings)
    return torch.cat([logits.softmax(1).cpu() for logits in logits_in_parts(network, images, exact, device)])


def _logits_of(
    network: nn.Module, split: ImageSplit, settings: ImageTraining, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """The logits of a few images at a time, and their labels."""
    images, labels = resident(split.images, device), resident(split.labels, device)
    some = labels.split(_at_a_time(device))
    yield from zip(logits_in_parts(network, images, settings, device), some, strict=True)


def logits_in_parts(
    network: nn.Module, images: Tensor, settings: ImageTraining, device: torch.device
) -> Iterator[Tensor]:
    """Of a few images at a time, on their middle crop."""
    network.eval()
    height, width = images.shape[2:]
    for some in images.split(_at_a_time(device)):
        inputs = center_crop(enlarged(some.to(device), settings), height, width)
        with mixed_precision(device, settings), all_digits(settings):
            logits: Tensor = network(inputs.contiguous(memory_format=torch.channels_last))
        yield logits


def _at_a_time(device: torch.device) -> int:
    return EVALUATION_BATCH.get(device.type, 1000)


def in_single_precision(settings: ImageTraining) -> ImageTraining:
    """The same without bfloat16, so that what is measured can be reproduced anywhere."""
    return settings.model_copy(update={"precision": "float32"})


def enlarged_size(height: int, width: int, settings: ImageTraining) -> tuple[int, int]:
    """What images of this size are enlarged to."""
    return round(height * settings.upsample), round(width * settings.upsample)


def enlarged(images: Tensor, settings: ImageTraining) -> Tensor:
    """Whitened and enlarged, before any crop."""
    height, width = images.shape[2:]
    return enlarge(whiten(images), *enlarged_size(height, width, settings))


def half_precision(device: torch.device, settings: ImageTraining) -> torch.dtype | None:
    """The type of 16 bits that convolutions are computed in; None where they are computed in float32."""
    match settings.precision:
        case "float32":
            return None
        case "bfloat16":
            return torch.bfloat16
        case "auto":
            return fast_half(device)


@contextmanager
def all_digits(settings: ImageTraining) -> Iterator[None]:
    """Where float32 is asked for, convolutions of a graphics card keep its digits; as it comes, they round to ten bits.

    For what is measured: of two trainings nobody can say which is right, but a number that is repeated on a CPU must be
    the same.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = before and settings.precision != "float32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def mixed_precision(device: torch.device, settings: ImageTraining) -> torch.autocast:
    """Convolutions and products in 16 bits where that is asked for, or pays."""
    half = half_precision(device, settings)
    return torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None)
