"""Language models made of a recurrent cell, and their training (Zoph & Le 2017, sec. 4.2; Zaremba et al. 2014)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from netwright.children.recurrent_cell import NASRNN, NASCell, State
from netwright.children.softmax_loss import softmax_loss
from netwright.children.torch_cell import TorchRNN, recurrent_weights
from netwright.config import LanguageModelTraining
from netwright.errors import ArchitectureError, OverBudgetError, UsageError
from netwright.spaces.architecture import Architecture, RecurrentCellArchitecture, TorchCellArchitecture
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import merged_nodes, own_leaves

# Shapes: T steps, N streams of text side by side, V tokens of vocabulary, H hidden units.


class LanguageModel(nn.Module):
    """Predicts each next token of a text: embedding, layers of one recurrent cell, softmax.

    Args:
        vocabulary: V.
        hidden: H.
        architecture: The cell.
        settings: Number of layers, embedding, biases, dropout and initial scale are taken from it.
        generator: Source of the initial weights.

    Raises:
        UsageError: Tied matrices of different sizes.
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
            raise UsageError(
                f"child.tied: expected an embedding as wide as a layer of this cell, {hidden}, got {width}; leave "
                "child.embedding out"
            )
        self.dropout, self.embedding_dropout = settings.dropout, settings.embedding_dropout
        self.variational = settings.variational
        self.bfloat16_products = False
        self.embedding = nn.Embedding(vocabulary, width)
        self.rnn = _layers(architecture, width, hidden, settings)
        self.softmax = nn.Linear(hidden, vocabulary)
        if settings.tied:
            self.softmax.weight = self.embedding.weight
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -settings.init_scale, settings.init_scale, generator=generator)
        for name, parameter in self.named_parameters():
            if name.rpartition(".")[2].startswith("bias"):
                nn.init.zeros_(parameter)
        for module in self.modules():
            if isinstance(module, NASCell):
                module.reset_bias()

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Reads tokens [T, N]; returns the logits of what follows each, [T, N, V], and the state to continue from."""
        output, state = self._read(tokens, state)
        return self.softmax(output), state

    def loss(self, tokens: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Reads tokens [T, N]; returns the mean loss on those that follow, in nats, and the state to continue from."""
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


def _layers(
    architecture: Architecture | str, width: int, hidden: int, settings: LanguageModelTraining
) -> NASRNN | TorchRNN:
    """The recurrent layers of a model, of a searched cell or of PyTorch's own."""
    if isinstance(architecture, str):
        architecture = published(architecture)
    kinds: dict[str, Callable[..., NASRNN | TorchRNN]] = {"torch_cell": TorchRNN}
    return kinds.get(architecture.kind, partial(NASRNN, bias=settings.bias, merge_sums=settings.merge_sums))(
        width,
        hidden,
        settings.layers,
        architecture,
        dropout=settings.dropout,
        recurrent_dropout=settings.recurrent_dropout,
        variational=settings.variational,
    )


Cell = RecurrentCellArchitecture | TorchCellArchitecture
"""What a language model can be made of."""

LEAVES = 8
"""Of the paper's cells. What has fewer products is made as wide as leaves it as many weights as such a cell has."""


def count_parameters(hidden: int, vocabulary: int, settings: LanguageModelTraining, cell: Cell | int = LEAVES) -> int:
    """How many weights a language model has; of a cell of the space the number of its products is enough to say."""
    width = settings.embedding or hidden
    below = [width] + [hidden] * (settings.layers - 1)
    if isinstance(cell, TorchCellArchitecture):
        recurrent = sum(recurrent_weights(cell, inputs, hidden) for inputs in below)
    else:
        products = cell if isinstance(cell, int) else _products(cell, settings)
        recurrent = sum((inputs + hidden + settings.bias) * products * hidden for inputs in below)
    softmax = vocabulary if settings.tied else vocabulary * (hidden + 1)
    return vocabulary * width + recurrent + softmax


def _products(cell: RecurrentCellArchitecture, settings: LanguageModelTraining) -> int:
    """How many products with input and previous output a cell has, of as many units each."""
    return len(own_leaves(cell, merged_nodes(cell))) if settings.merge_sums else cell.base


def count_multiply_adds(model: LanguageModel) -> int:
    """Of one token of one stream: all matrix products; the embedding is looked up, and what is elementwise left out."""
    matrices = [weight for weight in model.rnn.parameters() if weight.dim() == 2]
    return sum(weight.numel() for weight in matrices) + model.softmax.weight.numel()


def hidden_for_budget(budget: int, vocabulary: int, settings: LanguageModelTraining, cell: Cell | int = LEAVES) -> int:
    """The most hidden units with which a language model has at most ``budget`` parameters.

    Raises:
        UsageError: Not even one fits.
    """
    hidden = bisect_right(range(1, 1 << 20), budget, key=lambda h: count_parameters(h, vocabulary, settings, cell))
    if hidden == 0:
        least = count_parameters(1, vocabulary, settings, cell)
        fix = f"--set child.parameters={least}" if settings.hidden is None else "raise child.hidden"
        raise UsageError(
            f"expected a budget of at least {least:,} parameters for {vocabulary:,} tokens, got {budget:,}; {fix}, or "
            "keep fewer tokens (data.max_vocabulary)"
        )
    return hidden


def build_model(
    architecture: Architecture, vocabulary: int, settings: LanguageModelTraining, generator: torch.Generator
) -> LanguageModel:
    """The untrained model of a cell, as large as the settings say.

    Where they say how many units, those are of a cell of eight products. PyTorch's own layers, and cells whose sums are
    merged, get as many units as leave the weights at those of such a cell, so that what is compared has equal numbers.

    Raises:
        ArchitectureError: Not a recurrent cell.
        OverBudgetError: More parameters than the settings allow.
        UsageError: Not one unit is within ``parameters``, or the matrices that are tied are of different sizes.
    """
    if not isinstance(architecture, RecurrentCellArchitecture | TorchCellArchitecture):
        raise ArchitectureError(f"expected a recurrent cell, got kind {architecture.kind!r}")
    as_wide_as_fits = settings.merge_sums or isinstance(architecture, TorchCellArchitecture)
    if settings.hidden is not None and as_wide_as_fits:
        budget = count_parameters(settings.hidden, vocabulary, settings)
        hidden = hidden_for_budget(budget, vocabulary, settings, architecture)
    else:
        hidden = settings.hidden or hidden_for_budget(settings.parameters, vocabulary, settings, architecture)
    parameters = count_parameters(hidden, vocabulary, settings, architecture)
    if settings.max_parameters is not None and parameters > settings.max_parameters:
        raise OverBudgetError(
            f"{parameters:,} parameters, more than child.max_parameters = {settings.max_parameters:,}"
        )
    with torch.random.fork_rng(devices=[]):  # PyTorch's layers draw weights of their own first
        return LanguageModel(vocabulary, hidden, architecture, settings, generator=generator)
