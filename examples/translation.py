"""A cell in a network of another kind: translation of messages by an encoder and a decoder with attention.

python examples/translation.py --language de --layer lstm nascell [runs/notes cell.json ...] [--seeds 3]

The parallel text is the message catalogues (``.mo``) of an installed package, Django by default (``pip install
django``); ``--folder`` reads others. What is held out depends on the message alone, not on the language.
A cell that is named by its run has the biases and shared products that it was found with; a file says nothing of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import re
import statistics
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from netwright import Network
from netwright.networks import find_network

PAD, UNKNOWN, BEGIN, END = range(4)
TOKEN = re.compile(r"%\(\w+\)\w|%\w|\{\w*\}|\w+|[^\w\s]")
LONGEST = 16
"""Tokens of a message; longer ones are left out."""
Pair = tuple[list[str], list[str]]


def read_catalogue(path: Path) -> dict[str, str]:
    """The messages of a ``.mo`` file and their translations; those with plural forms are left out."""
    content = path.read_bytes()
    order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
    count, originals, translations = struct.unpack(f"{order}3I", content[8:20])

    def text(table: int, number: int) -> str:
        length, offset = struct.unpack_from(f"{order}2I", content, table + 8 * number)
        return content[offset : offset + length].decode()

    found = {text(originals, n).rpartition("\4")[2]: text(translations, n) for n in range(count)}
    return {message: said for message, said in found.items() if message and said and "\0" not in message}


def read_pairs(folder: Path, language: str) -> list[Pair]:
    """All short messages below a folder with their translations, each message once.

    Raises:
        SystemExit: There is none.
    """
    messages: dict[str, str] = {}
    for path in sorted(folder.rglob(f"{language}/LC_MESSAGES/*.mo")):
        messages |= read_catalogue(path)
    tokens = [(TOKEN.findall(message.lower()), TOKEN.findall(said.lower())) for message, said in messages.items()]
    pairs = [pair for pair in tokens if all(0 < len(side) <= LONGEST for side in pair)]
    if not pairs:
        raise SystemExit(f"{folder}: expected message catalogues */{language}/LC_MESSAGES/*.mo, found none")
    return pairs


def is_held_out(pair: Pair) -> bool:
    """Whether a message is among the tenth that is not learned from."""
    return zlib.crc32(" ".join(pair[0]).encode()) % 10 == 0


class Vocabulary:
    """Numbers for the tokens of one side."""

    def __init__(self, texts: Sequence[list[str]]) -> None:
        counts = Counter(token for text in texts for token in text)
        self.ids = {token: number for number, (token, _) in enumerate(counts.most_common(), END + 1)}
        self.size = END + 1 + len(self.ids)

    def encode(self, text: list[str]) -> Tensor:
        """The numbers of a text, [T + 2] with its begin and end."""
        return torch.tensor([BEGIN, *(self.ids.get(token, UNKNOWN) for token in text), END])


def recurrent(found: Network | None, width: int, hidden: int) -> nn.Module:
    """The line to change: PyTorch's layer, or the same with a cell that was found."""
    return nn.LSTM(width, hidden) if found is None else found.layer(width, hidden)


def units(found: Network | None, width: int, weights: int) -> int:
    """The most units with which a layer has at most so many weights."""
    sizes = range(1, 2000)
    return next(h - 1 for h in sizes if count(recurrent(found, width, h)) > weights)


def count(module: nn.Module) -> int:
    """The number of weights."""
    return sum(weight.numel() for weight in module.parameters())


class Translator(nn.Module):
    """Reads a message and predicts its translation token by token, looking back at all states of the encoder."""

    def __init__(self, sizes: tuple[int, int], found: Network | None, width: int, hidden: int) -> None:
        super().__init__()
        self.source, self.target = (nn.Embedding(size, width, padding_idx=PAD) for size in sizes)
        self.encoder, self.decoder = recurrent(found, width, hidden), recurrent(found, width, hidden)
        self.mix, self.softmax = nn.Linear(2 * hidden, width), nn.Linear(width, sizes[1])
        self.dropout = nn.Dropout(0.2)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Messages [S, N] and translations [T, N] so far; returns the logits of the next token, [T, N, V]."""
        lengths = (source != PAD).sum(0)
        embedded = self.dropout(self.source(source))
        packed, state = self.encoder(pack_padded_sequence(embedded, lengths, enforce_sorted=False))
        read, _ = pad_packed_sequence(packed, total_length=len(source))  # [S, N, H]
        output, _ = self.decoder(self.dropout(self.target(target)), state)  # [T, N, H]
        match = torch.einsum("tnh,snh->tns", output, read) / math.sqrt(output.shape[-1])
        attention = match.masked_fill((source == PAD).t(), -math.inf).softmax(-1)
        seen = torch.einsum("tns,snh->tnh", attention, read)
        logits: Tensor = self.softmax(self.dropout(self.mix(torch.cat([output, seen], -1)).tanh()))
        return logits


Encoded = list[tuple[Tensor, Tensor]]


def batches(pairs: Encoded, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Messages and translations side by side, padded: [S, N] and [T, N]."""
    for first in range(0, len(pairs), size):
        sources, targets = zip(*pairs[first : first + size], strict=True)
        yield pad_sequence(list(sources), padding_value=PAD), pad_sequence(list(targets), padding_value=PAD)


@dataclass(frozen=True)
class Result:
    """Of messages that were held out, each true beginning of a translation given: how well its next token is known."""

    perplexity: float
    accuracy: float


def train(
    pairs: Sequence[Pair], found: Network | None, *, seed: int, epochs: int, rate: float, width: int, weights: int
) -> Result:
    """Trains a translator and tests it on the messages that are held out."""
    torch.manual_seed(seed)
    learned = [pair for pair in pairs if not is_held_out(pair)]
    sides = [Vocabulary([pair[side] for pair in learned]) for side in (0, 1)]
    known: Encoded = [(sides[0].encode(source), sides[1].encode(target)) for source, target in learned]
    new = [(sides[0].encode(s), sides[1].encode(t)) for s, t in (pair for pair in pairs if is_held_out(pair))]
    if not new or not known:
        raise SystemExit(f"expected more messages: {len(known)} to learn from and {len(new)} held out")
    model = Translator((sides[0].size, sides[1].size), found, width, units(found, width, weights))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(known)).tolist()
        for source, target in batches([known[number] for number in order], 32):
            logits = model(source, target[:-1])
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), target[1:].flatten(), ignore_index=PAD)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return test(model, new)


@torch.inference_mode()
def test(model: Translator, pairs: Encoded) -> Result:
    """Perplexity and share of tokens that are the likeliest, over all tokens."""
    model.eval()
    nats, right, tokens = 0.0, 0, 0
    for source, target in batches(pairs, 128):
        logits, wanted = model(source, target[:-1]), target[1:]
        counted = wanted != PAD
        nats += nn.functional.cross_entropy(logits[counted], wanted[counted], reduction="sum").item()
        right += int((logits.argmax(-1) == wanted)[counted].sum())
        tokens += int(counted.sum())
    return Result(math.exp(nats / tokens), right / tokens)


def estimate(values: Sequence[float], digits: int) -> str:
    """Mean and standard error in words."""
    error = f" ± {statistics.stdev(values) / math.sqrt(len(values)):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{error}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains a translator with each layer and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", nargs="+", default=["lstm", "nascell"], help="lstm, RUN, a built-in cell, FILE.json")
    parser.add_argument("--package", default="django")
    parser.add_argument("--folder", type=Path, help="of catalogues, instead of a package")
    parser.add_argument("--language", default="de")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=2e-3, help="of learning, by Adam")
    parser.add_argument("--width", type=int, default=64, help="of the embeddings")
    parser.add_argument("--weights", type=int, default=80_000, help="of each recurrent layer, at most")
    options = parser.parse_args(arguments)
    pairs = read_pairs(options.folder or package_folder(options.package), options.language)
    held_out = sum(map(is_held_out, pairs))
    print(f"{len(pairs)} messages, {held_out} of them held out; {options.seeds} seeds, ± one standard error")
    how = {"epochs": options.epochs, "rate": options.rate, "width": options.width, "weights": options.weights}
    for name in options.layer:
        found = None if name == "lstm" else find_network(name)
        results = [train(pairs, found, seed=seed, **how) for seed in range(options.seeds)]
        perplexity = estimate([result.perplexity for result in results], 2)
        accuracy = estimate([result.accuracy for result in results], 4)
        print(f"{Path(name).stem:12} perplexity {perplexity}  token accuracy {accuracy}", flush=True)


def package_folder(package: str) -> Path:
    """Where an installed package lies.

    Raises:
        SystemExit: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install {package}, or name a --folder of catalogues")
    return Path(spec.origin).parent


if __name__ == "__main__":
    main()
