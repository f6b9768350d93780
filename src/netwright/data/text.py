"""Text that language models learn from, as token ids: read from a named source, or made of the user's own.

A line is its words, or its characters, and then ``<eos>``. The vocabulary is what the training part holds; everything
else is ``<unk>``. Children train on ``train``, the reward comes from ``validation``, ``test`` is looked at once, at
the end.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netwright.config import known_encoding
from netwright.data.hub import SPLITS, load_hub
from netwright.data.listing import Defect, SplitName, shown
from netwright.data.shared_memory import share
from netwright.data.text_file import UnreadableError, read_pieces
from netwright.errors import DataError

TEXT_SOURCES = ("pydoc", "ptb", "ptb:DIR", "text:FILE-or-DIR", "hf:NAME")
UNKNOWN, END = "<unk>", "<eos>"

HELD_OUT = 0.1
"""Share of the training tokens that becomes a part which the source does not have."""

Unit = Literal["word", "character"]


@dataclass(frozen=True, slots=True, eq=False)
class TextData:
    """A language-modelling task.

    Attributes:
        name: Where it comes from.
        unit: What a token is.
        vocabulary: The tokens by id: ``<unk>``, ``<eos>``, then the training part's, the most frequent first.
        train: What children learn from: int64, one dimension.
        validation: What the reward is measured on.
        test: What no decision depends on.
    """

    name: str
    unit: Unit
    vocabulary: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor

    def share_memory(self) -> Self:
        """Moves the tensors to shared memory, so that worker processes map them instead of copying; returns itself.

        Raises:
            DataError: The shared memory of this machine or container is too small.
        """
        parts = (self.train, self.validation, self.test)
        share(self.name, parts, "use less text (--set data.train_limit=1000000)")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class TextReport:
    """What is in a source of text, and what is wrong with it.

    Attributes:
        name: The source.
        unit: What a token is.
        counts: Tokens of each part, as children would see them.
        vocabulary: How many unlike tokens the training part has, with ``<unk>`` and ``<eos>``.
        unknown: Share in [0, 1] of each part's tokens that are ``<unk>``.
        beyond_ascii: The most frequent tokens with other characters than ASCII: the wrong encoding shows in them.
        defects: What :func:`load_text` refuses, by file name.
        warnings: What it accepts but a user should know.
    """

    name: str
    unit: Unit
    counts: Mapping[SplitName, int]
    vocabulary: int
    unknown: Mapping[SplitName, float]
    beyond_ascii: tuple[str, ...]
    defects: tuple[Defect, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report as plain text."""
        text = [f"source      {self.name}", f"vocabulary  {self.vocabulary} {self.unit}s"]
        if self.beyond_ascii:
            text.append(f"not ASCII   {', '.join(repr(token[:20]) for token in self.beyond_ascii)}")
        text += ["", f"{'part':12}{'tokens':>12}{'unknown':>12}"]
        text += [f"{part:12}{count:>12}{self.unknown[part]:>12.2%}" for part, count in self.counts.items()]
        text += ["", f"{len(self.defects)} defects"] + [f"  {defect.file} {defect.problem}" for defect in self.defects]
        return [*text, f"{len(self.warnings)} warnings", *(f"  {warning}" for warning in self.warnings)]


def load_text(
    source: str,
    *,
    unit: Unit = "word",
    max_vocabulary: int | None = 10_000,
    train_limit: int | None = None,
    encoding: str = "utf-8",
) -> TextData:
    """Reads a source of text and gives its tokens ids.

    Parts that the source brings are used as they are. What it lacks is cut off the end of its training part: a test
    part first, then a validation part, :data:`HELD_OUT` each. Files are read piece by piece. What they take in memory
    is their token ids, about 12 bytes each while they are made and 8 afterwards, their unlike tokens, and the longest
    word (or, where a token is a character, the longest run of blanks in a line). A word of more than
    :data:`netwright.data.text_file.LONGEST_WORD` characters is a defect.

    Args:
        source: One of :data:`TEXT_SOURCES`, e.g. ``text:notes.txt``.
        unit: Whether a token is a word (between blanks) or a character.
        max_vocabulary: Keep only so many tokens, the most frequent, ``<unk>`` and ``<eos>`` included.
        train_limit: Learn from only so many tokens, the first.
        encoding: Of the files, as Python names it.

    Raises:
        DataError: The source is unknown, missing or has defects; names the file, the byte offset and the fix.
        ValueError: There is no such encoding.
    """
    reading = _read(source, unit, encoding)
    if reading.defects:
        listed = "".join(f"\n  {defect.file} {defect.problem}" for defect in reading.defects)
        raise DataError(f"{source}: cannot be used:{listed}")
    return _task(reading, source, unit, max_vocabulary, train_limit)


def from_texts(
    texts: Mapping[SplitName, str],
    *,
    name: str = "own text",
    unit: Unit = "word",
    max_vocabulary: int | None = None,
    train_limit: int | None = None,
) -> TextData:
    """A task of one's own: ``train``, and ``validation`` and ``test`` where there are any; see :func:`load_text`.

    Raises:
        ValueError: There is no ``train``.
        DataError: A part has fewer than two tokens.
    """
    if "train" not in texts:
        raise ValueError(f"expected a text named 'train', got {sorted(texts)}")
    reading = _tokenize(_Source(texts={part: (text,) for part, text in texts.items()}), unit)
    return _task(reading, name, unit, max_vocabulary, train_limit)


def tokenize(text: str, unit: Unit) -> list[str]:
    """The tokens of a text, line by line; blanks around a line do not count."""
    return list(chain.from_iterable(_tokens((text,), unit)))


def build_vocabulary(tokens: Iterable[str], limit: int | None = None) -> tuple[str, ...]:
    """``<unk>``, ``<eos>`` and the tokens of a text, the most frequent first and equals in alphabetical order."""
    return _by_frequency(Counter(tokens), limit)


def check_text(
    source: str, *, unit: Unit = "word", max_vocabulary: int | None = 10_000, encoding: str = "utf-8"
) -> TextReport:
    """Reads a source of text, and does not stop at a defect; see :func:`load_text`.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
        ValueError: There is no such encoding.
    """
    reading = _read(source, unit, encoding)
    defects, warnings = list(reading.defects), list(reading.notes)
    data = None
    if "train" in reading.parts:
        try:
            data = _task(reading, source, unit, max_vocabulary)
        except DataError as error:
            defects.append(Defect("(all files)", str(error)))
    parts: dict[SplitName, Tensor] = {}
    vocabulary: tuple[str, ...] = ()
    if data is not None:
        vocabulary = data.vocabulary
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        full = len(_by_frequency(reading.counts(reading.parts["train"])))
        if full > len(vocabulary):
            warnings.append(f"the {len(vocabulary)} most frequent of {full} {unit}s are kept, the others are {UNKNOWN}")
    return TextReport(
        name=source,
        unit=unit,
        counts={part: len(tokens) for part, tokens in parts.items()},
        vocabulary=len(vocabulary),
        unknown={part: 1 - int(tokens.count_nonzero()) / len(tokens) for part, tokens in parts.items()},
        beyond_ascii=tuple(islice((token for token in vocabulary if not token.isascii()), 8)),
        defects=tuple(defects),
        warnings=tuple(warnings),
    )


TokenIds = NDArray[np.int32]
"""The tokens of a text, each by the id it was given where it first stood."""

ReadPieces = Callable[[Path], Iterator[str]]
"""Reads a file in pieces, see :func:`read_pieces`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """Where the text of each part comes from, in pieces, what its file is called, and what a user should know."""

    texts: Mapping[SplitName, Iterable[str]]
    files: Mapping[SplitName, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """The tokens of a source: what could be read, what could not, and what a user should know.

    Attributes:
        tokens: The unlike tokens of all parts by id, in the order in which they first stand there.
        parts: The token ids of each part: of all three where ``train`` could be read.
        defects: Files that could not be read.
        notes: What a user should know.
    """

    tokens: tuple[str, ...]
    parts: Mapping[SplitName, TokenIds]
    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()

    def counts(self, part: TokenIds) -> dict[str, int]:
        """How often each token stands in a part; only those that do."""
        counts = np.bincount(part, minlength=len(self.tokens)).tolist()
        return {token: count for token, count in zip(self.tokens, counts, strict=True) if count}


class _Ids(dict[str, int]):
    """The id of each token; one that has none gets the next."""

    def __missing__(self, token: str) -> int:
        self[token] = new = len(self)
        return new


def _task(
    reading: _Reading, name: str, unit: Unit, max_vocabulary: int | None, train_limit: int | None = None
) -> TextData:
    """What children learn from, of the tokens of a source."""
    for part, tokens in reading.parts.items():
        if len(tokens) < 2:
            raise DataError(
                f"{name}: expected at least two {unit}s to learn from in the {part} part, got {len(tokens)}"
            )
    train = reading.parts["train"][:train_limit]
    vocabulary = _by_frequency(reading.counts(train), max_vocabulary)
    ids = {token: number for number, token in enumerate(vocabulary)}
    final = torch.tensor([ids.get(token, 0) for token in reading.tokens])

    def encode(tokens: TokenIds) -> Tensor:
        return final.index_select(0, torch.from_numpy(tokens))

    validation, test = encode(reading.parts["validation"]), encode(reading.parts["test"])
    return TextData(name, unit, vocabulary, encode(train), validation, test)


def _by_frequency(counts: Mapping[str, int], limit: int | None = None) -> tuple[str, ...]:
    """See :func:`build_vocabulary`."""
    ordered = sorted(counts.keys() - {UNKNOWN, END}, key=lambda token: (-counts[token], token))
    return (UNKNOWN, END, *ordered)[:limit]


def _with_all_parts(parts: Mapping[SplitName, TokenIds]) -> dict[SplitName, TokenIds]:
    """``parts`` with a test and a validation part, cut off the end of the training part if need be."""
    found, train, share = dict(parts), parts["train"], round(HELD_OUT * len(parts["train"]))
    missing: tuple[SplitName, ...] = ("test", "validation")
    for part in missing:
        if part not in found:
            kept = len(train) - share
            train, found[part] = train[:kept], train[kept:]
    return found | {"train": train}


def _tokenize(source: _Source, unit: Unit) -> _Reading:
    """Reads every part of a source, and makes those that it lacks."""
    ids = _Ids()
    parts: dict[SplitName, TokenIds] = {}
    defects: list[Defect] = []
    for part, pieces in source.texts.items():
        numbers = array("i")
        try:
            for tokens in _tokens(pieces, unit):
                numbers.extend(map(ids.__getitem__, tokens))
        except UnreadableError as error:
            defects.append(Defect(source.files[part], str(error)))
        else:
            parts[part] = np.frombuffer(numbers, dtype=np.int32)
    if "train" in parts:
        parts = _with_all_parts(parts)
    return _Reading(tokens=tuple(ids), parts=parts, defects=tuple(defects), notes=source.notes)


def _tokens(pieces: Iterable[str], unit: Unit) -> Iterator[Iterable[str]]:
    """The tokens of a text that comes in pieces, some at a time."""
    return _words(pieces) if unit == "word" else _characters(pieces)


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


def _read(source: str, unit: Unit, encoding: str) -> _Reading:
    read = partial(read_pieces, encoding=known_encoding(encoding), in_words=unit == "word")
    return _tokenize(_find(source, read), unit)


def _find(source: str, read: ReadPieces) -> _Source:
    kind, _, place = source.partition(":")
    match kind, place:
        case "pydoc", "":
            return _Source(texts={part: (text,) for part, text in _pydoc().items()})
        case "ptb", _:
            return _find_in_folder(Path(place).expanduser() if place else _ptb_folder(), read, "ptb.")
        case "text", _ if place:
            path = Path(place).expanduser()
            if path.is_dir():
                return _find_in_folder(path, read)
            return _files({"train": path}, path.parent, read)
        case "hf", _ if place:
            return _read_hub(place)
    raise DataError(f"expected a source of text ({', '.join(TEXT_SOURCES)}), got '{source}'")


def _ptb_folder() -> Path:
    """Where ``NETWRIGHT_DATA`` has the Penn Treebank, in Mikolov's version."""
    root = os.environ.get("NETWRIGHT_DATA")
    if root is None:
        raise DataError(
            "ptb: the Penn Treebank cannot be downloaded freely; expected the environment variable NETWRIGHT_DATA to "
            "name a folder with ptb/ptb.train.txt, ptb.valid.txt and ptb.test.txt, or name theirs (ptb:DIR)"
        )
    return Path(root) / "ptb"


def _find_in_folder(folder: Path, read: ReadPieces, prefix: str = "") -> _Source:
    """``train.txt``, ``valid.txt`` and ``test.txt`` of a folder, the last two where they are there."""
    files: dict[SplitName, Path] = {}
    for name, part in SPLITS.items():
        for file in (folder / f"{prefix}{name}.txt", folder / f"{name}.txt"):
            if file.is_file():
                files.setdefault(part, file)
    if "train" not in files:
        raise DataError(
            f"{folder}: expected a file {prefix}train.txt, and perhaps {prefix}valid.txt and {prefix}test.txt"
        )
    return _files(files, folder, read)


def _files(files: Mapping[SplitName, Path], folder: Path, read: ReadPieces) -> _Source:
    return _Source(
        texts={part: read(file) for part, file in files.items()},
        files={part: os.path.relpath(file, folder) for part, file in files.items()},
    )


def _pydoc() -> dict[SplitName, str]:
    """The text of Python's own documentation, which is on every machine.

    Its topics share sections, so a paragraph counts once; runs of paragraphs go to the parts in turn, 8 : 1 : 1.
    """
    from pydoc_data.topics import topics

    texts = [topics[name] for name in sorted(topics)]
    paragraphs = dict.fromkeys(paragraph.strip("\n") for text in texts for paragraph in text.split("\n\n"))
    parts: dict[SplitName, list[str]] = {"train": [], "validation": [], "test": []}
    for number, paragraph in enumerate(filter(None, paragraphs)):
        turn = number // 20 % 10
        parts["train" if turn < 8 else "validation" if turn == 8 else "test"].append(paragraph)
    return {part: "\n".join(of) for part, of in parts.items()}


def _read_hub(name: str) -> _Source:
    """The first column of strings of a data set of the Hub, a row per line."""
    loaded = load_hub(name)
    parts = {SPLITS[split]: part for split, part in loaded.items() if split in SPLITS}
    if "train" not in parts:
        raise DataError(f"hf:{name}: expected a split 'train', got {', '.join(map(repr, loaded))}")
    features = parts["train"].features
    column = next((column for column, kind in features.items() if getattr(kind, "dtype", "") == "string"), None)
    if column is None:
        raise DataError(f"hf:{name}: expected a column of text, got {shown(list(features))}")
    texts = {split: "\n".join(row.rstrip("\n") for row in part[column] if row) for split, part in parts.items()}
    return _Source(texts={split: (text,) for split, text in texts.items()}, notes=(f"text from column '{column}'",))
