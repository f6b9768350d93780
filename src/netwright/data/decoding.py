"""From a listed sample to pixels: the policy for every kind of image file, and what counts as unreadable.

Whatever a file holds becomes uint8 [C, H, W], grey or RGB:

=============================  ======================================================================
black and white, 8-bit grey    grey
grey in files of 16 bits       grey, scaled alike in all images of a source; see :class:`Depth`
palette, CMYK, YCbCr, Lab      RGB
transparency                   laid over white
EXIF orientation               applied, so that up is up
animation                      its first frame
floating-point pixels          refused: what is white is not known
more than Pillow's safe size   JPEG at a fraction, if resized; else refused from the header, before any memory
                               is taken
=============================  ======================================================================

When one image of a source is in colour, all grey ones become RGB. Sizes are unified only when asked for.
"""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from netwright.data.listing import Defect, Picture, Sample
from netwright.errors import printable, reason

# Only these: Pillow would run Ghostscript for a file that says it is PostScript, whatever its name.
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "PPM", "TIFF")
SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff"),
    }
)


UNREAD = {
    **dict.fromkeys((".heic", ".heif"), "HEIC"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx"), "JPEG 2000"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"), "the raw data of a camera"),
    ".avif": "AVIF",
    ".jxl": "JPEG XL",
    ".tga": "TGA",
    ".psd": "a Photoshop document",
    ".exr": "OpenEXR",
    ".dcm": "DICOM",
}
"""Endings of pictures in formats that are not read, and what to call them."""

DEEP_BITS = (8, 10, 12, 14, 16)
"""What sensors have, and programs that write 8 bits into files of 16; deep pixels are scaled by the least of these that
holds the largest of a source."""

METADATA = 2**26
"""Bytes of text and colour profiles that a PNG may hold, unpacked; nothing here looks at them."""


@dataclass(slots=True)
class Depth:
    """Pixels in files of more than 8 bits in a source, while it is read.

    Attributes:
        bits: That white takes.
        highest: The largest value met so far; -1 where there was none.
        levels: Which of 256 levels are left of them, bool [256].
    """

    bits: int = 16
    highest: int = -1
    levels: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, bool))

    def needed(self) -> int:
        """The bits that the pixels met so far take; 16 where none was met."""
        return 16 if self.highest < 0 else next(bits for bits in DEEP_BITS if self.highest < 2**bits)

    def in_eight(self, deep: NDArray[np.int64]) -> Picture:
        """Pixels scaled to 8 bits, the same for all images."""
        self.highest = max(self.highest, int(deep.max(initial=0)))
        scaled = (deep >> (self.bits - 8)).clip(0, 255).astype(np.uint8)
        self.levels[np.unique(scaled)] = True
        return scaled


Size = tuple[int, int]
"""Height and width in pixels."""


def is_picture(file: Path) -> bool:
    """Whether a file is one by its ending; one of a format that is not read is a defect, and not left out unsaid."""
    return file.suffix.lower() in SUFFIXES or file.suffix.lower() in UNREAD


def decode(
    sample: Sample, classes: int, image_size: int | None = None, depth: Depth | None = None
) -> tuple[Picture, Size] | Defect:
    """The pixels of one sample and the size that it had of itself, or why it has none.

    Args:
        sample: What to decode.
        classes: Number of classes, to check the label.
        image_size: Side in pixels of the square to resize to; None keeps the size.
        depth: Of the source; see :func:`pixels`.
    """
    if sample.label is None:
        return Defect(sample.file, "has no label of a known class")
    if not 0 <= sample.label < classes:
        return Defect(sample.file, f"label {sample.label} is outside 0..{classes - 1}")
    if sample.content is None:
        return Defect(sample.file, "has no image")
    size = None if image_size is None else (image_size, image_size)
    if isinstance(sample.content, np.ndarray):
        own = sample.content.shape[1], sample.content.shape[2]
        return (sample.content if size is None else _resized(sample.content, size)), own
    return _read_file(sample.content, sample.file, size, depth)


def decode_file(
    content: Path | bytes, name: str, size: Size | None = None, depth: Depth | None = None
) -> Picture | Defect:
    """The pixels of an image file, or why it has none.

    Args:
        content: The file, or what is in it.
        name: How a defect names it.
        size: Height and width in pixels to resize to; None keeps the size.
        depth: Of the source; see :func:`pixels`.
    """
    read = _read_file(content, name, size, depth)
    return read if isinstance(read, Defect) else read[0]


def _read_file(
    content: Path | bytes, name: str, size: Size | None, depth: Depth | None
) -> tuple[Picture, Size] | Defect:
    try:
        if isinstance(content, Path) and not content.is_file():
            return Defect(name, "is a broken link or no regular file")
        if isinstance(content, Path) and (unread := UNREAD.get(content.suffix.lower())):
            return Defect(name, f"is {unread}, which is not read; convert it to PNG or JPEG")
        if not (content.stat().st_size if isinstance(content, Path) else content):
            return Defect(name, "is empty (0 bytes)")
        with warnings.catch_warnings(), _room_for_metadata():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd but readable files, and on large ones.
            opened = Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=FORMATS)
            with opened as image:
                own = image.height, image.width
                if (problem := _too_large(image, size)) is not None:
                    return Defect(name, problem)
                picture = pixels(image, size, depth)
                return picture, own[::-1] if _is_turned(image) else own
    except Image.DecompressionBombError as error:
        number = re.search(r"\((\d+) pixels\)", str(error))
        return Defect(name, _megapixels(int(number[1]) if number else 2 * (Image.MAX_IMAGE_PIXELS or 0)))
    except UnidentifiedImageError:
        return Defect(name, f"is no image in a known format ({', '.join(FORMATS)})")
    except MemoryError:  # which no picture is to blame for: those that are too large are refused by their headers
        raise
    # Pillow's plug-ins raise nearly anything on damaged bytes: SyntaxError, struct.error, zlib.error, IndexError.
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # Pillow's own have none
            return Defect(name, f"cannot be read: {printable(reason(error))}", passing=True)
        return Defect(name, f"cannot be decoded: {printable(str(error) or type(error).__name__)}")


def _is_turned(image: Image.Image) -> bool:
    """Whether EXIF says that width and height change places."""
    return image.getexif().get(0x0112, 1) in (5, 6, 7, 8)


@contextmanager
def _room_for_metadata() -> Iterator[None]:
    """Opens pictures with much text in them, as those who make pictures by prompts and those who scan leave them."""
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = METADATA
    try:
        yield
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = before


def _too_large(image: Image.Image, size: Size | None) -> str | None:
    """Why an opened image is not to be decoded, for its size; one that can be is made smaller as it is decoded."""
    limit, whole = Image.MAX_IMAGE_PIXELS, image.width * image.height
    if limit is None or whole <= limit:
        return None
    if size is not None:
        image.draft(None, (4 * size[1], 4 * size[0]))  # of JPEG only: a half, a quarter or an eighth of each side
    return None if image.width * image.height <= limit else _megapixels(whole)


def _megapixels(found: int) -> str:
    limit = Image.MAX_IMAGE_PIXELS or 0
    return f"has {found / 1e6:,.0f} megapixels, more than the {limit / 1e6:.0f} that are read safely; make it smaller"


def pixels(image: Image.Image, size: Size | None = None, depth: Depth | None = None) -> Picture:
    """The pixels of an opened image under this module's policy.

    Args:
        image: Any image that Pillow has opened.
        size: Height and width in pixels to resize to (bilinear); None keeps the size.
        depth: By which pixels of more than 8 bits are scaled, of the source that the image is of; 16 bits without it.

    Raises:
        ValueError: The pixels have no known range.
        Exception: What Pillow raises on damaged bytes.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels, of which white is not known; convert it to 8 bits")
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() >= 2**16:
            raise ValueError("32-bit pixels, of which white is not known; convert it to 8 bits")
        image = Image.fromarray((depth or Depth()).in_eight(deep))
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.has_transparency_data:
        overlay = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", overlay.size, "white"), overlay)
    image = image.convert(mode)
    if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[None] if mode == "L" else np.ascontiguousarray(array.transpose(2, 0, 1))


def size_text(size: tuple[int, ...]) -> str:
    """A size (height, width) as users know it: width first."""
    return f"{size[1]}x{size[0]}"


def sizes_problem(sizes: Mapping[Size, int]) -> str:
    """What to tell about images of different sizes, given the number of images of each (height, width)."""
    common = Counter(sizes).most_common()
    found = ", ".join(f"{size_text(size)} ({images})" for size, images in common[:5])
    more = f" and {len(common) - 5} more sizes" if len(common) > 5 else ""
    return (
        f"expected images of one size, got (width x height, images) {found}{more}; "
        f"resize all to one square with --set data.image_size={min(common[0][0])}"
    )


def _resized(picture: Picture, size: Size) -> Picture:
    image = Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))
    return pixels(image, size)
