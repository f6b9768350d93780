"""An evaluator that reads a table."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from netwright.errors import ArchitectureError, DataError
from netwright.spaces.architecture import Architecture, ChoiceArchitecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Option
from netwright.trial import Evaluation

Choices = tuple[tuple[str, Option], ...]


class TabularEvaluator:
    """Answers from a table what training would have given.

    Args:
        name: Of the table, for messages and reports.
        space: The networks of the table.
        runs: What was measured on each network, once per training. Accuracies in [0, 1]; the metric ``test`` is what
            a comparison reports.
    """

    def __init__(self, name: str, space: ChoiceSpace, runs: Mapping[Choices, tuple[Evaluation, ...]]) -> None:
        self.name = name
        self.space = space
        self._runs = runs

    def evaluate(
        self, architecture: Architecture, seed: int, report: Callable[[int, float], None] | None = None
    ) -> Evaluation:
        """One of the runs of ``architecture``, chosen by ``seed``.

        Raises:
            ArchitectureError: The architecture is of another space, or not in the table.
        """
        if not isinstance(architecture, ChoiceArchitecture) or architecture.space != self.space.name:
            raise ArchitectureError(
                f"{self.name}: expected an architecture of the space {self.space.name!r}, got {architecture!r}"
            )
        runs = self._runs.get(architecture.choices)
        if runs is None:
            cell = ", ".join(f"{name}={option}" for name, option in architecture.choices)
            raise ArchitectureError(f"{self.name}: not in the table: {cell}")
        return runs[seed % len(runs)]

    def __len__(self) -> int:
        return len(self._runs)


def read_text(path: Path) -> str:
    """The text of a table's file, which may be compressed: ``.gz``.

    Raises:
        DataError: It cannot be read.
    """
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: expected a file compressed by gzip: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; is --table the path of the file?") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, got other bytes at offset {error.start}") from None


def fraction(value: object, place: str) -> float:
    """An accuracy in per cent, as tables have it, as a fraction.

    Args:
        value: A number, or its text.
        place: File, line and column, for the message.

    Raises:
        DataError: Not a number between 0 and 100.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 <= number <= 100:
        raise DataError(
            f"{place}: expected an accuracy from 0 to 100, got {value!r}; correct or remove the table's row"
        )
    return number / 100
