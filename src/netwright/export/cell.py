"""A language model of a recurrent cell as stand-alone source: a ``model.py`` that imports only torch.

The source is put together from the closed vocabularies of a checked cell; no text of a file gets into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from netwright.spaces.architecture import CellNode, RecurrentCellArchitecture
from netwright.spaces.recurrent_cell import children

COMBINED = {"add": "{} + {}", "elem_mult": "{} * {}", "max": "torch.maximum({}, {})"}
ACTIVATED = {
    "identity": "{}",
    "tanh": "torch.tanh({})",
    "sigmoid": "torch.sigmoid({})",
    "relu": "torch.relu({})",
    "sin": "torch.sin({})",
}
WHAT = {
    "word": ("perplexity", "words between blanks", "line.split()", "math.exp(nats)"),
    "character": ("bits per character", "characters", "line.strip()", "nats / math.log(2)"),
}


def cell_source(
    cell: RecurrentCellArchitecture,
    *,
    vocabulary: int,
    embedding: int,
    hidden: int,
    layers: int,
    unit: str,
    streams: int,
) -> str:
    """The text of ``model.py``: the cell, the layer, the language model and its measure.

    Args:
        cell: The cell.
        vocabulary: Number of tokens.
        embedding: Width of the embedding.
        hidden: Units per layer.
        layers: How many.
        unit: What a token is, ``word`` or ``character``.
        streams: Streams side by side in which its test was measured.
    """
    measure, tokens, split, formula = WHAT[unit]
    return TEMPLATE.format(
        base=cell.base,
        xs=", ".join(f"x{leaf}" for leaf in range(cell.base)),
        hs=", ".join(f"h{leaf}" for leaf in range(cell.base)),
        equations="\n".join(f"            {line}" for line in _equations(cell)),
        vocabulary=vocabulary,
        embedding=embedding,
        hidden=hidden,
        layers=layers,
        streams=streams,
        measure=measure,
        tokens=tokens,
        split=split,
        formula=formula,
    )


def cell_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ``LanguageModel``'s weights under the names of the stand-alone one, each with memory of its own."""
    return {name.removeprefix("rnn."): value.clone() for name, value in state.items()}


def _equations(cell: RecurrentCellArchitecture) -> Iterator[str]:
    """One statement per node, in order; ``c`` is renewed at the end, since a node above may still want the old one."""
    for node, operation in enumerate(cell.nodes):
        if node < cell.base:
            operands = f"x{node}", f"h{node}"
        else:
            left, right = children(cell.base, node)
            operands = f"a{left}", f"a{right}"
        if node == cell.c_index:
            yield f"memory = {COMBINED[operation[0]].format(*operands)}"
            yield f"a{node} = {ACTIVATED[operation[1]].format('memory')}"
        else:
            yield f"a{node} = {_applied(operation, *operands)}"
        if node == cell.c_prev_index:
            yield f"a{node} = {_applied(cell.inject, f'a{node}', 'c')}"
    yield f"h, c = a{len(cell.nodes) - 1}, memory"


def _applied(operation: CellNode, left: str, right: str) -> str:
    combination, activation = operation
    return ACTIVATED[activation].format(COMBINED[combination].format(left, right))


TEMPLATE = '''\
"""A language model of a recurrent cell designed by netwright.

    import json
    from safetensors.torch import load_file
    from model import LanguageModel, encode, measure

    model = LanguageModel()
    model.load_state_dict(load_file("model.safetensors"))
    tokens = encode(text, json.load(open("vocabulary.json", encoding="utf-8")))
    print(measure(model, tokens))
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Layer(nn.Module):
    """A layer of the cell over all steps. T steps, N texts side by side, U units."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(inputs, {base} * units))
        self.recurrent_kernel = nn.Parameter(torch.zeros(units, {base} * units))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs [T, N, inputs], output and memory before [N, U]; the outputs of all steps, output and memory after."""
        outputs = []
        for product in x @ self.kernel:
            {xs} = product.chunk({base}, -1)
            {hs} = (h @ self.recurrent_kernel).chunk({base}, -1)
{equations}
            outputs.append(h)
        return torch.stack(outputs), h, c


class LanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding({vocabulary}, {embedding})
        self.cells = nn.ModuleList(Layer({embedding} if i == 0 else {hidden}, {hidden}) for i in range({layers}))
        self.softmax = nn.Linear({hidden}, {vocabulary})

    def forward(self, tokens: Tensor, state: list | None = None) -> tuple[Tensor, list]:
        """Tokens [T, N] to the logits of what follows each [T, N, {vocabulary}], and the state to continue from."""
        x = self.embedding(tokens)
        zeros = x.new_zeros(tokens.shape[1], {hidden})
        after = []
        for layer, (h, c) in zip(self.cells, state or [(zeros, zeros)] * {layers}):
            x, h, c = layer(x, h, c)
            after.append((h, c))
        return self.softmax(x), after


def encode(text: str, vocabulary: list[str]) -> Tensor:
    """The numbers of a text's tokens: {tokens}, and one for the end of each line; 0 for those not in the vocabulary."""
    numbers = {{token: number for number, token in enumerate(vocabulary)}}
    lines = text.removesuffix("\\n").split("\\n")
    return torch.tensor([numbers.get(token, 0) for line in lines for token in [*{split}, "<eos>"]])


@torch.inference_mode()
def measure(model: LanguageModel, tokens: Tensor, streams: int = {streams}) -> float:
    """The {measure} of a text, read as so many streams side by side; a rest that fills no row is left out.

    In double precision, so that the number does not depend on the order of additions.
    """
    model = copy.deepcopy(model).double().eval()
    streams = min(streams, len(tokens) // 2)
    rows = tokens[: len(tokens) // streams * streams].view(streams, -1).t()
    total, state = 0.0, None
    for inputs, targets in zip(rows[:-1].split(35), rows[1:].split(35)):
        logits, state = model(inputs, state)
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
    nats = total / (rows.numel() - streams)
    return {formula}
'''
