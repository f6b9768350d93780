"""``trials/<id>/trial.json``: all that the database knows of a trial, so that it can be rebuilt from the folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from netwright.bounded import read_bounded
from netwright.errors import StorageError
from netwright.store.rows import Session, TrialRow, columns_of, row_of
from netwright.trial import Update

TRIAL_FILE = "trial.json"
LARGEST = 1 << 24
"""Bytes; a traceback and a long curve are a thousandth of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """A trial with all that was written together with it.

    Attributes:
        row: In the table of trials.
        update: The controller's, which the trial's end brought about.
        sha256: Of the checkpoint of that update.
        session: The one that ended the trial, and how long it had run by then.
    """

    row: TrialRow
    update: Update | None = None
    sha256: str | None = None
    session: Session | None = None

    def file(self, run: Path) -> dict[Path, str]:
        """Its path in a run folder, and its text: JSON with a digest of its own, against flipped bits.

        Raises:
            ValueError: A number is not finite.
        """
        content = {"trial": columns_of(self.row), "update": None, "sha256": self.sha256, "session": None}
        content |= {name: asdict(part) for name in ("update", "session") if (part := getattr(self, name)) is not None}
        return {_path(run, self.row.id): json.dumps({"digest": _digest(content)} | content, indent=1) + "\n"}


def read_record(run: Path, number: int) -> TrialRecord:
    """Reads what :meth:`TrialRecord.file` wrote, of a run that anybody may have made.

    Raises:
        StorageError: It is not there, damaged, or says what no trial can say; names the file.
    """
    path = _path(run, number)
    try:
        record = _parsed(json.loads(read_bounded(path, LARGEST)))
        if record.row.id != number:
            raise ValueError(f"is of trial {record.row.id}")
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(f"{path}: damaged: {error}") from None
    return record


def _parsed(content: dict[str, Any]) -> TrialRecord:
    digest = content.pop("digest")
    if digest != _digest(content):
        raise ValueError("its digest is of another content")
    row, update, session = content["trial"], content["update"], content["session"]
    sha256 = content["sha256"]
    for name, part in (("update", update), ("session", session)):
        numbers = {} if part is None else {k: v for k, v in part.items() if k not in ("started_at",)}
        if not all(type(value) in (int, float) and isfinite(value) for value in numbers.values()):
            raise ValueError(f"{name}: expected finite numbers, got {numbers}")
    if not isinstance(sha256, str | None):
        raise ValueError(f"sha256: expected a text, got {sha256!r}")
    return TrialRecord(
        row=row_of(row),
        update=None if update is None else Update(**update),
        sha256=sha256,
        session=None if session is None else Session(**session),
    )


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _path(run: Path, number: int) -> Path:
    return run / "trials" / str(number) / TRIAL_FILE
