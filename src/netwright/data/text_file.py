"""Text files, read piece by piece: a file of any size, in one line or many, is never in memory as a whole."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK = 1 << 20
"""Bytes that are read at a time: a multiple of four, so that no unit of UTF-16 or UTF-32 is cut."""

LONGEST_WORD = 1 << 20
"""Characters that a word may have; a longer one is no word, and would have to be in memory as a whole."""

MARK = "\ufeff"
"""The character that a file may begin with to tell its encoding; it is no part of the text."""

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The mark as the bytes of an encoding."""


class UnreadableError(Exception):
    """A file that is no text in the expected encoding; the message continues its name, and tells the fix."""


def read_pieces(file: Path, encoding: str = "utf-8", *, in_words: bool = False) -> Iterator[str]:
    """The text of a file in pieces, none of them empty; without a byte-order mark, its ends of line as they are.

    Args:
        file: To read.
        encoding: As :func:`netwright.config.known_encoding` accepts it.
        in_words: Refuse a word of more than :data:`LONGEST_WORD` characters.

    Raises:
        UnreadableError: The file cannot be read, is not in this encoding, begins with another's mark, holds a zero
            byte, too long a word, or nothing but blanks; tells the byte offset from 0, and what to do.
    """
    pieces = _decode(file, encoding)
    blank = True
    for piece in _without_long_words(pieces) if in_words else (piece for _, piece in pieces):
        blank = blank and piece.isspace()
        yield piece
    if blank:
        raise UnreadableError("is empty")


def _decode(file: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """The pieces of a text, each with the byte offset at which it was cut off the next."""
    decoder = codecs.getincrementaldecoder(encoding)()
    unit = len("\0\0".encode(encoding)) - len("\0".encode(encoding))
    read, begun, ascii_only = 0, False, True
    for chunk in _chunks(file):
        if chunk and not read:
            _check_mark(chunk, encoding)
        if (zero := _find_zero(chunk, unit)) >= 0:
            problem = f"is not text: a zero byte at byte offset {read + zero}"
            wide = _by_zeros(chunk) if unit == 1 else None
            raise UnreadableError(f"{problem}; {_perhaps(wide)}" if wide else problem)
        read += len(chunk)
        try:
            piece = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            # What the decoder could not read begins with what it kept of the last chunk, and ends where this one does.
            offset = read - len(error.object) + error.start
            if not chunk:
                raise UnreadableError(_cut_short(offset, encoding)) from None
            ascii_only = ascii_only and error.object[: error.start].isascii()
            raise UnreadableError(_undecodable(error, offset, encoding, ascii_only)) from None
        except UnicodeError as error:  # of the encodings of domain names
            raise UnreadableError(f"is not {encoding.upper()}: {error}") from None
        ascii_only = ascii_only and piece.isascii()
        text = piece if begun else piece.removeprefix(MARK)
        begun = begun or bool(piece)
        if text:
            yield read, text


def _without_long_words(pieces: Iterable[tuple[int, str]]) -> Iterator[str]:
    """The pieces, up to a word that is too long, which continues from piece to piece, as a piece has no such room."""
    length, cut = 0, 0  # of the word that the last piece ends in the middle of: its characters, and the byte offset
    for end, piece in pieces:
        head = 0 if piece[0].isspace() else len(piece.split(maxsplit=1)[0])
        length += head
        if length > LONGEST_WORD:
            raise UnreadableError(
                f"has a word of more than {LONGEST_WORD} characters, around byte offset {cut}; "
                "--set data.unit=character learns characters instead of words, or put blanks between its words"
            )
        if head < len(piece):
            length = 0 if piece[-1].isspace() else len(piece.rsplit(maxsplit=1)[-1])
        cut = end
        yield piece


def _chunks(file: Path) -> Iterator[bytes]:
    """The bytes of a file; the last chunk is empty."""
    given_by_a_shell = any(file.is_relative_to(place) for place in ("/dev/stdin", "/dev/fd", "/proc/self/fd"))
    if file.exists() and not file.is_file() and not given_by_a_shell:
        raise UnreadableError("is no regular file")  # a pipe, for which one could wait for ever
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    yield b""


def _check_mark(beginning: bytes, encoding: str) -> None:
    """Refuses a file that begins with the mark of another encoding, or without the mark that its own needs."""
    mark = next((mark for mark in MARKS if beginning.startswith(mark)), None)
    if mark and not _is_mark(mark, encoding):
        raise UnreadableError(f"is {MARKS[mark].upper()} by the mark at byte offset 0; {_fix(MARKS[mark])}")
    name = codecs.lookup(encoding).name
    if not mark and name in ("utf-16", "utf-32"):
        likely = _by_zeros(beginning) or ("utf-8" if _decodes(beginning, "utf-8") else None)
        fix = _perhaps(likely) if likely else f"name the order of its bytes: data.encoding={name}-le or {name}-be"
        raise UnreadableError(f"has no mark at byte offset 0, which {name.upper()} begins with; {fix}")


def _is_mark(mark: bytes, encoding: str) -> bool:
    """Whether these bytes are the mark in this encoding, too."""
    try:
        return mark.decode(encoding) in ("", MARK)
    except UnicodeError:
        return False


def _find_zero(chunk: bytes, unit: int) -> int:
    """Where the first zero character begins, of so many bytes each; -1 when there is none."""
    place = chunk.find(bytes(unit))
    while place >= 0 and place % unit:
        place = chunk.find(bytes(unit), place + 1)
    return place


def _cut_short(offset: int, encoding: str) -> str:
    """What is said of a file that ends in a character; nothing is guessed, since all before it could be read."""
    return (
        f"ends in the middle of a character of {encoding.upper()}, at byte offset {offset}: was it cut short? "
        "Copy it again, or remove what is left of the character"
    )


def _undecodable(error: UnicodeDecodeError, offset: int, encoding: str, ascii_before: bool) -> str:
    """What is said of a byte; it tells of another encoding only where no other than ASCII characters precede it."""
    problem = f"is not {encoding.upper()}: byte 0x{error.object[error.start]:02x} at byte offset {offset}"
    guess = _guess(error.object, encoding) if ascii_before else None
    if guess:
        return f"{problem}; {_perhaps(guess)}"
    return f"{problem}; mend or remove it, unless the whole file is in another encoding"


def _guess(content: bytes, given: str) -> str | None:
    """The encoding that text is likely in, which is not in the given one; None where none fits."""
    # Latin-1 and Windows' agree but for the bytes from 0x80 to 0x9f, which are quotation marks in the latter only.
    western = "windows-1252" if any(0x80 <= byte <= 0x9F for byte in content) else "latin-1"
    likely = (name for name in ("utf-8", western, "latin-1") if codecs.lookup(name).name != codecs.lookup(given).name)
    return next((name for name in likely if _decodes(content, name)), None)


def _decodes(content: bytes, encoding: str) -> bool:
    """Whether this is the beginning of a text in an encoding of bytes."""
    try:
        return "\0" not in codecs.getincrementaldecoder(encoding)().decode(content)
    except UnicodeDecodeError:
        return False


def _by_zeros(content: bytes) -> str | None:
    """UTF-16 where every other byte is often zero, as in all languages that have blanks; None where not."""
    even, odd = content[::2].count(0), content[1::2].count(0)
    if max(even, odd) < max(4, len(content) // 40) or 10 * min(even, odd) > max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _perhaps(encoding: str) -> str:
    return f"perhaps it is {encoding}: {_fix(encoding)}"


def _fix(encoding: str) -> str:
    """What to do about a file in this encoding."""
    shown = f"look at what `netwright data check --encoding {encoding}` shows"
    fix = f"--set data.encoding={encoding} would read it ({shown})"
    return fix if encoding == "utf-8" else f"{fix}, or save it as UTF-8"
