"""Any recurrent cell over a whole sequence, forward and backward, in few and large operations.

* The input product of all steps is taken at once, before the first step, and the gradients of the weights after the
  last. What is left to a step is one matrix product each way.
* All between two of them happens unit by unit, and is one call (``fused_cell``).
* Where no such kernels run (in double precision, with padding, without Numba or Triton), PyTorch's operations do it
  one by one. The derivatives of the output and of the memory state by the leaves and by the previous memory state are
  then plain factors per unit, which the forward values determine: those of many steps are computed at once, by one walk
  down the tree (:class:`_Factors`), and going back takes a handful of multiplications per step, whatever the cell.

Nothing is compiled for a cell on a CPU: one that was never seen before is as fast at its first step as at its last.

Shapes: T steps, N sequences, I inputs, U units, B leaves with products of their own (all, unless sums are merged), H
outputs (U, or the projection's width).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from netwright.children.fused_cell import FusedValues, can_fuse
from netwright.children.products import packed_product, product
from netwright.spaces.architecture import Activation, CellNode, Combination, RecurrentCellArchitecture
from netwright.spaces.recurrent_cell import leaves_below, operands, own_leaves

aten = torch.ops.aten

Instruction = tuple[Callable[..., object], tuple[Tensor, ...]]
"""A function and its operands at all steps, [T, ...] each."""

INJECT = -1
"""Stands beside the numbers of nodes for the injection of the memory state."""

CHUNK = {"cpu": 1 << 16}
"""Values per node for which factors are computed at once, by type of device: on a CPU few enough to stay in its cache.
All where there is no such cache, and each call costs as much however little it does."""


def run_cell(
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
    bfloat16: bool = False,
) -> tuple[Tensor, Tensor]:
    """Runs one layer of ``cell`` over a sequence, differentiable once.

    Args:
        cell: The cell.
        x: [T, N, I] inputs.
        h: [N, H] output before the first step.
        c: [N, U] memory state before the first step.
        kernel: [I, B*U], column blocks in the order of the leaves.
        recurrent_kernel: [H, B*U].
        bias: [B*U], added to the recurrent product, as in TensorFlow's cell.
        projection: [U, H].
        recurrent_mask: [N, H], multiplies the output wherever it enters the next step; not differentiated.
        padding: [T, N] booleans; where true, both states are zero after the step.
        merged: Nodes that are left out; see :func:`~netwright.spaces.recurrent_cell.merged_nodes`.
        bfloat16: Round the factors and results of matrix products to bfloat16.

    Returns:
        [T, N, H] outputs and [T, N, U] memory states after each step.

    Raises:
        ValueError: The state is of other sequences or units than the inputs and weights.
    """
    expected = (x.shape[1], recurrent_kernel.shape[0]), (x.shape[1], kernel.shape[1] // len(own_leaves(cell, merged)))
    if (h.shape, c.shape) != expected:  # the kernels take sizes as they are told
        raise ValueError(f"expected a state of shapes {expected}, got {(*h.shape,)} and {(*c.shape,)}")
    x, h, c = x.to(kernel.dtype), h.to(kernel.dtype), c.to(kernel.dtype)
    # Autocast would give products another type than the values that they are added to.
    with torch.autocast(x.device.type, enabled=False):
        states: tuple[Tensor, Tensor] = _Recurrence.apply(  # type: ignore[no-untyped-call]
            cell, merged, bfloat16, recurrent_mask, padding, x, h, c, kernel, recurrent_kernel, bias, projection
        )
    return states


class _Recurrence(torch.autograd.Function):
    """:func:`run_cell` and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: RecurrentCellArchitecture,
        merged: frozenset[int],
        bfloat16: bool,
        recurrent_mask: Tensor | None,
        padding: Tensor | None,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        kernel: Tensor,
        recurrent_kernel: Tensor,
        bias: Tensor | None,
        projection: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        (T, N, _), U = x.shape, c.shape[1]
        output, memory = x.new_empty(T + 1, *h.shape), x.new_empty(T + 1, *c.shape)
        output[0], memory[0] = h, c
        leaves = product(x.flatten(0, 1), kernel, bfloat16=bfloat16).view(T, N, -1, U)
        top = output[1:] if projection is None else None
        values: _Values | FusedValues
        if padding is None and can_fuse(x.device, x.dtype):
            values = FusedValues(cell, merged, leaves, memory, top)
        else:
            values = _Values(cell, merged, leaves, memory, top, rough=bfloat16)
        recur = packed_product(recurrent_kernel, N, bias, bfloat16=bfloat16)
        project = None if projection is None else packed_product(projection, N, bfloat16=bfloat16)

        h_steps, top_steps = output.unbind(), values.top.unbind()
        for t, advance in enumerate(values.steps()):
            advance(recur(h_steps[t] if recurrent_mask is None else h_steps[t] * recurrent_mask))
            if project is not None:
                h_steps[t + 1].copy_(project(top_steps[t]))
            if padding is not None:
                output[t + 1].masked_fill_(padding[t, :, None], 0)
                memory[t + 1].masked_fill_(padding[t, :, None], 0)

        ctx.values, ctx.bfloat16, ctx.has_bias = values, bfloat16, bias is not None
        ctx.save_for_backward(recurrent_mask, padding, x, kernel, recurrent_kernel, projection, output, memory)
        ctx.set_materialize_grads(False)
        return output[1:], memory[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, from_output: Tensor | None, from_memory: Tensor | None) -> tuple[Tensor | None, ...]:
        recurrent_mask, padding, x, kernel, recurrent_kernel, projection, output, memory = ctx.saved_tensors
        values, bfloat16 = ctx.values, ctx.bfloat16
        (T, N, _), H = x.shape, output.shape[2]
        recur = packed_product(recurrent_kernel.t(), N, bfloat16=bfloat16)
        project = None if projection is None else packed_product(projection.t(), N, bfloat16=bfloat16)

        factors = values.factors(padding, bfloat16=bfloat16)
        d_output = x.new_empty(T, N, H)
        d_output.zero_() if from_output is None else d_output.copy_(from_output)
        d_output_steps = d_output.unbind()
        dh, dc = torch.zeros_like(output[0]), torch.zeros_like(memory[0])
        for t, go_back in factors.steps():
            dh = d_output_steps[t].add_(dh)
            if from_memory is not None:
                dc = dc + from_memory[t]
            if padding is not None:
                dh.masked_fill_(padding[t, :, None], 0)
            d_leaves, dc = go_back(dh if project is None else project(dh).to(dh.dtype), dc)
            dh = recur(d_leaves)
            if recurrent_mask is not None:
                dh *= recurrent_mask

        h_before = output[:-1] if recurrent_mask is None else output[:-1] * recurrent_mask
        # In bfloat16 the gradients by the leaves are rounded once for all the products that they enter.
        by_leaf = factors.by_leaf.to(torch.bfloat16) if bfloat16 else factors.by_leaf
        d_leaves = by_leaf.view(T * N, -1)
        d_recurrent_kernel = product(h_before.flatten(0, 1).t(), d_leaves, bfloat16=bfloat16)
        d_bias = factors.by_leaf.sum((0, 1), dtype=x.dtype).flatten() if ctx.has_bias else None
        d_projection = None
        if projection is not None:
            d_projection = product(values.top.flatten(0, 1).t(), d_output.flatten(0, 1), bfloat16=bfloat16)
        factors.turn_to_input_products(by_leaf)
        d_kernel = product(x.flatten(0, 1).t(), d_leaves, bfloat16=bfloat16)
        d_x = product(d_leaves, kernel.t(), bfloat16=bfloat16).view(x.shape).to(x) if ctx.needs_input_grad[5] else None
        return None, None, None, None, None, d_x, dh.to(x.dtype), dc, d_kernel, d_recurrent_kernel, d_bias, d_projection


class _Values:
    """The values of all nodes at all steps, and the instructions that fill them in.

    A node's combination is written where its output will be, and its activation is taken in place. What must survive
    that (the memory state, the argument of a sine) is written to ``before`` first.

    Attributes:
        columns: By leaf that is not merged its place among the B, in order.
        leaves: [T, N, B, U] the input products, on which the outputs of the leaves come to stand.
        memory: [T + 1, N, U] memory states, of which the first is given.
        top: [T, N, U] what leaves the tree.
        output: By node [T, N, U] after its activation.
        injected: [T, N, U] what node ``c_prev_index`` gives once the memory state has come in.
        before: By node (or ``INJECT``) [T, N, U] before its activation.
        rough: Whether values may be as coarse as bfloat16 products make them anyway.
        products: By leaf that does not add: its input product and its recurrent product, [T, N, U] each.
    """

    def __init__(
        self,
        cell: RecurrentCellArchitecture,
        merged: frozenset[int],
        leaves: Tensor,
        memory: Tensor,
        top: Tensor | None,
        rough: bool,
    ) -> None:
        def empty() -> Tensor:
            return torch.empty_like(memory[1:])

        self.cell, self.merged, self.leaves, self.memory = cell, merged, leaves, memory
        own = own_leaves(cell, merged)
        self.columns = {leaf: column for column, leaf in enumerate(own)}
        self.rough = rough and leaves.device.type == "cpu" and leaves.dtype == torch.float32
        self.top = empty() if top is None else top
        root = len(cell.nodes) - 1
        self.output = dict(zip(own, leaves.unbind(2), strict=True))
        self.output |= {node: empty() for node in range(cell.base, root) if node not in merged}
        self.output[root] = empty() if cell.c_prev_index == root else self.top
        self.injected = self.top if cell.c_prev_index == root else empty()
        operations = dict(enumerate(cell.nodes)) | {INJECT: cell.inject}
        self.before = {node: empty() for node, (_, activation) in operations.items() if activation == "sin"}
        if cell.nodes[cell.c_index][1] == "identity" and cell.base <= cell.c_index < root:
            self.output[cell.c_index] = memory[1:]
        else:
            self.before[cell.c_index] = memory[1:]
        self.products: dict[int, tuple[Tensor, Tensor]] = {}
        self.runs = list(_runs(cell.nodes[leaf][0] for leaf in own))
        self.recurrent_sides: list[Tensor | None] = []
        for combination, run in self.runs:
            side = None if combination == "add" else torch.empty_like(leaves[:, :, run])
            self.recurrent_sides.append(side)
            if side is not None:
                sides = zip(leaves[:, :, run].clone().unbind(2), side.unbind(2), strict=True)
                self.products |= dict(zip(own[run], sides, strict=True))

    def seen(self, node: int) -> Tensor:
        """[T, N, U] what ``node`` shows its parent."""
        return self.injected if node == self.cell.c_prev_index else self.output[node]

    def factors(self, padding: Tensor | None, *, bfloat16: bool) -> _Factors:
        """The way back through the steps, once they are all done."""
        return _Factors(self, padding)

    def steps(self) -> Iterator[Callable[[Tensor], None]]:
        """For each step a function that takes the recurrent product [N, B*U] and computes all values of the step."""
        sinks, leaf_operands = zip(*self._leaf_combinations(), strict=True)
        widths = [(run.stop - run.start) * self.memory.shape[2] for _, run in self.runs]
        functions, operands = zip(*self._instructions(), strict=True)
        for targets, arguments in zip(_by_step(leaf_operands), _by_step(operands), strict=True):

            def advance(recurrent: Tensor, targets: Any = targets, arguments: Any = arguments) -> None:
                for sink, target, part in zip(sinks, targets, recurrent.split(widths, 1), strict=True):
                    sink(part, *target)
                for function, tensors in zip(functions, arguments, strict=True):
                    function(*tensors)

            yield advance

    def _leaf_combinations(self) -> Iterator[Instruction]:
        """How the recurrent products, runs of leaves at a time, join the input products."""
        for (combination, run), side in zip(self.runs, self.recurrent_sides, strict=True):
            leaves = self.leaves[:, :, run].flatten(2)
            yield JOIN_LEAVES[combination], (leaves,) if side is None else (leaves, side.flatten(2))

    def _instructions(self) -> Iterator[Instruction]:
        """What follows the combinations of the leaves, in order."""
        cell = self.cell
        for leaf in self.columns:
            if leaf in self.before:
                yield Tensor.copy_, (self.before[leaf], self.output[leaf])
        for activation, run in _runs(cell.nodes[leaf][1] for leaf in self.columns):
            yield from self._activate(activation, self.leaves[:, :, run].flatten(2))
        for node in self.output:
            if node >= cell.base:
                seen = [self.seen(child) for child in operands(cell, node, self.merged)]
                yield from self._operation(node, cell.nodes[node], seen, self.output[node])
            if node == cell.c_prev_index:
                joined = [self.output[node], self.memory[:-1]]
                yield from self._operation(INJECT, cell.inject, joined, self.injected)

    def _operation(
        self, node: int, operation: CellNode, values: Sequence[Tensor], out: Tensor
    ) -> Iterator[Instruction]:
        combination, activation = operation
        before = self.before.get(node, out)
        if len(values) == 1:  # the other one is merged with it
            yield Tensor.copy_, (before, *values)
        else:
            yield JOIN[combination], (*values, before)
        if before is not out:
            yield Tensor.copy_, (out, before)
        yield from self._activate(activation, out)

    def _activate(self, activation: Activation, values: Tensor) -> Iterator[Instruction]:
        if activation == "tanh" and self.rough:
            yield _tanh_through_sigmoid_, (values,)
        elif activation != "identity":
            yield ACTIVATE[activation], (values,)


class _Factors:
    """The derivatives of a cell unit by unit: what a gradient is multiplied with on its way down the tree.

    Leaves below the node that gives the memory state are reached from that node, where the gradients by the output
    and by the memory state meet; all others are reached from the root.

    Attributes:
        by_leaf: [T, N, B, U] the factor of each leaf's recurrent product, and once a step is done the gradient by it.
    """

    def __init__(self, values: _Values, padding: Tensor | None) -> None:
        self.values, self.cell, self.merged, self.padding = values, values.cell, values.merged, padding
        self.by_leaf = torch.empty_like(values.leaves)
        self.by_input = {leaf: torch.empty_like(values.top) for leaf in values.products}
        self.d_top, self.d_memory = torch.empty_like(values.top), torch.empty_like(values.top)
        self.below = leaves_below(self.cell.base, self.cell.c_index)
        self.memory_is_below = self.cell.c_prev_index != self.cell.c_index and set(
            leaves_below(self.cell.base, self.cell.c_prev_index)
        ) <= set(self.below)

    def steps(self) -> Iterator[tuple[int, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]]:
        """From the last step to the first: its number, and the function that goes back through it.

        The function takes the gradients [N, U] by the top and by the memory state, and gives those by the leaves'
        recurrent products [N, B*U] and by the previous memory state [N, U].
        """
        T, N, B, U = self.by_leaf.shape
        below = [column for leaf, column in self.values.columns.items() if leaf in self.below]
        first, last = below[0], below[-1] + 1
        chunk = max(1, CHUNK.get(self.by_leaf.device.type, T * N * U) // max(1, N * U))
        for stop in range(T, 0, -chunk):
            steps = slice(max(0, stop - chunk), stop)
            to_memory, to_previous = self._compute(steps)
            by_leaf = self.by_leaf[steps]
            tensors = (by_leaf, by_leaf[:, :, first:last], by_leaf[:, :, :first], by_leaf[:, :, last:])
            rows = (*tensors, to_memory, to_previous, self.d_top[steps], self.d_memory[steps])
            for offset, row in reversed(list(enumerate(zip(*map(torch.unbind, rows), strict=True)))):

                def go_back(d_top: Tensor, d_memory: Tensor, row: Any = row) -> tuple[Tensor, Tensor]:
                    leaves, below, left, right, to_memory, to_previous, kept_top, kept_memory = row
                    d_memory = torch.addcmul(d_memory, to_memory, d_top, out=kept_memory)
                    if self.values.products:
                        kept_top.copy_(d_top)
                    below *= d_memory[:, None]
                    if first > 0:
                        left *= d_top[:, None]
                    if last < B:
                        right *= d_top[:, None]
                    return leaves.flatten(1), to_previous * (d_memory if self.memory_is_below else d_top)

                yield steps.start + offset, go_back

    def _compute(self, steps: slice) -> tuple[Tensor, Tensor]:
        """Fills in the factors of some steps; returns those of c_t (from the top) and of c_{t-1} (from either)."""
        values, cell = self.values, self.cell
        one = torch.ones((), dtype=values.top.dtype, device=values.top.device).expand_as(values.top[steps])
        by_leaf = dict(zip(values.columns, self.by_leaf[steps].unbind(2), strict=True))
        found: dict[str, Tensor] = {}

        def through_activation(node: int, activation: Activation, factor: Tensor, output: Tensor) -> Tensor:
            # The factor to the memory state is no leaf's own, even where the state is taken at a leaf.
            out = None if node == cell.c_index else by_leaf.get(node)
            if activation == "sin":
                return torch.mul(factor, values.before[node][steps].cos(), out=out)
            return DERIVE_ACTIVATION[activation](factor, output[steps], out)

        def above(node: int, factor: Tensor) -> None:
            """Takes a factor to the output of ``node`` on to what is before its activation."""
            if node == cell.c_prev_index:
                combination, activation = cell.inject
                factor = through_activation(INJECT, activation, factor, values.injected)
                operands = values.output[node][steps], values.memory[:-1][steps]
                factor, found["previous"] = DERIVE_COMBINATION[combination](factor, *operands)
            factor = through_activation(node, cell.nodes[node][1], factor, values.output[node])
            if node == cell.c_index:
                found["memory"], factor = factor, one
            below(node, factor)

        def below(node: int, factor: Tensor) -> None:
            """Takes a factor to the combination of ``node`` on to what it combines."""
            derive = DERIVE_COMBINATION[cell.nodes[node][0]]
            if node >= cell.base:
                joined = operands(cell, node, self.merged)
                seen = [values.seen(child)[steps] for child in joined]
                factors = (factor,) if len(joined) == 1 else derive(factor, *seen)
                for child, to_child in zip(joined, factors, strict=True):
                    above(child, to_child)
            elif node in values.products:
                input_side, recurrent_side = values.products[node]
                to_input, to_recurrent = derive(factor, input_side[steps], recurrent_side[steps])
                self.by_input[node][steps] = self._unpadded(to_input, steps)
                by_leaf[node].copy_(to_recurrent)
            elif factor is not by_leaf[node]:
                by_leaf[node].copy_(factor)

        above(len(cell.nodes) - 1, one)
        if self.padding is not None:
            self.by_leaf[steps].masked_fill_(self.padding[steps, :, None, None], 0)
        return self._unpadded(found["memory"], steps), self._unpadded(found["previous"], steps)

    def _unpadded(self, factors: Tensor, steps: slice) -> Tensor:
        """``factors`` [t, N, U] with zeros where there is padding."""
        return factors if self.padding is None else factors.masked_fill(self.padding[steps, :, None], 0)

    def turn_to_input_products(self, gradients: Tensor) -> None:
        """Turns gradients by the recurrent products into those by the input products: the same for leaves that add."""
        for leaf, factor in self.by_input.items():
            from_above = self.d_memory if leaf in self.below else self.d_top
            gradients[:, :, self.values.columns[leaf]] = factor * from_above


def _runs(labels: Iterable[Any]) -> Iterator[tuple[Any, slice]]:
    """Neighbours of equal label: the label and where they stand."""
    for label, run in groupby(enumerate(labels), key=lambda item: item[1]):
        places = [place for place, _ in run]
        yield label, slice(places[0], places[-1] + 1)


def _by_step(rows: Iterable[tuple[Tensor, ...]]) -> Iterator[tuple[tuple[Tensor, ...], ...]]:
    """Tuples of [T, ...] tensors -> for each step the same tuples of its tensors [...]; each tensor is cut once."""
    rows = tuple(rows)  # keeps the tensors, so that no two have one identity
    whole = {id(tensor): tensor for tensors in rows for tensor in tensors}
    cut = {identity: tensor.unbind() for identity, tensor in whole.items()}
    return zip(*(zip(*(cut[id(tensor)] for tensor in tensors), strict=True) for tensors in rows), strict=True)


# Tensors, because a Python number costs more than the multiplication.
_MINUS_ONE, _TWO = torch.tensor(-1.0), torch.tensor(2.0)


def _tanh_through_sigmoid_(x: Tensor) -> None:
    """2 sigmoid(2x) - 1: within 1.2e-7 of tanh, in a quarter of its time on a CPU; coarse for the smallest x."""
    torch.add(_MINUS_ONE, x.mul_(_TWO).sigmoid_(), alpha=2, out=x)


def _multiply_keeping(recurrent: Tensor, leaves: Tensor, kept: Tensor) -> None:
    kept.copy_(recurrent)
    leaves.mul_(recurrent)


def _maximum_keeping(recurrent: Tensor, leaves: Tensor, kept: Tensor) -> None:
    kept.copy_(recurrent)
    torch.maximum(leaves, recurrent, out=leaves)


def _derive_maximum(factor: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    # Halves at a tie, as PyTorch's own derivative.
    share = ((left > right).to(factor) + (left >= right).to(factor)) / 2
    return factor * share, factor * (1 - share)


def _into(derivative: Any, out: Tensor | None, *arguments: Any) -> Tensor:
    """PyTorch's derivative of an activation, written to ``out`` where there is one."""
    result: Tensor = derivative(*arguments) if out is None else derivative.grad_input(*arguments, grad_input=out)
    return result


JOIN_LEAVES: dict[Combination, Callable[..., object]] = {
    "add": lambda recurrent, leaves: leaves.add_(recurrent),
    "elem_mult": _multiply_keeping,
    "max": _maximum_keeping,
}
JOIN: dict[Combination, Callable[[Tensor, Tensor, Tensor], object]] = {
    "add": lambda left, right, out: torch.add(left, right, out=out),
    "elem_mult": lambda left, right, out: torch.mul(left, right, out=out),
    "max": lambda left, right, out: torch.maximum(left, right, out=out),
}
DERIVE_COMBINATION: dict[Combination, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "add": lambda factor, left, right: (factor, factor),
    "elem_mult": lambda factor, left, right: (factor * right, factor * left),
    "max": _derive_maximum,
}
ACTIVATE: dict[Activation, Callable[[Tensor], object]] = {
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "relu": torch.relu_,
    "sin": torch.sin_,
}
DERIVE_ACTIVATION: dict[Activation, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "identity": lambda factor, output, out: factor,
    "tanh": lambda factor, output, out: _into(aten.tanh_backward, out, factor, output),
    "sigmoid": lambda factor, output, out: _into(aten.sigmoid_backward, out, factor, output),
    "relu": lambda factor, output, out: _into(aten.threshold_backward, out, factor, output, 0),
}
