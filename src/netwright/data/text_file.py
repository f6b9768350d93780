"""Text files, read piece by piece: a file of any size, in one line or many, is never in memory as a whole."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20
"""Bytes that are read at a time: a multiple of four, so that no unit of UTF-16 or UTF-32 is cut."""

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""What a file in an encoding of wide units begins with."""


class UnreadableError(Exception):
    """A file that is no text in the expected encoding; the message continues its name, and tells the fix."""


def read_pieces(file: Path, encoding: str = "utf-8") -> Iterator[str]:
    """The text of a file in pieces, none of them empty; without a byte-order mark, its ends of line as they are.

    Args:
        file: To read.
        encoding: As :func:`netwright.config.known_encoding` accepts it.

    Raises:
        UnreadableError: The file cannot be read, is not in this encoding, holds a zero byte, or nothing but blanks;
            tells the byte offset from 0, and what else it is likely to be.
    """
    decoder = codecs.getincrementaldecoder(_with_mark(encoding))()
    unit = len("\0\0".encode(encoding)) - len("\0".encode(encoding))
    read, blank = 0, True
    for chunk in _chunks(file):
        if unit == 1 and not read and (wide := _by_mark(chunk)):
            raise UnreadableError(f"is {wide.upper()} by the mark at byte offset 0; {_fix(wide)}")
        if (zero := _find_zero(chunk, unit)) >= 0:
            problem = f"is not text: a zero byte at byte offset {read + zero}"
            wide = _by_zeros(chunk) if unit == 1 else None
            raise UnreadableError(f"{problem}; perhaps it is {wide}: {_fix(wide)}" if wide else problem)
        read += len(chunk)
        try:
            piece = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            # What the decoder could not read begins with what it kept of the last chunk, and ends where this one does.
            offset, guess = read - len(error.object) + error.start, _guess(error.object, encoding)
            raise UnreadableError(
                f"is not {encoding.upper()}: byte 0x{error.object[error.start]:02x} at byte offset {offset}; "
                f"perhaps it is {guess}: {_fix(guess)}"
            ) from None
        except UnicodeError as error:  # of the encodings of domain names
            raise UnreadableError(f"is not {encoding.upper()}: {error}") from None
        if piece:
            blank = blank and piece.isspace()
            yield piece
    if blank:
        raise UnreadableError("is empty")


def _chunks(file: Path) -> Iterator[bytes]:
    """The bytes of a file; the last chunk is empty."""
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    yield b""


def _with_mark(encoding: str) -> str:
    """UTF-8 may begin with a mark, too, which is no part of the text."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _find_zero(chunk: bytes, unit: int) -> int:
    """Where the first zero character begins, of so many bytes each; -1 when there is none."""
    place = chunk.find(bytes(unit))
    while place >= 0 and place % unit:
        place = chunk.find(bytes(unit), place + 1)
    return place


def _guess(content: bytes, given: str) -> str:
    """The encoding that text is likely in, which is not in the given one."""
    # Latin-1 and Windows' agree but for the bytes from 0x80 to 0x9f, which are quotation marks in the latter only.
    western = "windows-1252" if any(0x80 <= byte <= 0x9F for byte in content) else "latin-1"
    likely = (name for name in ("utf-8", western) if codecs.lookup(name).name != codecs.lookup(given).name)
    return next((name for name in likely if _decodes(content, name)), "latin-1")


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def _by_mark(content: bytes) -> str | None:
    """The encoding of wide units that content begins with the mark of; None without one."""
    return next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), None)


def _by_zeros(content: bytes) -> str | None:
    """UTF-16 where every other byte is often zero, as in all languages that have blanks; None where not."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    if max(even, odd) < max(4, len(content) // 40) or 10 * min(even, odd) > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _fix(encoding: str) -> str:
    """What to do about a file in this encoding."""
    return f"--set data.encoding={encoding} reads it (data check: --encoding {encoding}), or save it as UTF-8"
