"""Places where a process that writes a run can be made to die, so that tests can show that nothing is lost there."""

from __future__ import annotations

import os
from collections import Counter

VARIABLE = "NETWRIGHT_CRASH_AT"
"""The environment variable: the label of a point, and after a colon at which time it is passed (1 without it)."""

EXIT_CODE = 137
"""As after ``kill -9``."""

LABELS = (
    "folder.made",
    "folder.described",
    "folder.stored",
    "folder.done",
    "file.written",
    "file.flushed",
    "file.renamed",
    "config.replaced",
    "start.files",
    "start.rows",
    "start.done",
    "finish.checkpoint",
    "finish.file",
    "finish.row",
    "finish.update",
    "finish.done",
    "finish.pruned",
    "passed.rows",
    "rebuild.made",
    "rebuild.moved",
    "rebuild.done",
)
"""Every step between the first byte of a run and the last one of a trial, in the order in which they are passed."""

_passed: Counter[str] = Counter()


def crash_point(label: str) -> None:
    """Ends the process here, without any tidying up, where the environment variable asks for it."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    assert label in LABELS, f"{label}: not in LABELS, so no test dies there"
    _passed[label] += 1
    name, _, time = wanted.partition(":")
    if label == name and _passed[label] == int(time or 1):
        os._exit(EXIT_CODE)
