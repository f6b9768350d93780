"""Recurrent layers made of any cell of the space, to use in place of ``nn.LSTMCell`` and ``nn.LSTM``.

:func:`cell_step` is the definition, equation by equation; ``cell_kernels`` computes the same over whole sequences,
fast.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from netwright.children.cell_kernels import run_cell
from netwright.spaces.architecture import Activation, Architecture, Combination, RecurrentCellArchitecture
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import merged_nodes, operands, own_leaves

# Shapes: T steps, N sequences, I inputs, U units, B leaves with products of their own (all, unless sums are merged), H
# outputs (U, or the projection's width), L layers.
State = tuple[Tensor, Tensor]
"""Output h [N, H] and memory c [N, U]; of a stack [L, N, H] and [L, N, U]."""

COMBINE: dict[Combination, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "elem_mult": torch.mul,
    "max": torch.maximum,
}
ACTIVATE: dict[Activation, Callable[[Tensor], Tensor]] = {
    "identity": lambda value: value,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "sin": torch.sin,
}


def cell_step(
    cell: RecurrentCellArchitecture,
    input_product: Tensor,
    recurrent_product: Tensor,
    c: Tensor,
    merged: frozenset[int] = frozenset(),
) -> tuple[Tensor, Tensor]:
    """One step of a cell after its matrix products (Zoph & Le 2017, sec. 3.4).

    Args:
        cell: The cell.
        input_product: [N, B*U], column blocks in the order of the leaves.
        recurrent_product: [N, B*U].
        c: [N, U] memory state before the step.
        merged: Nodes that are left out; see :func:`~netwright.spaces.recurrent_cell.merged_nodes`.

    Returns:
        What leaves the root, [N, U], and the memory state after the step, [N, U].
    """
    leaves = own_leaves(cell, merged)
    products = (product.chunk(len(leaves), -1) for product in (input_product, recurrent_product))
    pairs = {leaf: pair for leaf, *pair in zip(leaves, *products, strict=True)}
    outputs: dict[int, Tensor] = {}
    c_next = c
    for node, (combination, activation) in enumerate(cell.nodes):
        if node in merged:
            continue
        values = pairs[node] if node < cell.base else [outputs[child] for child in operands(cell, node, merged)]
        value = reduce(COMBINE[combination], values)
        if node == cell.c_index:
            c_next = value
        value = ACTIVATE[activation](value)
        if node == cell.c_prev_index:
            combination, activation = cell.inject
            value = ACTIVATE[activation](COMBINE[combination](value, c))
        outputs[node] = value
    return value, c_next


def run_cell_plainly(
    cell: RecurrentCellArchitecture,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    projection: Tensor | None = None,
    *,
    recurrent_mask: Tensor | None = None,
    padding: Tensor | None = None,
    merged: frozenset[int] = frozenset(),
) -> tuple[Tensor, Tensor]:
    """The same as :func:`~netwright.children.cell_kernels.run_cell`, step by step through autograd."""
    outputs: list[Tensor] = []
    memories: list[Tensor] = []
    for t, x_t in enumerate(x):
        recurrent_product = (h if recurrent_mask is None else h * recurrent_mask) @ recurrent_kernel
        if bias is not None:
            recurrent_product = recurrent_product + bias
        h, c = cell_step(cell, x_t @ kernel, recurrent_product, c, merged)
        if projection is not None:
            h = h @ projection
        if padding is not None:
            h, c = h.masked_fill(padding[t, :, None], 0), c.masked_fill(padding[t, :, None], 0)
        outputs.append(h)
        memories.append(c)
    return torch.stack(outputs), torch.stack(memories)


class NASCell(nn.Module):
    """One step of a recurrent cell, used like ``nn.LSTMCell``; without an ``architecture`` the paper's own cell.

    Parameters carry TensorFlow's names and layout (``NASCell`` of contrib and of Addons), so the weights of such a
    layer are this one's state: ``cell.load_state_dict({name: torch.as_tensor(array) for name, array in
    weights.items()})``.

    Args:
        input_size: I.
        hidden_size: U.
        architecture: A cell, or the name of a published one.
        bias: Whether a bias is added to the recurrent product.
        merge_sums: Whether leaves that are only added up share one product, which changes no cell but its number of
            weights; see :func:`~netwright.spaces.recurrent_cell.merged_nodes`.
        proj_size: Width of a linear projection of the output; 0 for none.
        generator: Source of the initial weights, which are Glorot uniform.

    Raises:
        ArchitectureError: No cell of this name was published.
    """

    kernel: nn.Parameter  # [I, B*U], column blocks in the order of the leaves
    recurrent_kernel: nn.Parameter  # [H, B*U]
    bias: nn.Parameter | None  # [B*U]
    projection_weights: nn.Parameter | None  # [U, H]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        architecture: Architecture | str = "nascell",
        *,
        bias: bool = False,
        merge_sums: bool = False,
        proj_size: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if isinstance(architecture, str):
            architecture = published(architecture)
        if not isinstance(architecture, RecurrentCellArchitecture):
            raise ValueError(f"expected a recurrent cell, got an architecture of kind {architecture.kind!r}")
        self.architecture = architecture
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, proj_size or hidden_size
        self.merged = merged_nodes(architecture) if merge_sums else frozenset()
        self.leaves = own_leaves(architecture, self.merged)
        width = len(self.leaves) * hidden_size
        self.kernel = nn.Parameter(torch.empty(input_size, width))
        self.recurrent_kernel = nn.Parameter(torch.empty(self.output_size, width))
        self.register_parameter("bias", nn.Parameter(torch.empty(width)) if bias else None)
        projection = nn.Parameter(torch.empty(hidden_size, proj_size)) if proj_size else None
        self.register_parameter("projection_weights", projection)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws all matrices again, Glorot uniform over the whole matrix; biases as :meth:`reset_bias` says."""
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
        self.reset_bias()

    def reset_bias(self) -> None:
        """Zero for leaves that add and one for those that multiply, which then begin as W x (1 + U h).

        With zero a leaf that multiplies begins as the product of two small numbers, and learns slowly; with a one it
        passes its input on, as the general form of multiplicative integration does (Wu et al. 2016).
        """
        if self.bias is not None:
            with torch.no_grad():
                for leaf, block in zip(self.leaves, self.bias.chunk(len(self.leaves)), strict=True):
                    block.fill_(self.architecture.nodes[leaf][0] == "elem_mult")

    def extra_repr(self) -> str:
        """The sizes, for ``print(module)``."""
        return f"{self.input_size}, {self.hidden_size}, output_size={self.output_size}, bias={self.bias is not None}"

    def start(self, count: int) -> State:
        """The state before the first step of ``count`` sequences: zeros."""
        return self.kernel.new_zeros(count, self.output_size), self.kernel.new_zeros(count, self.hidden_size)

    def forward(self, x: Tensor, state: State | None = None) -> State:
        """One step.

        Args:
            x: [N, I].
            state: (h, c) before the step; zeros by default.

        Returns:
            (h, c) after the step.
        """
        h, c = state or self.start(len(x))
        outputs, memories = run_cell_plainly(self.architecture, x[None], h, c, *self._weights, merged=self.merged)
        return outputs[0], memories[0]

    def run(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        recurrent_mask: Tensor | None = None,
        padding: Tensor | None = None,
        plain: bool = False,
        bfloat16: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """All steps of sequences [T, N, I]; see :func:`~netwright.children.cell_kernels.run_cell`.

        ``plain`` takes :func:`run_cell_plainly` instead, for second derivatives.
        """
        h, c = state or self.start(x.shape[1])
        arguments = (self.architecture, x, h, c, *self._weights)
        compute = run_cell_plainly if plain else partial(run_cell, bfloat16=bfloat16)
        return compute(*arguments, recurrent_mask=recurrent_mask, padding=padding, merged=self.merged)

    @property
    def _weights(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        return self.kernel, self.recurrent_kernel, self.bias, self.projection_weights


class NASRNN(nn.Module):
    """Stacked layers of any recurrent cell over whole sequences, used like ``nn.LSTM``.

    Of the cell of a run, :meth:`netwright.networks.network.Network.layer` makes one with the biases and shared products
    that the cell was measured with.

    Args:
        input_size: I.
        hidden_size: U.
        num_layers: L.
        architecture: A cell, or the name of a published one.
        bias: Whether a bias is added to the recurrent products.
        merge_sums: Whether leaves that are only added up share one product.
        batch_first: Whether inputs and outputs are [N, T, ...] rather than [T, N, ...].
        dropout: Probability of dropping a value on its way from one layer to the next.
        proj_size: Width of a linear projection of each layer's output; 0 for none.
        recurrent_dropout: Probability of dropping a unit of a layer's own previous output, for all steps alike.
        variational: Whether ``dropout``, too, drops the same units at all steps (Gal & Ghahramani 2016).
        bfloat16_products: Whether matrix products round to bfloat16, which is faster where the processor has it.
        plain: Whether to run step by step through autograd: slow, but differentiable twice.
        generator: Source of the initial weights.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        architecture: Architecture | str = "nascell",
        *,
        bias: bool = False,
        merge_sums: bool = False,
        batch_first: bool = False,
        dropout: float = 0.0,
        proj_size: int = 0,
        recurrent_dropout: float = 0.0,
        variational: bool = False,
        bfloat16_products: bool = False,
        plain: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.batch_first, self.dropout, self.recurrent_dropout = batch_first, dropout, recurrent_dropout
        self.variational, self.bfloat16_products, self.plain = variational, bfloat16_products, plain
        self.num_layers = num_layers
        widths = [input_size] + [proj_size or hidden_size] * (num_layers - 1)
        self.cells = nn.ModuleList(
            NASCell(
                width,
                hidden_size,
                architecture,
                bias=bias,
                merge_sums=merge_sums,
                proj_size=proj_size,
                generator=generator,
            )
            for width in widths
        )

    def forward(
        self, x: Tensor | PackedSequence, state: State | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, State]:
        """Runs all layers over all steps.

        Args:
            x: [T, N, I] inputs, [N, T, I] with ``batch_first``, [T, I] for one sequence, or packed sequences.
            state: (h [L, N, H], c [L, N, U]) before the first step, without N for one sequence; zeros by default.
            lengths: [N] the sequences' own lengths; what comes after them is padding. All T by default.

        Returns:
            The top layer's outputs in the form of ``x``, zero where there is padding, and the state of all layers
            after each sequence's last step.
        """
        if isinstance(x, PackedSequence):
            padded, lengths = pad_packed_sequence(x)
            outputs, state = self._run(padded, state, lengths)
            return pack_padded_sequence(outputs, lengths, enforce_sorted=x.sorted_indices is None), state
        if x.dim() == 2:
            one = None if state is None else (state[0][:, None], state[1][:, None])
            outputs, (h, c) = self._run(x[:, None], one, lengths)
            return outputs.squeeze(1), (h.squeeze(1), c.squeeze(1))
        if not self.batch_first:
            return self._run(x, state, lengths)
        outputs, state = self._run(x.transpose(0, 1), state, lengths)
        return outputs.transpose(0, 1), state

    def _run(self, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        """:meth:`forward` for inputs [T, N, I]."""
        padding = None
        if lengths is not None:
            lengths = lengths.to(x.device)
            padding = torch.arange(len(x), device=x.device)[:, None] >= lengths
        states: list[State] = []
        for depth, cell in enumerate(self.cells):
            assert isinstance(cell, NASCell)
            if depth:
                x = self._drop_between(x)
            x, memories = cell.run(
                x,
                None if state is None else (state[0][depth], state[1][depth]),
                recurrent_mask=self._recurrent_mask(x.new_ones(x.shape[1], cell.output_size)),
                padding=padding,
                plain=self.plain,
                bfloat16=self.bfloat16_products,
            )
            states.append((_last(x, lengths), _last(memories, lengths)))
        h, c = zip(*states, strict=True)
        return x, (torch.stack(h), torch.stack(c))

    def _drop_between(self, x: Tensor) -> Tensor:
        if self.variational:
            return x * nn.functional.dropout(torch.ones_like(x[0]), self.dropout, self.training)
        return nn.functional.dropout(x, self.dropout, self.training)

    def _recurrent_mask(self, ones: Tensor) -> Tensor | None:
        return nn.functional.dropout(ones, self.recurrent_dropout) if self.training and self.recurrent_dropout else None


def _last(values: Tensor, lengths: Tensor | None) -> Tensor:
    """[T, N, ...] -> [N, ...] at each sequence's last step."""
    if lengths is None:
        return values[-1]
    return values[lengths - 1, torch.arange(values.shape[1], device=values.device)]
