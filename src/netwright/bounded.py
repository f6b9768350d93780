"""Reading a file that anybody may have made: as much as it can mean, and only from what is a file."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

MOST = 2**26
"""Bytes of a file of settings, of a task or of a report; a vocabulary of a million words takes a quarter of it."""


def read_bounded(path: Path, most: int = MOST) -> bytes:
    """The bytes of a regular file.

    Args:
        path: Links are followed; a pipe or a device, from which one could read for ever, is refused.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, or longer.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("expected a regular file")
        if status.st_size > most:
            raise ValueError(f"expected at most {most} bytes, got {status.st_size}")
        return file.read(most)


def read_json_object(path: Path, most: int = MOST) -> dict[str, Any]:
    """A JSON object in a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON object, or too large.
    """
    try:
        content = json.loads(read_bounded(path, most))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {type(content).__name__}")
    return content
