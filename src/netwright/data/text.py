"""Text that language models learn from, as token ids: read from a named source, or made of the user's own.

A line is its words, or its characters, and then ``<eos>``. The vocabulary is what the training part holds; everything
else is ``<unk>``. Children train on ``train``, the reward comes from ``validation``, ``test`` is looked at once, at
the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, get_args

import torch
from torch import Tensor

from netwright.data.listing import Defect, SplitName
from netwright.data.shared_memory import share
from netwright.data.text_report import TextReport, report_on
from netwright.data.text_sources import Reading, Source, read_source, read_tokens
from netwright.data.tokens import TokenIds, Unit, by_frequency
from netwright.errors import DataError


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
        report: What is to be said of it.
    """

    kind: ClassVar[str] = "text"

    name: str
    unit: Unit
    vocabulary: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    report: TextReport | None = None

    def share_memory(self) -> Self:
        """Moves the tensors to shared memory, so that worker processes map them instead of copying; returns itself.

        Raises:
            DataError: The shared memory of this machine or container is too small.
        """
        parts = (self.train, self.validation, self.test)
        share(self.name, parts, "use less text (--set data.train_limit=1000000 --set data.validation_limit=100000)")
        return self


def load_text(
    source: str,
    *,
    unit: Unit = "word",
    max_vocabulary: int | None = 10_000,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    encoding: str = "utf-8",
) -> TextData:
    """Reads a source of text and gives its tokens ids.

    Parts that the source brings are used as they are. What it lacks is cut off the end of its training part: a test
    part first, then a validation part, :data:`HELD_OUT` each. Files are read piece by piece. What they take in memory
    is their token ids, about 12 bytes each while they are made and 8 afterwards, their distinct tokens, and the longest
    word (or, where a token is a character, the longest run of blanks in a line). A word of more than
    :data:`netwright.data.text_file.LONGEST_WORD` characters is a defect.

    Args:
        source: One of :data:`TEXT_SOURCES`, e.g. ``text:notes.txt``.
        unit: Whether a token is a word (between blanks) or a character.
        max_vocabulary: Keep only so many tokens, the most frequent, ``<unk>`` and ``<eos>`` included.
        train_limit: Learn from only so many tokens, the first.
        validation_limit: Measure on only so many tokens of the validation part, the first.
        encoding: Of the files, as Python names it.

    Raises:
        DataError: The source is unknown, missing or has defects; names the file, the byte offset and the fix.
        ValueError: There is no such encoding.
    """
    reading = read_source(source, unit, encoding)
    _refuse(source, reading.defects)
    data = as_task(reading, source, unit, max_vocabulary, train_limit, validation_limit)
    assert data.report is not None
    _refuse(source, data.report.defects)
    return data


def _refuse(source: str, defects: Sequence[Defect]) -> None:
    if defects:
        listed = "".join(f"\n  {defect.file} {defect.problem}" for defect in defects)
        raise DataError(f"{source}: cannot be used:{listed}")


def check_text(
    source: str,
    *,
    unit: Unit = "word",
    max_vocabulary: int | None = 10_000,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    encoding: str = "utf-8",
) -> TextReport:
    """Reads a source of text, and does not stop at a defect; see :func:`load_text`.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
        ValueError: There is no such encoding.
    """
    reading = read_source(source, unit, encoding)
    defects = list(reading.defects)
    if "train" in reading.parts:
        try:
            data = as_task(reading, source, unit, max_vocabulary, train_limit, validation_limit)
        except DataError as error:
            defects.append(Defect("(all files)", str(error)))
        else:
            assert data.report is not None
            return replace(data.report, defects=(*defects, *data.report.defects))
    return report_on(source, unit, reading, (), {}, tuple(defects))


def from_texts(
    texts: Mapping[SplitName, str],
    *,
    name: str = "own text",
    unit: Unit = "word",
    max_vocabulary: int | None = None,
    train_limit: int | None = None,
    validation_limit: int | None = None,
) -> TextData:
    """A task of one's own: ``train``, and ``validation`` and ``test`` where there are any; see :func:`load_text`.

    Raises:
        ValueError: There is no ``train``, or a text of another name than these three.
        DataError: A part has fewer than two tokens, or is mostly tokens that the training part does not have.
    """
    if "train" not in texts:
        raise ValueError(f"expected a text named 'train', got {sorted(texts)}")
    if unknown := sorted(set(texts) - set(get_args(SplitName))):
        raise ValueError(f"expected no other texts than {', '.join(get_args(SplitName))}, got {unknown}")
    reading = read_tokens(Source(texts={part: (text,) for part, text in texts.items()}), unit)
    data = as_task(reading, name, unit, max_vocabulary, train_limit, validation_limit)
    assert data.report is not None
    _refuse(name, data.report.defects)
    return data


def as_task(
    reading: Reading,
    name: str,
    unit: Unit,
    max_vocabulary: int | None,
    train_limit: int | None = None,
    validation_limit: int | None = None,
) -> TextData:
    """What children learn from, of the tokens of a source."""
    for part, tokens in reading.parts.items():
        if len(tokens) < 2:
            raise DataError(
                f"{name}: expected at least two {unit}s to learn from in the {part} part, got {len(tokens)}"
            )
    train = reading.parts["train"][:train_limit]
    vocabulary = by_frequency(reading.counts(train), max_vocabulary or None)
    ids = {token: number for number, token in enumerate(vocabulary)}
    final = torch.tensor([ids.get(token, 0) for token in reading.tokens])

    def encode(tokens: TokenIds) -> Tensor:
        return final.index_select(0, torch.from_numpy(tokens))

    parts: dict[SplitName, Tensor] = {
        "train": encode(train),
        "validation": encode(reading.parts["validation"][:validation_limit]),
        "test": encode(reading.parts["test"]),
    }
    report = report_on(name, unit, reading, vocabulary, parts)
    return TextData(name, unit, vocabulary, parts["train"], parts["validation"], parts["test"], report)
