"""Texts as tokens: words or characters, counted and numbered.

Blanks at the beginning and at the end of a line are no tokens, also where characters are: a model of characters neither
learns nor writes how lines are indented.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

UNKNOWN, END = "<unk>", "<eos>"

Unit = Literal["word", "character"]


def tokenize(text: str, unit: Unit) -> list[str]:
    """The tokens of a text, line by line; blanks around a line do not count."""
    return list(chain.from_iterable(split_into_tokens((text,), unit)))


def build_vocabulary(tokens: Iterable[str], limit: int | None = None) -> tuple[str, ...]:
    """``<unk>``, ``<eos>`` and the tokens of a text, the most frequent first and equals in alphabetical order."""
    return by_frequency(Counter(tokens), limit)


TokenIds = NDArray[np.int32]
"""The tokens of a text, each by the id it was given where it first stood."""


class Ids(dict[str, int]):
    """The id of each token; one that has none gets the next."""

    def __missing__(self, token: str) -> int:
        self[token] = new = len(self)
        return new


def by_frequency(counts: Mapping[str, int], limit: int | None = None) -> tuple[str, ...]:
    """See :func:`build_vocabulary`."""
    ordered = sorted(counts.keys() - {UNKNOWN, END}, key=lambda token: (-counts[token], token))
    return (UNKNOWN, END, *ordered)[:limit]


def split_into_tokens(pieces: Iterable[str], unit: Unit) -> Iterator[Iterable[str]]:
    """The tokens of a text that comes in pieces, some at a time."""
    return _words(pieces) if unit == "word" else _characters(pieces)


WRITTEN_END = re.compile(rf"{END}(?<!\S{END})[^\S\n]*\n")
"""The end of a line before which a text, read as words, says once more that it ends."""


def _words(pieces: Iterable[str]) -> Iterator[list[str]]:
    begun: list[str] = []  # the word that the last piece ends in the middle of
    for piece in _ending_in_newline(pieces):
        cut = "" if piece[-1].isspace() else piece.rsplit(maxsplit=1)[-1]
        if len(cut) < len(piece):
            whole = "".join((*begun, piece[: len(piece) - len(cut)]))
            yield whole.replace("\n", f" {END} ").split()
            begun = []
        begun.append(cut)


def _characters(pieces: Iterable[str]) -> Iterator[Iterable[str]]:
    begun, blanks = False, ""  # whether the line has a character yet, and blanks that may be its end
    for piece in _ending_in_newline(pieces):
        for number, line in enumerate(piece.split("\n")):
            if number:
                yield (END,)
                begun, blanks = False, ""
            kept = line.rstrip()
            if kept:
                yield blanks + kept if begun else kept.lstrip()
                begun, blanks = True, line[len(kept) :]
            elif begun:
                blanks += line


def _ending_in_newline(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces that are not empty; the last line ends as all others do."""
    last = "\n"
    for piece in filter(None, pieces):
        yield piece
        last = piece[-1]
    if last != "\n":
        yield "\n"
