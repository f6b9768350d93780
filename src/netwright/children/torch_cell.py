"""PyTorch's own recurrent layers in the place of a searched cell, for comparisons with what people take anyway."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import TorchCellArchitecture

# Shapes: T steps, N sequences, I inputs, U units, L layers.
State = tuple[Tensor, Tensor]
"""Output h and memory c, [L, N, U] each."""

GATES = {"lstm": 4, "gru": 3}
"""Matrices of a layer, for its inputs and for its previous output each."""


class TorchRNN(nn.Module):
    """``nn.LSTM`` or ``nn.GRU`` with the interface of :class:`netwright.children.recurrent_cell.NASRNN`.

    Args:
        input_size: I.
        hidden_size: U.
        num_layers: L.
        architecture: Which of the two.
        dropout: Probability of dropping a value on its way from one layer to the next.

    Raises:
        ArchitectureError: Dropout of a kind that PyTorch's layers do not have.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        architecture: TorchCellArchitecture,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__()
        if recurrent_dropout or (variational and dropout):
            raise ArchitectureError(
                f"torch.nn.{architecture.cell.upper()} has no recurrent or variational dropout; set "
                "child.recurrent_dropout=0 and child.variational=false"
            )
        self.num_layers = num_layers
        self.bfloat16_products = False  # asked of every layer; PyTorch's own are trained in single precision
        layer = {"lstm": nn.LSTM, "gru": nn.GRU}[architecture.cell]
        between = dropout if num_layers > 1 else 0.0  # PyTorch warns of dropout between a layer and nothing
        self.layer = layer(input_size, hidden_size, num_layers, dropout=between)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Runs all layers over inputs [T, N, I]; a GRU has one state, which stands for both."""
        if isinstance(self.layer, nn.LSTM):
            outputs, (h, c) = self.layer(x, state)
            return outputs, (h, c)
        outputs, h = self.layer(x, None if state is None else state[0])
        return outputs, (h, torch.zeros_like(h))


def recurrent_weights(architecture: TorchCellArchitecture, inputs: int, hidden: int) -> int:
    """How many weights a layer has: matrices for inputs and previous output, and two biases a gate."""
    return GATES[architecture.cell] * hidden * (inputs + hidden + 2)
