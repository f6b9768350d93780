"""A whole source decoded once: its pixels, and on the way all that is worth knowing about it.

One pass serves the search, which needs the pixels, and ``netwright data check``, which needs the facts. Pixels are kept
in pieces that are given away as the parts of the data are filled from them, so that there is never a second copy.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netwright.data.decoding import Depth, decode, size_text, sizes_problem
from netwright.data.listing import Defect, Listing, Picture, Sample, SplitName
from netwright.errors import DataError
from netwright.machine import available_bytes, resident_bytes

PIECE = 2**25
"""Bytes of pixels that are kept in one piece."""

EXAMPLES = 10
"""Of what is found more often, so many are kept for a report."""

FEW_LEVELS = 32
"""Levels of grey below which deep pixels have lost what they showed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a source holds, apart from pixels.

    Attributes:
        sizes: Number of images by (height, width) in pixels as they are in their files, the most common first.
        channels: Number of images by channels: 1 grey, 3 RGB.
        copies: Where the same picture stands twice -> how often, and the first of them.
        bits: That white takes in the pixels that have more than 8; 16 where there are none.
        levels: Different levels that are left of those; None where there are none.
    """

    sizes: Mapping[tuple[int, int], int]
    channels: Mapping[int, int]
    copies: Mapping[str, tuple[int, tuple[str, ...]]]
    bits: int = 16
    levels: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON, for the cache."""
        return {
            "sizes": [[*size, count] for size, count in self.sizes.items()],
            "channels": [[of, count] for of, count in self.channels.items()],
            "copies": [[where, count, list(first)] for where, (count, first) in self.copies.items()],
            "bits": self.bits,
            "levels": self.levels,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Facts:
        """What :meth:`to_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            sizes={(height, width): count for height, width, count in content["sizes"]},
            channels=dict(content["channels"]),
            copies={where: (count, tuple(first)) for where, count, first in content["copies"]},
            bits=content["bits"],
            levels=content["levels"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """All readable images of a source, in its own splits.

    Attributes:
        shape: Channels, rows and columns of every image; None where they differ.
        labels: Per split, int64 [N].
        groups: Per split, int64 [N]: equal for images of equal pixels.
        facts: What else is known of them.
        defects: The samples that could not be read.
        pieces: Gives the pixels, once: pieces uint8 [n, C, H, W] in order, split by split.
    """

    shape: tuple[int, int, int] | None
    labels: Mapping[SplitName, NDArray[np.int64]]
    groups: Mapping[SplitName, NDArray[np.int64]]
    facts: Facts
    defects: tuple[Defect, ...]
    pieces: Drains

    @property
    def total(self) -> int:
        """How many images there are, readable or not."""
        return len(self.defects) + sum(map(len, self.labels.values()))

    @property
    def without_images(self) -> list[SplitName]:
        """The splits of which no image is readable."""
        return [split for split, labels in self.labels.items() if not len(labels)]


class Drains(Protocol):
    """Pixels that are given away in pieces."""

    def drain(self) -> Iterator[tuple[SplitName, NDArray[np.uint8]]]:
        """Pieces uint8 [n, C, H, W] in order, split by split; each forgotten once the next one is asked for."""
        ...


class Pieces:
    """Pixels of images of one shape, in pieces; grey ones become RGB as soon as one is in colour."""

    def __init__(self) -> None:
        self._filled: list[tuple[SplitName, NDArray[np.uint8]]] = []
        self._split: SplitName = "train"
        self._piece: NDArray[np.uint8] = np.empty((0, 1, 0, 0), np.uint8)
        self._used = 0
        self.channels = 1

    def add(self, split: SplitName, picture: Picture) -> None:
        """Keeps a copy of a picture."""
        self.channels = max(self.channels, len(picture))
        shape = (self.channels, *picture.shape[1:])
        if self._used == len(self._piece) or split != self._split or self._piece.shape[1:] != shape:
            self._close()
            self._split = split
            size = max(self.channels * picture[0].nbytes, 1)
            self._piece = np.empty((max(PIECE // size, 1), *shape), np.uint8)
        self._piece[self._used] = picture  # grey is repeated
        self._used += 1

    def _close(self) -> None:
        if self._used:
            self._filled.append((self._split, self._piece[: self._used]))
        self._piece, self._used = np.empty((0, 1, 0, 0), np.uint8), 0

    def __iter__(self) -> Iterator[tuple[SplitName, NDArray[np.uint8]]]:
        """The pieces, which are kept."""
        self._close()
        for split, piece in self._filled:
            yield split, piece if piece.shape[1] == self.channels else np.repeat(piece, self.channels, axis=1)

    def drain(self) -> Iterator[tuple[SplitName, NDArray[np.uint8]]]:
        """The pieces, each forgotten once the next one is asked for."""
        self._close()
        self._filled.reverse()
        while self._filled:
            split, piece = self._filled.pop()
            yield split, piece if piece.shape[1] == self.channels else np.repeat(piece, self.channels, axis=1)


@dataclass(slots=True)
class _Survey:
    """What is learned of a source while its pictures pass."""

    classes: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    labels: dict[SplitName, list[int]] = field(default_factory=dict)
    groups: dict[SplitName, list[int]] = field(default_factory=dict)
    defects: list[Defect] = field(default_factory=list)
    copies: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    seen: dict[bytes, tuple[SplitName, str, int]] = field(default_factory=dict)

    def see(self, split: SplitName, sample: Sample, picture: Picture, own_size: tuple[int, int]) -> None:
        """Takes a picture into account."""
        assert sample.label is not None
        self.labels[split].append(sample.label)
        self.sizes[own_size] += 1
        self.channels[len(picture)] += 1
        digest = digest_of(picture)
        self.groups[split].append(int.from_bytes(digest[:8], "little", signed=True))
        if digest not in self.seen:
            self.seen[digest] = split, sample.file, sample.label
            return
        first_split, first, label = self.seen[digest]
        where = f"in {first_split} and in {split}" if first_split != split else f"twice in {split}"
        what = " under two classes" if label != sample.label else ""
        self.counts[where + what] += 1
        if len(examples := self.copies.setdefault(where + what, [])) < EXAMPLES:
            examples.append(f"{first} = {sample.file}")

    def facts(self, depth: Depth) -> Facts:
        """All of it."""
        return Facts(
            sizes=dict(self.sizes.most_common()),
            channels=dict(self.channels),
            copies={where: (self.counts[where], tuple(first)) for where, first in self.copies.items()},
            bits=depth.bits,
            levels=int(depth.levels.sum()) if depth.highest >= 0 else None,
        )


def digest_of(picture: Picture) -> bytes:
    """Of the pixels, not the file: the same picture saved again has other bytes, and grey saved in colour three."""
    if len(picture) == 3 and np.array_equal(picture[0], picture[1]) and np.array_equal(picture[0], picture[2]):
        picture = picture[:1]
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).digest()


def decode_listing(name: str, listing: Listing, image_size: int | None, *, keep: bool = True) -> Decoded:
    """Decodes a whole source.

    Images of different sizes are no error here: nothing is kept of their pixels.

    Args:
        name: How messages name the source.
        listing: What to decode.
        image_size: Side in pixels of the square to which all images are resized; None keeps their size.
        keep: Whether the pixels are wanted, and not only the facts.

    Raises:
        DataError: They do not fit into memory.
    """
    decoded, needed = _decode(name, listing, image_size, Depth(), keep)
    if needed < decoded.facts.bits:
        del decoded
        decoded, _ = _decode(name, listing, image_size, Depth(bits=needed), keep)
    return decoded


def _decode(name: str, listing: Listing, image_size: int | None, depth: Depth, keep: bool) -> tuple[Decoded, int]:
    """The source at some depth, and the depth that it needs."""
    survey, pieces = _Survey(len(listing.classes)), Pieces()
    survey.labels |= {split: [] for split in listing.parts}
    survey.groups |= {split: [] for split in listing.parts}
    room = _Room(name, listing)
    shape: tuple[int, ...] | None = None
    even = True
    for split, samples in listing.parts.items():
        for sample in samples:
            read = decode(sample, len(listing.classes), image_size, depth)
            if isinstance(read, Defect):
                survey.defects.append(read)
                continue
            picture, own_size = read
            survey.see(split, sample, picture, own_size)
            shape = shape or picture.shape[1:]
            if even and picture.shape[1:] != shape:
                even, pieces = False, Pieces()  # Nothing can be learned from these; the rest is only counted.
            if even and keep:
                room.take(picture)
                pieces.add(split, picture)
    decoded = Decoded(
        shape=(max(survey.channels), shape[0], shape[1]) if even and shape is not None else None,
        labels={split: np.array(of, np.int64) for split, of in survey.labels.items()},
        groups={split: np.array(of, np.int64) for split, of in survey.groups.items()},
        facts=survey.facts(depth),
        defects=tuple(survey.defects),
        pieces=pieces,
    )
    return decoded, depth.needed()


class _Room:
    """Memory that images may take: all that processes here may hold, less this process and one like it, a worker."""

    def __init__(self, name: str, listing: Listing) -> None:
        self._name = name
        self._all = memory_for_images()
        self._left = self._all
        sized = [len(samples) for samples in listing.parts.values() if isinstance(samples, Sized)]
        self._expected = sum(sized) if len(sized) == len(listing.parts) else 0
        self._taken = 0

    def take(self, picture: Picture) -> None:
        """Counts a picture.

        Raises:
            DataError: It has no room any more, or all of them together will have none.
        """
        if self._all is None or self._left is None:
            return
        self._left -= picture.nbytes
        expected = self._expected * picture.nbytes if not self._taken else 0
        if self._left < 0 or expected > self._all:
            found = f"{self._expected} of" if expected > self._all else f"more than {self._taken} of"
            raise DataError(
                f"{self._name}: expected images that fit into the {self._all / 2**20:,.0f} MiB of memory that are left "
                f"for them here, got {found} {size_text(picture.shape[1:])}; make them smaller, e.g. "
                "--set data.image_size=64, or give more memory"
            )
        self._taken += 1


def memory_for_images() -> int | None:
    """Bytes of memory that images may take here; None where the system does not tell."""
    whole = available_bytes()
    return None if whole is None else max(int((whole - 2 * resident_bytes()) / 1.1), 0)


def readable(name: str, decoded: Decoded) -> None:
    """Checks that every split of a source has something to learn from.

    Raises:
        DataError: No image of one is readable.
    """
    for split in decoded.without_images:
        last = decoded.defects[-1] if decoded.defects else None
        problem = f", {last.file}: {last.problem}" if last else ""
        raise DataError(f"{name}: expected readable images in '{split}', got none{problem}")


def even(name: str, decoded: Decoded) -> None:
    """Checks that the images of a source are of one size.

    Raises:
        DataError: They are not; names the sizes, and the fix.
    """
    if decoded.shape is None:
        raise DataError(f"{name}: {sizes_problem(decoded.facts.sizes)}")
