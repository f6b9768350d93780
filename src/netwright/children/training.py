"""Training of an image classifier as the paper trains its children (Zoph & Le 2017, sec. 4.1)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.augment import center_crop, crop_and_flip, enlarge, whiten
from netwright.config import ImageTraining
from netwright.data.images import ImageSplit
from netwright.errors import DivergedError

EVALUATION_BATCH = 500
"""Images per step without gradients: large enough to fill the processor, small enough for its memory."""


def train(
    network: nn.Module,
    train_split: ImageSplit,
    settings: ImageTraining,
    *,
    device: torch.device,
    generator: torch.Generator,
) -> Iterator[float]:
    """Trains ``network`` in place, an epoch at a time.

    SGD with Nesterov momentum on the cross-entropy; the learning rate falls at fixed fractions of the epochs.

    Args:
        network: Images to logits; already on ``device``.
        train_split: What it learns from.
        settings: Rates, epochs and augmentation.
        device: Where the arithmetic is done.
        generator: Source of the order of images and of the augmentation; a CPU generator.

    Yields:
        After each epoch, its mean loss in nats per image.

    Raises:
        DivergedError: The loss of an epoch was not a finite number.
    """
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.momentum > 0,
    )
    images, labels = train_split.images.to(device), train_split.labels.to(device)
    height, width = images.shape[2:]
    for epoch in range(settings.epochs):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(epoch, settings)
        network.train()
        total = torch.zeros((), device=device)
        # One image alone has no variance to normalise by, so a last batch of one is left out.
        for batch in torch.randperm(len(labels), generator=generator).split(settings.batch_size):
            if len(batch) == 1:
                continue
            inputs = enlarged(images[batch], settings)
            inputs = crop_and_flip(inputs, height, width, flip=settings.flip, generator=generator)
            with mixed_precision(device, settings):
                logits = network(inputs.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        mean = total.item() / len(labels)
        if not torch.isfinite(torch.tensor(mean)):
            raise DivergedError(f"the loss of epoch {epoch + 1} is {mean}")
        yield mean


def learning_rate_at(epoch: int, settings: ImageTraining) -> float:
    """The learning rate of an epoch, from 0: one drop by ``decay_by`` at each of the ``decay_at`` fractions."""
    drops = sum(epoch >= round(fraction * settings.epochs) for fraction in settings.decay_at)
    return settings.learning_rate * settings.decay_by**drops


@torch.inference_mode()
def accuracy(network: nn.Module, split: ImageSplit, settings: ImageTraining, *, device: torch.device) -> float:
    """The fraction of a split that ``network`` classifies correctly, on the middle crop, in [0, 1]."""
    network.eval()
    height, width = split.images.shape[2:]
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for images, labels in zip(split.images.split(EVALUATION_BATCH), split.labels.split(EVALUATION_BATCH), strict=True):
        inputs = center_crop(enlarged(images.to(device), settings), height, width)
        with mixed_precision(device, settings):
            logits = network(inputs.contiguous(memory_format=torch.channels_last))
        correct += (logits.argmax(1) == labels.to(device)).sum()
    return correct.item() / len(split)


def enlarged(images: Tensor, settings: ImageTraining) -> Tensor:
    """Whitened and enlarged, before any crop."""
    height, width = (round(side * settings.upsample) for side in images.shape[2:])
    return enlarge(whiten(images), height, width)


def mixed_precision(device: torch.device, settings: ImageTraining) -> torch.autocast:
    """Convolutions and products in bfloat16 where that is asked for, or pays."""
    bfloat16 = settings.precision == "bfloat16" or (settings.precision == "auto" and multiplies_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively, so that it is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # PyTorch has no public name for this; without the private one, float32 is the safe answer.
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and probe is not None and bool(probe())
