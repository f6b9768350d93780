"""A recurrent cell, and a language model of it, as stand-alone source: a ``model.py`` that imports only torch.

The source is put together from the closed vocabularies of a checked cell; no text of a file gets into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netwright.spaces.architecture import RecurrentCellArchitecture
from netwright.spaces.recurrent_cell import merged_nodes, operands, own_leaves

COMBINED = {"add": "{} + {}", "elem_mult": "{} * {}", "max": "torch.maximum({}, {})"}
ACTIVATED = {
    "identity": "{}",
    "tanh": "torch.tanh({})",
    "sigmoid": "torch.sigmoid({})",
    "relu": "torch.relu({})",
    "sin": "torch.sin({})",
}
WHAT = {
    "word": {
        "measure": "perplexity",
        "tokens": "words between blanks",
        "split": "line.split()",
        "begun": "last.split()",
        "formula": "math.exp(nats)",
        "joined": '" ".join(line)',
        "gap": '" " if prompt and not prompt[-1].isspace() and found and found[0] != END else ""',
    },
    "character": {
        "measure": "bits per character",
        "tokens": "characters",
        "split": "line.strip()",
        "begun": "last.lstrip()",
        "formula": "nats / math.log(2)",
        "joined": '"".join(line)',
        "gap": '""',
    },
}
"""By unit: what it is called, how a line is split and what is written is joined, as Python."""


def layer_source(cell: RecurrentCellArchitecture) -> str:
    """The text of ``model.py`` of a cell alone: ``Layer``, to use in place of ``nn.LSTM``.

    Args:
        cell: The cell.
    """
    return f"{LAYER_USAGE}{_layer(cell)}"


def cell_source(
    cell: RecurrentCellArchitecture,
    *,
    vocabulary: int,
    embedding: int,
    hidden: int,
    layers: int,
    unit: str,
    streams: int,
    init_scale: float,
    bias: bool = False,
    merge_sums: bool = False,
) -> str:
    """The text of ``model.py``: the cell, the layer, the language model, its measure, and what it writes.

    Its usage shows the layer as it was trained.

    Args:
        cell: The cell.
        vocabulary: Number of tokens.
        embedding: Width of the embedding.
        hidden: Units per layer.
        layers: How many.
        unit: What a token is, ``word`` or ``character``.
        streams: Streams side by side in which its test was measured.
        init_scale: Fresh weights are uniform in [-init_scale, init_scale], as those of the trained one were.
        bias: Whether the cells have biases.
        merge_sums: Whether leaves that are only added up share one product.
    """
    model = MODEL.format(
        vocabulary=vocabulary,
        embedding=embedding,
        hidden=hidden,
        layers=layers,
        streams=streams,
        init_scale=init_scale,
        bias=bias,
        **WHAT[unit],
    )
    usage = MODEL_USAGE.format(bias=", bias=True" if bias else "")
    return f"{usage}{_layer(cell, merged_nodes(cell) if merge_sums else frozenset())}{model}"


def _layer(cell: RecurrentCellArchitecture, merged: frozenset[int] = frozenset()) -> str:
    """The class ``Layer`` and what it is made of, without the ``merged`` nodes."""
    leaves = own_leaves(cell, merged)
    return LAYER.format(
        products=len(leaves),
        xs=_unpacked("x", leaves),
        hs=_unpacked("h", leaves),
        begun=tuple(float(cell.nodes[leaf][0] == "elem_mult") for leaf in leaves),
        equations="\n".join(f"            {line}" for line in _equations(cell, merged)),
    )


def _unpacked(letter: str, leaves: Sequence[int]) -> str:
    """The left side of an assignment of a tuple, which may have one element."""
    return ", ".join(f"{letter}{leaf}" for leaf in leaves) + ("," if len(leaves) == 1 else "")


def _equations(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> Iterator[str]:
    """One statement per node, in order; ``c`` is renewed at the end, since a node above may still want the old one."""
    for node, (combination, activation) in enumerate(cell.nodes):
        if node in merged:
            continue
        if node < cell.base:
            values = [f"x{node}", f"h{node}"]
        else:
            values = [f"a{child}" for child in operands(cell, node, merged)]
        value = COMBINED[combination].format(*values) if len(values) == 2 else values[0]
        if node == cell.c_index:
            yield f"memory = {value}"
            value = "memory"
        yield f"a{node} = {ACTIVATED[activation].format(value)}"
        if node == cell.c_prev_index:
            combination, activation = cell.inject
            yield f"a{node} = {ACTIVATED[activation].format(COMBINED[combination].format(f'a{node}', 'c'))}"
    yield f"h, c = a{len(cell.nodes) - 1}, memory"


LAYER_USAGE = '''\
"""A recurrent cell designed by netwright, to use in place of nn.LSTM.

    from model import Layer

    layer = Layer(input_size=32, hidden_size=64, num_layers=2, batch_first=True)
    outputs, (h, c) = layer(inputs)
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
'''

MODEL_USAGE = '''\
"""A language model of a recurrent cell designed by netwright.

    model = load()  # model.safetensors beside this file; needs the package safetensors
    print(generate(model, "How it begins", 50))
    print(measure(model, encode(text)))

    python model.py "How it begins"

The cell in a network of your own, in place of nn.LSTM, as it was trained here:

    layer = Layer(input_size=32, hidden_size=64, num_layers=2{bias}, batch_first=True)
    outputs, (h, c) = layer(inputs)
"""

import copy
import json
import math
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
'''

LAYER = '''\
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class Cell(nn.Module):
    """One layer of the cell over all steps. T steps, N sequences side by side, U units."""

    def __init__(self, inputs: int, units: int, bias: bool) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(inputs, {products} * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, {products} * units))
        self.register_parameter("bias", nn.Parameter(torch.empty({products} * units)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fresh weights, Glorot uniform; biases as below."""
        nn.init.xavier_uniform_(self.kernel)
        nn.init.xavier_uniform_(self.recurrent_kernel)
        self.reset_bias()

    def reset_bias(self) -> None:
        """One for the products that multiply, x * (h + 1), which would else begin as next to nothing; others zero."""
        if self.bias is not None:
            begun = torch.tensor({begun})
            with torch.no_grad():
                self.bias.copy_(begun.repeat_interleave(len(self.bias) // len(begun)))

    def forward(self, x: Tensor, h: Tensor, c: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs [T, N, inputs], output and memory before [N, U]; outputs of all steps, output and memory after."""
        outputs = []
        for step, product in enumerate(x @ self.kernel):
            h_before, c_before = h, c
            {xs} = product.chunk({products}, -1)
            recurrent = h @ self.recurrent_kernel
            if self.bias is not None:
                recurrent = recurrent + self.bias
            {hs} = recurrent.chunk({products}, -1)
{equations}
            if lengths is None:
                outputs.append(h)
                continue
            going = (lengths > step)[:, None]  # a sequence that has ended keeps its state
            outputs.append(h * going)
            h, c = torch.where(going, h, h_before), torch.where(going, c, c_before)
        return torch.stack(outputs), h, c


class Layer(nn.Module):
    """The cell over whole sequences, used like nn.LSTM, with those of its arguments that stand here.

    Args:
        input_size: I.
        hidden_size: U.
        num_layers: L, one on top of the other.
        bias: Whether each product has a bias.
        batch_first: Whether inputs and outputs are [N, T, ...] rather than [T, N, ...].
        dropout: Probability of dropping a value between two layers, in training.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = False,
        batch_first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden_size, self.batch_first, self.dropout = hidden_size, batch_first, dropout
        widths = [input_size] + [hidden_size] * (num_layers - 1)
        self.cells = nn.ModuleList(Cell(width, hidden_size, bias) for width in widths)

    def reset_parameters(self) -> None:
        """Fresh weights, Glorot uniform; biases as :meth:`Cell.reset_bias` says."""
        for cell in self.cells:
            cell.reset_parameters()

    def forward(
        self, x: Tensor | PackedSequence, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
        """Outputs of the top layer, and (h, c) of all layers after the last step of each sequence.

        Args:
            x: [T, N, I], [N, T, I] with ``batch_first``, [T, I] for one sequence, or packed sequences.
            state: (h, c) before the first step, [L, N, U] each, [L, U] for one sequence; zeros by default.
        """
        if isinstance(x, PackedSequence):
            padded, lengths = pad_packed_sequence(x)
            outputs, state = self._run(padded, state, lengths.to(padded.device))
            return pack_padded_sequence(outputs, lengths, enforce_sorted=x.sorted_indices is None), state
        if x.dim() == 2:
            one = None if state is None else (state[0][:, None], state[1][:, None])
            outputs, (h, c) = self._run(x[:, None], one)
            return outputs[:, 0], (h[:, 0], c[:, 0])
        if not self.batch_first:
            return self._run(x, state)
        outputs, state = self._run(x.transpose(0, 1), state)
        return outputs.transpose(0, 1), state

    def _run(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if state is None:
            zeros = x.new_zeros(len(self.cells), x.shape[1], self.hidden_size)
            state = zeros, zeros
        after = []
        for depth, (cell, h, c) in enumerate(zip(self.cells, *state)):
            if depth:
                x = F.dropout(x, self.dropout, self.training)
            x, h, c = cell(x, h, c, lengths)
            after.append((h, c))
        h, c = zip(*after)
        return x, (torch.stack(h), torch.stack(c))
'''

MODEL = '''

END = "<eos>"


class LanguageModel(nn.Module):
    """Embedding, layers of the cell, softmax; with fresh weights, until :func:`load`."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding({vocabulary}, {embedding})
        self.rnn = Layer({embedding}, {hidden}, {layers}, bias={bias})
        self.softmax = nn.Linear({hidden}, {vocabulary})
        for name, weights in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weights)
            else:
                nn.init.uniform_(weights, -{init_scale!r}, {init_scale!r})
        for cell in self.rnn.cells:
            cell.reset_bias()

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Tokens [T, N] to the logits of what follows each [T, N, {vocabulary}], and the state to continue from."""
        outputs, state = self.rnn(self.embedding(tokens), state)
        return self.softmax(outputs), state


def load(weights: str | Path | None = None) -> LanguageModel:
    """The model with its trained weights, for use; those of ``model.safetensors`` beside this file by default."""
    from safetensors.torch import load_file

    model = LanguageModel()
    model.load_state_dict(load_file(weights or Path(__file__).with_name("model.safetensors")))
    return model.eval()


def read_vocabulary() -> list[str]:
    """The tokens by number, of ``vocabulary.json`` beside this file."""
    return json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))


def encode(text: str, vocabulary: list[str] | None = None) -> Tensor:
    """The numbers of a text's tokens: {tokens}, and one for the end of each line; 0 for those not in the vocabulary."""
    lines = text.removesuffix("\\n").split("\\n")
    return _numbers([token for line in lines for token in [*{split}, END]], vocabulary or read_vocabulary())


def _numbers(tokens: list[str], vocabulary: list[str]) -> Tensor:
    numbers = {{token: number for number, token in enumerate(vocabulary)}}
    return torch.tensor([numbers.get(token, 0) for token in tokens])


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompt: str = "",
    tokens: int = 100,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    vocabulary: list[str] | None = None,
) -> str:
    """How a text goes on after ``prompt``: so many tokens that the model writes, ends of lines among them.

    On the CPU in double precision, so that the text does not depend on the order of additions.

    Args:
        model: Trained, on whatever device.
        prompt: What it reads first, as the first line of a text or as some.
        tokens: How many to write.
        temperature: 0 takes the likeliest token each time, 1 draws by the model's probabilities, more draws wilder.
        seed: Of the draws; equal seeds write equal texts.
        vocabulary: The tokens by number; those of ``vocabulary.json`` beside this file by default.
    """
    vocabulary = vocabulary or read_vocabulary()
    model = copy.deepcopy(model).cpu().double().eval()
    generator = torch.Generator().manual_seed(seed)
    *lines, last = prompt.split("\\n")
    read = [END, *(token for line in lines for token in [*{split}, END]), *{begun}]
    logits, state = model(_numbers(read, vocabulary)[:, None])
    found = []
    for _ in range(tokens):
        scores = logits[-1, 0]
        scores[0] = -math.inf  # never the sign for words that it does not know
        if temperature > 0:
            number = torch.multinomial((scores / temperature).softmax(0), 1, generator=generator)
        else:
            number = scores.argmax(0, keepdim=True)
        found.append(vocabulary[number.item()])
        logits, state = model(number[:, None], state)
    lines = [[]]
    for token in found:
        if token == END:
            lines.append([])
        else:
            lines[-1].append(token)
    gap = {gap}
    return gap + "\\n".join({joined} for line in lines)


@torch.inference_mode()
def measure(model: LanguageModel, tokens: Tensor, streams: int = {streams}) -> float:
    """The {measure} of a text, read as so many streams side by side; a rest that fills no row is left out.

    In double precision, so that the number does not depend on the order of additions.
    """
    model = copy.deepcopy(model).double().eval()
    tokens = tokens.to(model.softmax.weight.device)
    streams = min(streams, len(tokens) // 2)
    rows = tokens[: len(tokens) // streams * streams].view(streams, -1).t()
    total, state = 0.0, None
    for inputs, targets in zip(rows[:-1].split(35), rows[1:].split(35)):
        logits, state = model(inputs, state)
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
    nats = total / (rows.numel() - streams)
    return {formula}


if __name__ == "__main__":
    begun = " ".join(sys.argv[1:])
    print(begun + generate(load(), begun))
'''
