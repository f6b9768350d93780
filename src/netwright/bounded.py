"""Reading a file that anybody may have made: as much as it can mean, and only from what is a file."""

from __future__ import annotations

import json
import os
import stat
from io import BufferedReader
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
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > most:
            raise ValueError(f"expected at most {most} bytes, got {size}")
        return file.read(most)


def open_regular(path: Path) -> BufferedReader:
    """A file opened for reading, if it is one: a pipe or a device, from which one could read for ever, is refused.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("expected a regular file")
    return os.fdopen(descriptor, "rb")


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
