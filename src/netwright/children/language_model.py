"""Language models made of a recurrent cell, and their training (Zoph & Le 2017, sec. 4.2; Zaremba et al. 2014)."""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.child import Child
from netwright.children.devices import multiplies_bfloat16
from netwright.children.recurrent_cell import NASRNN, State
from netwright.children.softmax_loss import softmax_loss
from netwright.config import LanguageModelTraining
from netwright.data.text import TextData, Unit
from netwright.errors import ArchitectureError, DivergedError, OverBudgetError
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture, RecurrentCellArchitecture
from netwright.trial import Evaluation, Report, no_report

# Shapes: T steps, N streams of text side by side, V tokens of vocabulary, H hidden units.


class LanguageModel(nn.Module):
    """Predicts each next token of a text: embedding, layers of one recurrent cell, softmax.

    Args:
        vocabulary: V.
        hidden: H.
        architecture: The cell.
        settings: Number of layers, embedding, dropout and initial scale are taken from it.
        generator: Source of the initial weights.

    Raises:
        ValueError: Tied matrices of unlike size.
    """

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        architecture: Architecture | str,
        settings: LanguageModelTraining,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        width = settings.embedding or hidden
        if settings.tied and width != hidden:
            raise ValueError(f"tied: expected an embedding as wide as a layer, {hidden}, got {width}")
        self.dropout, self.embedding_dropout = settings.dropout, settings.embedding_dropout
        self.variational = settings.variational
        self.bfloat16_products = False
        self.embedding = nn.Embedding(vocabulary, width)
        self.rnn = NASRNN(
            width,
            hidden,
            settings.layers,
            architecture,
            dropout=settings.dropout,
            recurrent_dropout=settings.recurrent_dropout,
            variational=settings.variational,
        )
        self.softmax = nn.Linear(hidden, vocabulary)
        if settings.tied:
            self.softmax.weight = self.embedding.weight
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -settings.init_scale, settings.init_scale, generator=generator)
        nn.init.zeros_(self.softmax.bias)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Reads tokens [T, N]; returns the logits of what follows each, [T, N, V], and the state to go on from."""
        output, state = self._read(tokens, state)
        return self.softmax(output), state

    def loss(self, tokens: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Reads tokens [T, N]; returns the mean loss on those that follow, in nats, and the state to go on from."""
        output, state = self._read(tokens, state)
        loss = softmax_loss(
            output.flatten(0, 1),
            self.softmax.weight,
            self.softmax.bias,
            targets.flatten(),
            bfloat16=self.rnn.bfloat16_products,
        )
        return loss, state

    def _read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        # What is measured is measured in float32, however it is trained.
        self.rnn.bfloat16_products = self.bfloat16_products and self.training
        output, state = self.rnn(self._drop(self._embed(tokens)), state)
        return self._drop(output), state

    def _embed(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.embedding(tokens)
        if self.training and self.embedding_dropout:
            kept = F.dropout(embedded.new_ones(self.embedding.num_embeddings, 1), self.embedding_dropout)
            embedded = embedded * kept[tokens]
        return embedded

    def _drop(self, values: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return values
        if self.variational:
            return values * F.dropout(torch.ones_like(values[0]), self.dropout)
        return F.dropout(values, self.dropout)


def count_parameters(hidden: int, vocabulary: int, settings: LanguageModelTraining, base: int = 8) -> int:
    """How many weights a language model has; every cell of one base has as many."""
    width = settings.embedding or hidden
    below = [width] + [hidden] * (settings.layers - 1)
    recurrent = sum((inputs + hidden) * base * hidden for inputs in below)
    softmax = vocabulary if settings.tied else vocabulary * (hidden + 1)
    return vocabulary * width + recurrent + softmax


def hidden_for_budget(budget: int, vocabulary: int, settings: LanguageModelTraining, base: int = 8) -> int:
    """The most hidden units with which a language model has at most ``budget`` parameters.

    Raises:
        ValueError: Not even one fits.
    """
    hidden = bisect_right(range(1, 1 << 20), budget, key=lambda h: count_parameters(h, vocabulary, settings, base))
    if hidden == 0:
        least = count_parameters(1, vocabulary, settings, base)
        raise ValueError(
            f"expected a budget of at least {least:,} parameters for {vocabulary:,} tokens, got {budget:,}"
        )
    return hidden


def build_model(
    architecture: Architecture, vocabulary: int, settings: LanguageModelTraining, generator: torch.Generator
) -> LanguageModel:
    """The untrained model of a cell, as large as the settings say.

    Raises:
        ArchitectureError: Not a recurrent cell.
        OverBudgetError: More parameters than the settings allow.
    """
    if not isinstance(architecture, RecurrentCellArchitecture):
        raise ArchitectureError(f"expected a recurrent cell, got kind {architecture.kind!r}")
    hidden = settings.hidden or hidden_for_budget(settings.parameters, vocabulary, settings, architecture.base)
    parameters = count_parameters(hidden, vocabulary, settings, architecture.base)
    if settings.max_parameters is not None and parameters > settings.max_parameters:
        raise OverBudgetError(
            f"{parameters:,} parameters, more than child.max_parameters = {settings.max_parameters:,}"
        )
    with torch.random.fork_rng():  # PyTorch's layers draw weights of their own first
        return LanguageModel(vocabulary, hidden, architecture, settings, generator=generator)


class LanguageModelTrainer:
    """Trains a language model in place, an epoch at a time, and can be stopped and taken up again between two epochs.

    Truncated back-propagation through time: gradients go back ``steps`` tokens, the state goes on through the epoch.

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
        self._streams = as_streams(tokens, settings.batch_size).to(device)
        self._seed = seed
        optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[settings.optimizer]
        self._optimizer = optimizer(model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        fast = settings.precision == "auto" and multiplies_bfloat16(device)
        model.bfloat16_products = fast or settings.precision == "bfloat16"

    def run_epoch(self) -> float:
        """Reads the whole text once.

        Returns:
            The mean loss, in nats per token.

        Raises:
            DivergedError: The loss was not a finite number.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(self.epoch, self.settings)
        self.model.train()
        total = torch.zeros((), device=self._streams.device)
        state: State | None = None
        # Dropout draws from PyTorch's own stream, so this epoch's stream is set here and the caller's given back.
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(self._seed, "dropout", self.epoch))
            for inputs, targets in windows(self._streams, self.settings.steps):
                loss, state = self._step(inputs, targets, state)
                total += loss * len(inputs)
        self.epoch += 1
        return total.item() / (len(self._streams) - 1)

    def _step(self, inputs: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Learns from tokens [T, N] and those that follow; returns the mean loss and the state, cut off the graph."""
        loss, (h, c) = self.model.loss(inputs, targets, state)
        if not loss.isfinite():
            raise DivergedError(f"the loss is {loss.item()} in epoch {self.epoch + 1}")
        self._optimizer.zero_grad()
        (loss * len(inputs)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self._optimizer.step()
        return loss.detach(), (h.detach(), c.detach())

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


def learning_rate_at(epoch: int, settings: LanguageModelTraining) -> float:
    """The learning rate of an epoch, from 0."""
    return settings.learning_rate * settings.decay_by ** max(0, epoch + 1 - settings.decay_after)


def as_streams(tokens: Tensor, count: int) -> Tensor:
    """A text [tokens] cut into ``count`` streams of equal length side by side, [length, count]; a rest is left out.

    Raises:
        ValueError: The streams would have no token to predict.
    """
    length = len(tokens) // count
    if length < 2:
        raise ValueError(
            f"expected at least {2 * count} tokens for {count} streams, got {len(tokens)}; lower batch_size"
        )
    return tokens[: length * count].view(count, length).t().contiguous()


def windows(streams: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Streams [length, N] in pieces of at most ``steps``: tokens and those that follow, [T, N] each."""
    yield from zip(streams[:-1].split(steps), streams[1:].split(steps), strict=True)


@torch.inference_mode()
def mean_loss(model: LanguageModel, tokens: Tensor, settings: LanguageModelTraining, *, device: torch.device) -> float:
    """The mean loss of ``model`` on a text, in nats per token, in float32."""
    model.eval()
    streams = as_streams(tokens, min(settings.batch_size, len(tokens) // 2)).to(device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    state: State | None = None
    for inputs, targets in windows(streams, settings.steps):
        loss, state = model.loss(inputs, targets, state)
        total += loss * inputs.numel()
    return total.item() / (streams.numel() - streams.shape[1])


def score(nats: float, unit: Unit) -> float:
    """What is reported of a loss in nats per token: perplexity of words, bits per character.

    Raises:
        DivergedError: It is no finite number.
    """
    if not math.isfinite(nats) or nats > 500:
        raise DivergedError(f"the loss is {nats} nats per {unit}")
    return math.exp(nats) if unit == "word" else nats / math.log(2)


class LanguageModelEvaluator:
    """Trains recurrent cells on text.

    Args:
        data: What they learn from; its test part is never looked at.
        settings: How they are built and trained.
        device: Where.
    """

    def __init__(self, data: TextData, settings: LanguageModelTraining, device: str = "cpu") -> None:
        self.data = data
        self.settings = settings
        self.device = device

    def begin(self, architecture: Architecture, seed: int) -> Child[LanguageModel]:
        """A child before its first epoch; measured by perplexity, or bits per character.

        Raises:
            ArchitectureError: Not a recurrent cell.
            OverBudgetError: More parameters than the settings allow.
        """
        data, settings, device = self.data, self.settings, torch.device(self.device)
        generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        model = build_model(architecture, len(data.vocabulary), settings, generator).to(device)

        def measure(measured: LanguageModel, tokens: Tensor) -> float:
            return score(mean_loss(measured, tokens, settings, device=device), data.unit)

        return Child(
            network=model,
            trainer=LanguageModelTrainer(
                model, data.train, settings, device=device, seed=derive_seed(seed, "training")
            ),
            validate=lambda: measure(model, data.validation),
            # In double precision, so that the number can be repeated in whatever order the additions are done.
            test=lambda: measure(copy.deepcopy(model).double(), data.test),
        )

    def evaluate(self, architecture: Architecture, seed: int, report: Report = no_report) -> Evaluation:
        """Trains one child from scratch.

        Args:
            architecture: A recurrent cell.
            seed: Of its weights and of dropout.
            report: Told the validation number after each epoch.

        Returns:
            ``valid`` is the lowest validation perplexity of all epochs, or bits per character of a model of characters.

        Raises:
            ArchitectureError: Not a recurrent cell.
            OverBudgetError: More parameters than the settings allow.
            DivergedError: The loss is no longer a finite number.
        """
        child = self.begin(architecture, seed)
        curve, loss = child.train(self.settings.epochs, report)
        return Evaluation(
            valid=min(curve),
            metrics={
                "parameters": sum(parameter.numel() for parameter in child.network.parameters()),
                "hidden": child.network.softmax.in_features,
                "best_epoch": curve.index(min(curve)) + 1,
                "train_loss": loss,
            },
            curve=curve,
        )
