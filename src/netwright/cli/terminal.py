"""What a terminal shows beside the result of a command: its width, and what can be done next."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from netwright.errors import printable, printable_lines
from netwright.report.columns import wrapped


def across(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal that a stream (standard output without one) goes to; None where it goes elsewhere."""
    stream = stream or sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else None


def tell(sentence: str, *, whole: bool = False) -> None:
    """Says something beside the result, on standard error, broken between words on a terminal.

    Args:
        sentence: What to say.
        whole: It has a command to be copied, so it is left as it is: a terminal that wraps a line gives it back whole.
    """
    with suppress(OSError):  # nobody can read it; what it tells of goes on
        said = printable_lines(sentence)
        print(said if whole else wrapped(said, across(sys.stderr)), file=sys.stderr, flush=True)


def tell_next(steps: Mapping[str, str]) -> None:
    """Says what can be done next, on standard error: a command a line, to be pasted with what it is for behind it."""
    steps = {printable(step): purpose for step, purpose in steps.items()}
    width = max(map(len, steps))
    with suppress(OSError):
        for place, (step, purpose) in enumerate(steps.items()):
            print(f"{'      ' if place else 'next: '}{step:{width}}  # {purpose}", file=sys.stderr)
