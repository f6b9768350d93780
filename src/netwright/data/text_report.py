"""What can be said of a text source: by ``netwright data check``, and by every search that learns from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import Tensor

from netwright.data.listing import Defect, SplitName, found_lines
from netwright.data.text_sources import Reading
from netwright.data.tokens import UNKNOWN, Unit, by_frequency
from netwright.wording import counted

TOO_FEW = 1000
"""Tokens of a part below which its perplexity tells little."""

WHAT_FOLLOWS: Mapping[SplitName, str] = {
    "validation": "networks are chosen by chance",
    "test": "an answer may not know what other examples would change",
}
"""Where a part has too few tokens."""

MANY_UNKNOWN, TOO_MANY_UNKNOWN = 0.1, 0.5
"""Shares of ``<unk>`` in a part from which on a user is warned, and from which on the text is refused."""

JUDGED = 100
"""Tokens of a part from which on a share of them says anything."""


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
        notes: How it was read.
    """

    name: str
    unit: Unit
    counts: Mapping[SplitName, int]
    vocabulary: int
    unknown: Mapping[SplitName, float]
    beyond_ascii: tuple[str, ...]
    defects: tuple[Defect, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report as plain text."""
        text = [f"source      {self.name}", f"vocabulary  {counted(self.vocabulary, self.unit)}"]
        text += [f"read as     {note}" for note in self.notes]
        if self.beyond_ascii:
            text.append(f"not ASCII   {', '.join(repr(token[:20]) for token in self.beyond_ascii)}")
        text += ["", f"{'part':12}{'tokens':>12}{'unknown':>12}"]
        text += [f"{part:12}{count:>12,}{self.unknown[part]:>12.2%}" for part, count in self.counts.items()]
        return [*text, "", *found_lines(self.defects, self.warnings)]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON: ``data.json`` of a run folder."""
        return {
            "source": self.name,
            "read_as": list(self.notes),
            "unit": self.unit,
            "vocabulary": self.vocabulary,
            "counts": dict(self.counts),
            "unknown": dict(self.unknown),
            "defects": [{"file": defect.file, "problem": defect.problem} for defect in self.defects],
            "warnings": list(self.warnings),
        }


def report_on(
    name: str,
    unit: Unit,
    reading: Reading,
    vocabulary: tuple[str, ...],
    parts: Mapping[SplitName, Tensor],
    defects: tuple[Defect, ...] = (),
) -> TextReport:
    """What is to be said of a text.

    Args:
        name: The source.
        unit: What a token is.
        reading: Of the source.
        vocabulary: The tokens by id; empty where there is no task.
        parts: The ids of each part; empty where there is no task.
        defects: What is refused already.
    """
    warnings = list(reading.warnings)
    unknown = {part: 1 - int(tokens.count_nonzero()) / max(len(tokens), 1) for part, tokens in parts.items()}
    # Of what is learned from, which may be a part of the training part.
    full = len(by_frequency(reading.counts(reading.parts["train"][: len(parts["train"])]))) if parts else 0
    if full > len(vocabulary):
        warnings.append(f"the {len(vocabulary)} most frequent of {full} {unit}s are kept, the others are {UNKNOWN}")
    found = list(defects)
    for part, share in unknown.items():
        if share <= MANY_UNKNOWN or len(parts[part]) < JUDGED:
            continue
        said = (
            f"{share:.0%} of the {part} part are {UNKNOWN}, {unit}s that are not in the vocabulary of the training part"
        )
        fix = "a larger data.max_vocabulary" if unit == "character" else "data.unit=character, or data.max_vocabulary"
        if share > TOO_MANY_UNKNOWN:
            why = f"a network that always says {UNKNOWN} does well"
            found.append(Defect("(all files)", f"{said}: {why}; take --set {fix}, or put blanks between words"))
        else:
            warnings.append(f"{said}, and count as one {unit} in every result")
    for part, so in WHAT_FOLLOWS.items():
        if part in parts and len(parts[part]) < TOO_FEW:
            few = f"the {part} part has only {len(parts[part])} {unit}s"
            warnings.append(f"{few}: its result says little, and {so}; bring more text")
    if parts and (learned := len(parts["train"])) < (measured := len(parts["validation"])):
        enough = max(learned // 10, min(learned, TOO_FEW))
        warnings.append(
            f"the validation part has {measured:,} {unit}s, more than the {learned:,} that are learned from, and is "
            f"read after every epoch of every child; --set data.validation_limit={enough} measures on the first of them"
        )
    return TextReport(
        name=name,
        unit=unit,
        counts={part: len(tokens) for part, tokens in parts.items()},
        vocabulary=len(vocabulary),
        unknown=unknown,
        beyond_ascii=tuple(islice((token for token in vocabulary if not token.isascii()), 8)),
        defects=tuple(found),
        warnings=tuple(warnings),
        notes=reading.notes,
    )
