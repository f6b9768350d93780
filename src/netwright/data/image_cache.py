"""Decoded images on disk, so that a source is decoded once and then only read.

There is one file per source and image size, and it may be deleted at any time. It holds tensors, never code. A file is
written under another name and then renamed, so readers see a whole one or none; one that is out of date, damaged or of
another version of the decoder is decoded and written again. Where nothing can be written, nothing is cached; nor is
what lacks images that the system could not read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from netwright.data.listing import Defect, Listing, SplitName
from netwright.data.survey import PIECE, Decoded, Facts, Pieces, decode_listing

DECODER_VERSION = 3
"""To be raised whenever the same file would decode to other pixels, or more is kept of it."""

LONGEST_HEADER = 2**26
"""Bytes; what is longer is no file of ours."""

_log = logging.getLogger(__name__)


def decode_cached(name: str, listing: Listing, image_size: int | None) -> Decoded:
    """As :func:`netwright.data.survey.decode_listing`, but from the cache if nothing has changed.

    Args:
        name: How messages name the source.
        listing: What to decode; without a key it is never cached.
        image_size: Side in pixels of the square to resize to; None keeps the size.

    Raises:
        DataError: See :func:`netwright.data.survey.decode_listing`.
    """
    if listing.key is None:
        return decode_listing(name, listing, image_size)
    stamp = json.dumps([DECODER_VERSION, name, listing.key, listing.classes, image_size])
    digest = hashlib.sha256(f"{name} {image_size}".encode()).hexdigest()
    try:
        file = cache_folder() / f"images-{digest[:16]}.safetensors"
        return _read(file, stamp)
    except RuntimeError:  # There is neither NETWRIGHT_CACHE nor a home.
        return decode_listing(name, listing, image_size)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        _log.debug("no decoded images of %s to reuse: %s", name, error)
    decoded = decode_listing(name, listing, image_size)
    if decoded.shape is None:  # it cannot be learned from as it is
        return decoded
    if any(defect.passing for defect in decoded.defects):  # nothing that the key knows changes when they can be read
        return decoded
    try:
        _write(file, stamp, decoded)
    except OSError as error:
        _log.warning("cannot keep the decoded images of %s, so the next run decodes them again: %s", name, error)
    return decoded


def cache_folder() -> Path:
    """Where decoded data is kept: ``$NETWRIGHT_CACHE``, or ``~/.cache/netwright``.

    Raises:
        RuntimeError: The user has no home.
    """
    named = os.environ.get("NETWRIGHT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "netwright"


class _Stored:
    """Pixels in a file of the cache, read as they are asked for; see :class:`netwright.data.survey.Pieces`."""

    def __init__(self, file: BufferedReader, places: Iterable[tuple[SplitName, int, tuple[int, ...]]]) -> None:
        self._file = file
        self._places = list(places)

    def __del__(self) -> None:
        self._file.close()  # nobody has asked for the pixels

    def drain(self) -> Iterator[tuple[SplitName, NDArray[np.uint8]]]:
        """The pixels, piece by piece."""
        with self._file as file:
            for split, start, (count, *shape) in self._places:
                file.seek(start)
                at_once = max(PIECE // max(prod(shape), 1), 1)
                for begun in range(0, count, at_once):
                    piece = np.empty((min(at_once, count - begun), *shape), np.uint8)
                    if file.readinto(piece.data.cast("B")) != piece.nbytes:
                        raise OSError(f"{file.name}: cut while it was read")
                    yield split, piece


def _read(file: Path, stamp: str) -> Decoded:
    """What was kept; the file stays open until its pixels are asked for.

    Raises:
        OSError, ValueError, KeyError, TypeError, RecursionError: It is not there, out of date or damaged.
    """
    stored = file.open("rb")
    try:
        (length,) = struct.unpack("<Q", stored.read(8).ljust(8, b"\0"))
        if not 0 < length <= LONGEST_HEADER:
            raise ValueError("it is no file of tensors")
        header: dict[str, Any] = json.loads(stored.read(length))
        about = header.pop("__metadata__")
        if about["stamp"] != stamp:
            raise ValueError("it was made from other files, or by another version")
        if about["checksum"] != _checksum(iter(lambda: stored.read(2**20), b"")):
            raise ValueError("its bytes have changed")
        arrays: dict[str, NDArray[np.int64]] = {}
        places: list[tuple[SplitName, int, tuple[int, ...]]] = []
        splits: list[SplitName] = [split for split in get_args(SplitName) if f"images.{split}" in header]
        for split in splits:
            entry = header[f"images.{split}"]
            places.append((split, 8 + length + entry["data_offsets"][0], tuple(entry["shape"])))
            for name in (f"labels.{split}", f"groups.{split}"):
                begin, end = header[name]["data_offsets"]
                stored.seek(8 + length + begin)
                arrays[name] = np.frombuffer(stored.read(end - begin), np.int64)
        _, channels, height, width = places[0][2]
        return Decoded(
            shape=(channels, height, width),
            labels={split: arrays[f"labels.{split}"] for split in splits},
            groups={split: arrays[f"groups.{split}"] for split in splits},
            facts=Facts.from_json(json.loads(about["facts"])),
            defects=tuple(Defect(*defect) for defect in json.loads(about["defects"])),
            pieces=_Stored(stored, places),
        )
    except BaseException:
        stored.close()
        raise


def _write(file: Path, stamp: str, decoded: Decoded) -> None:
    """Keeps what was decoded, as safetensors, written piece by piece."""
    assert decoded.shape is not None
    header: dict[str, Any] = {}
    end = 0
    for split, labels in decoded.labels.items():
        for name, kind, shape, size in (
            (f"images.{split}", "U8", [len(labels), *decoded.shape], 1),
            (f"labels.{split}", "I64", [len(labels)], 8),
            (f"groups.{split}", "I64", [len(labels)], 8),
        ):
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end := end + size * prod(shape)]}
    assert isinstance(decoded.pieces, Pieces)
    about = {
        "stamp": stamp,
        "checksum": _checksum(_content(decoded, decoded.pieces)),
        "facts": json.dumps(decoded.facts.to_json()),
        "defects": json.dumps([(defect.file, defect.problem) for defect in decoded.defects]),
    }
    beginning = json.dumps({"__metadata__": about} | header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=file.parent, prefix=file.stem)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(struct.pack("<Q", len(beginning)) + beginning)
            stream.writelines(_content(decoded, decoded.pieces))
        os.replace(unfinished, file)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _content(decoded: Decoded, pieces: Pieces) -> Iterator[Any]:
    """All bytes in the order of the file, piece by piece."""
    waiting = iter(pieces)
    ahead = next(waiting, None)
    for split, labels in decoded.labels.items():
        while ahead is not None and ahead[0] == split:
            yield ahead[1].data.cast("B")
            ahead = next(waiting, None)
        yield labels.tobytes()
        yield decoded.groups[split].tobytes()


def _checksum(content: Iterable[Any]) -> str:
    """CRC-32: 0.1 seconds for CIFAR-10, and finds what a bad disk or a cut copy does."""
    checksum = 0
    for piece in content:
        checksum = zlib.crc32(piece, checksum)
    return f"{checksum:08x}"
