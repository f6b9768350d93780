"""Where texts come from: files, folders, the Penn Treebank, Python's own help, the Hub."""

from __future__ import annotations

import os
import shlex
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from netwright.config import known_encoding
from netwright.data.hub import SPLITS, columns_of_text, load_hub
from netwright.data.listing import Defect, SplitName, shown
from netwright.data.text_file import UnreadableError, read_pieces
from netwright.data.tokens import END, WRITTEN_END, Ids, TokenIds, Unit, split_into_tokens
from netwright.errors import DataError
from netwright.wording import counted

TEXT_SOURCES = ("pydoc", "ptb", "ptb:DIR", "text:FILE-or-DIR", "hf:NAME")

HELD_OUT = 0.1
"""Share of the training tokens that becomes a part which the source does not have."""

ReadPieces = Callable[[Path], Iterator[str]]
"""Reads a file in pieces, see :func:`read_pieces`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where the text of each part comes from, in pieces, what its file is called, and what a user should know.

    Attributes:
        texts: The pieces.
        files: What the file of a part is called.
        notes: How it is read.
        warnings: What a user should know.
    """

    texts: Mapping[SplitName, Iterable[str]]
    files: Mapping[SplitName, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The tokens of a source: what could be read, what could not, and what a user should know.

    Attributes:
        tokens: The distinct tokens of all parts by id, in the order in which they first stand there.
        parts: The token ids of each part: of all three where ``train`` could be read.
        defects: Files that could not be read.
        notes: How it was read.
        warnings: What a user should know.
    """

    tokens: tuple[str, ...]
    parts: Mapping[SplitName, TokenIds]
    defects: tuple[Defect, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def counts(self, part: TokenIds) -> dict[str, int]:
        """How often each token stands in a part; only those that do."""
        counts = np.bincount(part, minlength=len(self.tokens)).tolist()
        return {token: count for token, count in zip(self.tokens, counts, strict=True) if count}


def read_tokens(source: Source, unit: Unit) -> Reading:
    """Reads every part of a source, and makes those that it lacks."""
    ids = Ids()
    parts: dict[SplitName, TokenIds] = {}
    defects: list[Defect] = []
    written: list[int] = []
    for part, pieces in source.texts.items():
        numbers = array("i")
        try:
            for tokens in split_into_tokens(_watched(pieces, written), unit):
                numbers.extend(map(ids.__getitem__, tokens))
        except UnreadableError as error:
            defects.append(Defect(source.files[part], str(error)))
        else:
            parts[part] = np.frombuffer(numbers, dtype=np.int32)
    if "train" in parts:
        parts = _with_all_parts(parts)
    warnings = list(source.warnings)
    if unit == "word" and (lines := sum(written)):
        # Both ends stay: without one of them, the text of a run that was begun before would be another one.
        warnings.append(
            f"{counted(lines, 'line')} with {END} written at the end, which is a word, and the end of the line another "
            f"{END}, which is then certain: perplexity comes out too low; take the written ones out of the text"
        )
    return Reading(tokens=tuple(ids), parts=parts, defects=tuple(defects), notes=source.notes, warnings=tuple(warnings))


def _watched(pieces: Iterable[str], written: list[int]) -> Iterator[str]:
    """The same pieces; how many lines of each end in a written end is added to ``written``."""
    for piece in pieces:
        written.append(len(WRITTEN_END.findall(piece)))
        yield piece


def read_source(source: str, unit: Unit, encoding: str) -> Reading:
    """Reads and counts the tokens of a source."""
    read = partial(read_pieces, encoding=known_encoding(encoding), in_words=unit == "word")
    return read_tokens(_find(source, read), unit)


def _find(source: str, read: ReadPieces) -> Source:
    kind, _, place = source.partition(":")
    match kind, place:
        case "pydoc", "":
            return Source(texts={part: (text,) for part, text in _pydoc().items()})
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


def _find_in_folder(folder: Path, read: ReadPieces, prefix: str = "") -> Source:
    """``train.txt``, ``valid.txt`` and ``test.txt`` of a folder, the last two where they are there."""
    files: dict[SplitName, Path] = {}
    for name, part in SPLITS.items():
        for file in (folder / f"{prefix}{name}.txt", folder / f"{name}.txt"):
            if file.is_file():
                files.setdefault(part, file)
    others = sorted(file.name for file in folder.glob("*.txt") if file not in files.values())
    if "train" not in files:
        expected = f"{folder}: expected a file {prefix}train.txt, and perhaps {prefix}valid.txt and {prefix}test.txt"
        raise DataError(f"{expected}{_how_to_join(folder, others)}")
    said = (f"{len(others)} other files of text are left out: {shown(others)}",) if others else ()
    return _files(files, folder, read, said)


def _how_to_join(folder: Path, others: Sequence[str]) -> str:
    """What to do with files of text that are no parts; nothing where there are none."""
    if not others:
        return ""
    joined = "joined.text"  # an ending of its own, so that the file is none of those that go into it
    return (
        f"; found {counted(len(others), 'other file')} of text, {shown(others)}: join them in the order that is meant, "
        f"e.g. cat {shlex.quote(str(folder))}/*.txt > {joined}, and name that file (text:{joined})"
    )


def _files(files: Mapping[SplitName, Path], folder: Path, read: ReadPieces, warnings: tuple[str, ...] = ()) -> Source:
    return Source(
        warnings=warnings,
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


TEXT_COLUMNS = ("text", "content", "document", "sentence", "body")
"""Names by which a column of text is known among several, in this order."""


def _read_hub(name: str) -> Source:
    """A column of strings of a data set of the Hub, a row per line: the only one, or the one that is called as text is.

    Raises:
        DataError: There is none, or several of which none is called so; names them.
    """
    loaded = load_hub(name)
    parts = {SPLITS[split]: part for split, part in loaded.items() if split in SPLITS}
    if "train" not in parts:
        raise DataError(f"hf:{name}: expected a split 'train', got {', '.join(map(repr, loaded))}")
    features = parts["train"].features
    texts = columns_of_text(features)
    by_name = {column.lower(): column for column in texts}
    known = [by_name[column] for column in TEXT_COLUMNS if column in by_name]
    if not texts:
        raise DataError(f"hf:{name}: expected a column of text, got {shown(list(features))}")
    if len(texts) > 1 and not known:
        raise DataError(
            f"hf:{name}: several columns of text, {shown(texts)}, and none is called {' or '.join(TEXT_COLUMNS)}; "
            "rename the one that is meant to 'text', or leave only that one"
        )
    column = (known or texts)[0]
    if lacking := [split for split, part in parts.items() if column not in part.column_names]:
        raise DataError(f"hf:{name}: the column '{column}' of the split 'train' is not in {shown(lacking)}")
    lines = {
        split: "".join(row.rstrip("\n") + "\n" for row in part[column] if row is not None)
        for split, part in parts.items()
    }
    left_out = tuple(f"split '{split}' is left out" for split in loaded if split not in SPLITS)
    return Source(
        texts={split: (text,) for split, text in lines.items()},
        notes=(f"text from column '{column}'",),
        warnings=left_out,
    )


def _with_all_parts(parts: Mapping[SplitName, TokenIds]) -> dict[SplitName, TokenIds]:
    """``parts`` with a test and a validation part, cut off the end of the training part if need be."""
    found, train, share = dict(parts), parts["train"], round(HELD_OUT * len(parts["train"]))
    missing: tuple[SplitName, ...] = ("test", "validation")
    for part in missing:
        if part not in found:
            kept = len(train) - share
            train, found[part] = train[:kept], train[kept:]
    return found | {"train": train}
