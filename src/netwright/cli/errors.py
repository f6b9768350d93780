"""What a command says to a person: texts that no terminal obeys, and one line for an error of whatever library.

A library's own error that comes this far is what a person has given it (a place that cannot be written, a machine
without memory), and is told in a sentence with the exit code that the documentation has for it. Anything else is a bug
of ours, and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
import sys

import typer

from netwright.errors import NetwrightError, StorageError, UsageError, printable, printable_lines

BUG, USAGE, STORAGE = 1, UsageError.exit_code, StorageError.exit_code
"""Exit codes."""


def echo(text: str, *, nl: bool = True) -> None:
    """Prints a text that may hold names from files: what would give a terminal orders is spelled out."""
    typer.echo(printable_lines(text), nl=nl)


def explained(error: BaseException) -> tuple[str, int] | None:
    """What to say of an error, and the exit code; None of one that is a bug.

    Args:
        error: As it came out of a command.
    """
    if isinstance(error, NetwrightError):
        return printable_lines(str(error)), error.exit_code
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return (
            "there is not enough memory; use fewer workers, smaller data (data.image_size), or a larger machine",
            USAGE,
        )
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{printable(os.fsdecode(error.filename))}: " if isinstance(error.filename, str | bytes) else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
        return (
            f"{place}{os.strerror(error.errno)}; name another place, or make this one usable",
            STORAGE if full else USAGE,
        )
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "a path with a zero character, which no file can have", USAGE
    return None


def end_with(error: BaseException) -> None:
    """Ends the process with one line and an exit code for an error that is no bug.

    Raises:
        BaseException: The error, if it is one.
    """
    if isinstance(error, BrokenPipeError):  # whoever reads has had enough, as head(1) does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the interpreter does not fail as it flushes at its end
        raise SystemExit(128 + 13)
    said = explained(error)
    if said is None:
        raise error
    print(f"error: {said[0]}", file=sys.stderr)
    raise SystemExit(said[1])
