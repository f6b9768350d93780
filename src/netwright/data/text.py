"""Text that language models learn from, as token numbers: read from a named source, or made of the user's own.

A line is its words, or its characters, and then ``<eos>``. The vocabulary is what the training part holds; everything
else is ``<unk>``. Children train on ``train``, the reward comes from ``validation``, ``test`` is looked at once, at
the end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor

from netwright.data.hub import SPLITS, load_hub
from netwright.data.listing import Defect, SplitName, shown
from netwright.data.shared_memory import share
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
        vocabulary: The tokens by number: ``<unk>``, ``<eos>``, then the training part's, the most frequent first.
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
        defects: What :func:`load_text` refuses, by file name.
        warnings: What it accepts but a user should know.
    """

    name: str
    unit: Unit
    counts: Mapping[SplitName, int]
    vocabulary: int
    unknown: Mapping[SplitName, float]
    defects: tuple[Defect, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report as plain text."""
        text = [f"source      {self.name}", f"vocabulary  {self.vocabulary} {self.unit}s", ""]
        text.append(f"{'part':12}{'tokens':>12}{'unknown':>12}")
        text += [f"{part:12}{count:>12}{self.unknown[part]:>12.2%}" for part, count in self.counts.items()]
        text += ["", f"{len(self.defects)} defects"] + [f"  {defect.file} {defect.problem}" for defect in self.defects]
        return [*text, f"{len(self.warnings)} warnings", *(f"  {warning}" for warning in self.warnings)]


def load_text(
    source: str, *, unit: Unit = "word", max_vocabulary: int | None = 10_000, train_limit: int | None = None
) -> TextData:
    """Reads a source of text and numbers its tokens.

    Parts that the source brings are used as they are. What it lacks is cut off the end of its training part: a test
    part first, then a validation part, :data:`HELD_OUT` each.

    Args:
        source: One of :data:`TEXT_SOURCES`, e.g. ``text:notes.txt``.
        unit: Whether a token is a word (between blanks) or a character.
        max_vocabulary: Keep only so many tokens, the most frequent, ``<unk>`` and ``<eos>`` included.
        train_limit: Learn from only so many tokens, the first.

    Raises:
        DataError: The source is unknown, missing or has defects; names the file, the byte offset and the fix.
    """
    reading = _read(source)
    if reading.defects:
        listed = "".join(f"\n  {defect.file} {defect.problem}" for defect in reading.defects)
        raise DataError(f"{source}: cannot be used:{listed}")
    return from_texts(reading.texts, name=source, unit=unit, max_vocabulary=max_vocabulary, train_limit=train_limit)


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
    parts = _with_all_parts({part: tokenize(text, unit) for part, text in texts.items()})
    for part, tokens in parts.items():
        if len(tokens) < 2:
            raise DataError(
                f"{name}: expected at least two {unit}s to learn from in the {part} part, got {len(tokens)}"
            )
    train = parts["train"][:train_limit]
    vocabulary = build_vocabulary(train, max_vocabulary)
    numbers = {token: number for number, token in enumerate(vocabulary)}

    def encode(tokens: Sequence[str]) -> Tensor:
        return torch.tensor([numbers.get(token, 0) for token in tokens])

    return TextData(name, unit, vocabulary, encode(train), encode(parts["validation"]), encode(parts["test"]))


def tokenize(text: str, unit: Unit) -> list[str]:
    """The tokens of a text, line by line; blanks around a line do not count."""
    lines = text.removesuffix("\n").split("\n") if text else []
    cut = str.split if unit == "word" else str.strip
    return list(chain.from_iterable((*cut(line), END) for line in lines))


def build_vocabulary(tokens: Sequence[str], limit: int | None = None) -> tuple[str, ...]:
    """``<unk>``, ``<eos>`` and the tokens of a text, the most frequent first and equals in alphabetical order."""
    counts = Counter(tokens)
    for special in (UNKNOWN, END):
        counts.pop(special, None)
    ordered = sorted(counts, key=lambda token: (-counts[token], token))
    return (UNKNOWN, END, *ordered)[:limit]


def check_text(source: str, *, unit: Unit = "word", max_vocabulary: int | None = 10_000) -> TextReport:
    """Reads a source of text, and does not stop at a defect.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
    """
    reading = _read(source)
    defects, warnings = list(reading.defects), list(reading.notes)
    data = None
    if "train" in reading.texts:
        try:
            data = from_texts(reading.texts, name=source, unit=unit, max_vocabulary=max_vocabulary)
        except DataError as error:
            defects.append(Defect("(all files)", str(error)))
    parts: dict[SplitName, Tensor] = {}
    if data is not None:
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        full = len(build_vocabulary(tokenize(reading.texts["train"], unit)))
        if full > len(data.vocabulary):
            warnings.append(
                f"the {len(data.vocabulary)} most frequent of {full} {unit}s are kept, the others are {UNKNOWN}"
            )
    return TextReport(
        name=source,
        unit=unit,
        counts={part: len(tokens) for part, tokens in parts.items()},
        vocabulary=0 if data is None else len(data.vocabulary),
        unknown={part: (tokens == 0).float().mean().item() for part, tokens in parts.items()},
        defects=tuple(defects),
        warnings=tuple(warnings),
    )


def _with_all_parts(parts: dict[SplitName, list[str]]) -> dict[SplitName, list[str]]:
    """``parts`` with a test and a validation part, cut off the end of the training part if need be."""
    train, share = parts["train"], round(HELD_OUT * len(parts["train"]))
    missing: tuple[SplitName, ...] = ("test", "validation")
    for part in missing:
        if part not in parts:
            kept = len(train) - share
            train, parts = train[:kept], parts | {part: train[kept:]}
    return parts | {"train": train}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """The texts of a source: what could be read, what could not, and what a user should know."""

    texts: Mapping[SplitName, str]
    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()


def _read(source: str) -> _Reading:
    kind, _, place = source.partition(":")
    match kind, place:
        case "pydoc", "":
            return _Reading(texts=_pydoc())
        case "ptb", _:
            return _read_folder(Path(place).expanduser() if place else _ptb_folder(), "ptb.")
        case "text", _ if place:
            path = Path(place).expanduser()
            if path.is_dir():
                return _read_folder(path)
            return _read_files({"train": path}, path.parent)
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


def _read_folder(folder: Path, prefix: str = "") -> _Reading:
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
    return _read_files(files, folder)


def _read_files(files: Mapping[SplitName, Path], folder: Path) -> _Reading:
    texts: dict[SplitName, str] = {}
    defects: list[Defect] = []
    for part, file in files.items():
        text = _read_file(file)
        if isinstance(text, str):
            texts[part] = text
        else:
            defects.append(Defect(os.path.relpath(file, folder), text.problem))
    return _Reading(texts=texts, defects=tuple(defects))


def _read_file(file: Path) -> str | Defect:
    """The text of a file, or why there is none."""
    try:
        content = file.read_bytes()
    except OSError as error:
        return Defect(file.name, f"cannot be read: {error.strerror}")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Defect(file.name, "is UTF-16 (byte offset 0); save it as UTF-8")
    if (zero := content.find(b"\0")) >= 0:
        return Defect(file.name, f"is not text: a zero byte at byte offset {zero}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The mark that utf-8-sig skips is not in its offsets.
        offset = error.start + 3 * content.startswith(b"\xef\xbb\xbf")
        return Defect(
            file.name, f"is not UTF-8: byte 0x{content[offset]:02x} at byte offset {offset}; save it as UTF-8"
        )
    if not text.strip():
        return Defect(file.name, "is empty")
    return text.replace("\r\n", "\n")


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


def _read_hub(name: str) -> _Reading:
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
    return _Reading(texts=texts, notes=(f"text from column '{column}'",))
