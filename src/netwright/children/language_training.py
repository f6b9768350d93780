"""Training of a language model as Zaremba et al. (2014) train theirs, and its loss on a text."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from netwright.children.devices import Glance, multiplies_bfloat16, resident
from netwright.children.language_model import LanguageModel
from netwright.children.recurrent_cell import NASRNN, State
from netwright.children.replay import Replay, learning_rate_on, set_learning_rate
from netwright.config import LanguageModelTraining
from netwright.errors import DivergedError
from netwright.seeding import derive_seed
from netwright.trial import BLOCKS

HELD = 0.5
"""Share of a training for which the ``linear`` schedule keeps the full learning rate."""


class LanguageModelTrainer:
    """Trains a language model in place, an epoch at a time, and can be stopped and taken up again between two epochs.

    Truncated back-propagation through time: gradients go back ``steps`` tokens, the state is kept through the epoch.

    Args:
        model: Already on ``device``.
        tokens: The training text, one dimension.
        settings: Rates, epochs and sizes.
        device: Where the arithmetic is done.
        seed: Of dropout.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokens: Tensor,
        settings: LanguageModelTraining,
        *,
        device: torch.device,
        seed: int,
    ) -> None:
        self.model = model
        self.settings = settings
        self.epoch = 0
        self._streams = as_streams(resident(tokens, device), settings.batch_size)
        self._seed = seed
        # Adam counts its steps on the host.
        self._replay = Replay(device, record=settings.optimizer == "sgd" and recordable(model))
        optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[settings.optimizer]
        self._optimizer = optimizer(
            model.parameters(),
            learning_rate_on(device, settings.learning_rate, recorded=self._replay.records),
            weight_decay=settings.weight_decay,
            fused=self._replay.records or None,  # the others read the rate on the host
        )
        fast = settings.precision == "auto" and multiplies_bfloat16(device)
        model.bfloat16_products = fast or settings.precision == "bfloat16"

    def run_epoch(self) -> float:
        """Reads the whole text once.

        Returns:
            The mean loss, in nats per token.

        Raises:
            DivergedError: The loss was not a finite number.
        """
        self.model.train()
        device = self._streams.device
        total = torch.zeros((), device=device)
        glance = Glance(device)
        h, c = start(self.model, self._streams.shape[1])
        # Dropout draws from PyTorch's own stream, so this epoch's stream is set here and the caller's given back; on a
        # machine with several graphics cards, that of the one in use.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(derive_seed(self._seed, "dropout", self.epoch))
            read = 0
            for inputs, targets in windows(self._streams, self.settings.steps):
                done = read / (len(self._streams) - 1)
                set_learning_rate(self._optimizer, learning_rate_at(self.epoch + done, self.settings))
                read += len(inputs)
                loss, h, c = self._replay(self._learn, inputs, targets, h, c)
                self._finite(glance(loss))
                total += loss * len(inputs)
        mean = self._finite(total.item() / (len(self._streams) - 1))
        self.epoch += 1
        return mean

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} in epoch {self.epoch + 1}")
        return loss

    def _learn(self, inputs: Tensor, targets: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Learns from tokens [T, N] and those that follow; returns the mean loss and the state, cut off the graph."""
        loss, (h, c) = self.model.loss(inputs, targets, (h, c))
        self._optimizer.zero_grad()
        (loss * len(inputs)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self._optimizer.step()
        return loss.detach(), h.detach(), c.detach()

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on, as tensors with flat names."""
        state = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self._optimizer.state[parameter].items():
                state[f"optimizer.{key}.{name}"] = value
        state["epoch"] = torch.tensor(self.epoch)
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly."""
        self._replay.forget()
        prefix = "model."
        self.model.load_state_dict(
            {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        )
        parameters = dict(self.model.named_parameters())
        for entry, value in state.items():
            if entry.startswith("optimizer."):
                _, key, name = entry.split(".", 2)
                # Adam counts its steps on the CPU, wherever the parameters are.
                place = value.device if key == "step" else parameters[name].device
                self._optimizer.state[parameters[name]][key] = value.to(place, copy=True)
        self.epoch = int(state["epoch"])


def learning_rate_at(epochs: float, settings: LanguageModelTraining) -> float:
    """The learning rate after so many epochs, whole and begun ones; see :class:`LanguageModelTraining`."""
    match settings.schedule:
        case "steps":
            return settings.learning_rate * settings.decay_by ** max(0, int(epochs) + 1 - settings.decay_after)
        case "linear":
            left = 1 - epochs / settings.epochs
            return settings.learning_rate * min(left / (1 - HELD), 1.0)


def recordable(model: LanguageModel) -> bool:
    """Whether steps of a model are recorded on a card: not those of PyTorch's own layers, which are one call there."""
    return isinstance(model.rnn, NASRNN)


def start(model: LanguageModel, count: int) -> State:
    """The state of a model before the first token of ``count`` streams: zeros, [L, N, H] and [L, N, H]."""
    zeros = model.softmax.weight.new_zeros(model.rnn.num_layers, count, model.softmax.in_features)
    return zeros, torch.zeros_like(zeros)


def as_streams(tokens: Tensor, count: int) -> Tensor:
    """A text [tokens] cut into ``count`` streams of equal length side by side, [length, count]; a rest is left out.

    Raises:
        ValueError: The streams would have no token to predict.
    """
    length = len(tokens) // count
    if length < 2:
        raise ValueError(f"expected at least {2 * count} tokens for {count} streams, got {len(tokens)}")
    return tokens[: length * count].view(count, length).t().contiguous()


def too_few(tokens: int, settings: LanguageModelTraining) -> str | None:
    """Why nothing can be learned from a training part of so many tokens; None where something can."""
    least = 2 * settings.batch_size
    if tokens >= least:
        return None
    return (
        f"expected at least {least} tokens in the training part, two for each of child.batch_size = "
        f"{settings.batch_size} streams, got {tokens}; bring more text, or --set child.batch_size={max(tokens // 2, 1)}"
    )


def windows(streams: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Streams [length, N] in pieces of at most ``steps``: tokens and those that follow, [T, N] each."""
    yield from zip(streams[:-1].split(steps), streams[1:].split(steps), strict=True)


@torch.inference_mode()
def mean_loss(model: LanguageModel, tokens: Tensor, settings: LanguageModelTraining, *, device: torch.device) -> float:
    """The mean loss of ``model`` on a text, in nats per token, in float32."""
    total, count = torch.zeros((), dtype=_exact_on(device), device=device), 0
    for loss, read in _window_losses(model, tokens, settings, device):
        total += loss * read
        count += read
    return total.item() / count


@torch.inference_mode()
def losses_in_blocks(
    model: LanguageModel, tokens: Tensor, settings: LanguageModelTraining, *, device: torch.device
) -> list[float]:
    """The mean loss of ``model`` on each of at most :data:`BLOCKS` pieces of a text, in nats per token.

    A block is what lies at the same places of all streams: what stands close together in a text is not independent.
    """
    read = [(loss.clone(), count) for loss, count in _window_losses(model, tokens, settings, device)]
    losses, counts = zip(*read, strict=True)
    weights = torch.tensor(counts, dtype=torch.float64)
    sums = torch.stack(losses).double().cpu() * weights
    pieces = min(BLOCKS, len(counts))
    parts = zip(sums.tensor_split(pieces), weights.tensor_split(pieces), strict=True)
    return [(part.sum() / weight.sum()).item() for part, weight in parts]


def _exact_on(device: torch.device) -> torch.dtype:
    """In which sums are exact enough; Apple's cards have no double precision."""
    return torch.float32 if device.type == "mps" else torch.float64


def _window_losses(
    model: LanguageModel, tokens: Tensor, settings: LanguageModelTraining, device: torch.device
) -> Iterator[tuple[Tensor, int]]:
    """The mean loss on each window of a text, and the tokens that it is of; for callers without gradients.

    A loss holds until the next one: what is recorded on a card writes where it wrote before.
    """
    model.eval()
    streams = as_streams(resident(tokens, device), min(settings.batch_size, len(tokens) // 2))

    def read(inputs: Tensor, targets: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss, (h, c) = model.loss(inputs, targets, (h, c))
        return loss, h, c

    replay = Replay(device, record=recordable(model))
    h, c = start(model, streams.shape[1])
    for inputs, targets in windows(streams, settings.steps):
        loss, h, c = replay(read, inputs, targets, h, c)
        yield loss, inputs.numel()
