"""What can be said of a text source before anything learns from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from netwright.data.listing import Defect, SplitName
from netwright.data.text import as_task
from netwright.data.text_sources import read_source
from netwright.data.tokens import UNKNOWN, Unit, by_frequency
from netwright.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class TextReport:
    """What is in a source of text, and what is wrong with it.

    Attributes:
        name: The source.
        unit: What a token is.
        counts: Tokens of each part, as children would see them.
        vocabulary: How many distinct tokens the training part has, with ``<unk>`` and ``<eos>``.
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


def check_text(
    source: str,
    *,
    unit: Unit = "word",
    max_vocabulary: int | None = 10_000,
    train_limit: int | None = None,
    encoding: str = "utf-8",
) -> TextReport:
    """Reads a source of text, and does not stop at a defect; see :func:`load_text`.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
        ValueError: There is no such encoding.
    """
    reading = read_source(source, unit, encoding)
    defects, warnings = list(reading.defects), list(reading.notes)
    data = None
    if "train" in reading.parts:
        try:
            data = as_task(reading, source, unit, max_vocabulary, train_limit)
        except DataError as error:
            defects.append(Defect("(all files)", str(error)))
    parts: dict[SplitName, Tensor] = {}
    vocabulary: tuple[str, ...] = ()
    if data is not None:
        vocabulary = data.vocabulary
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        full = len(by_frequency(reading.counts(reading.parts["train"][:train_limit])))
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
