"""From a listed sample to pixels: the policy for every kind of image file, and what counts as unreadable.

Whatever a file holds becomes uint8 [C, H, W], grey or RGB:

=============================  ======================================================================
black and white, 8-bit grey    grey
16-bit grey                    grey, the high byte of each pixel
palette, CMYK, YCbCr, Lab      RGB
transparency                   laid over white
EXIF orientation               applied, so that up is up
animation                      its first frame
floating-point pixels          refused: what is white is not known
more than Pillow's safe size   refused from the header, before any memory is taken
=============================  ======================================================================

When one image of a source is in colour, all grey ones become RGB. Sizes are unified only when asked for.
"""

from __future__ import annotations

import io
import os
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from netwright.data.listing import Defect, Listing, Picture, Sample, SplitName
from netwright.errors import DataError

# Only these: Pillow would run Ghostscript for a file that says it is PostScript, whatever its name.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """All readable images of a source, in its own splits.

    Attributes:
        images: Per split, uint8 [N, C, H, W]; C, H and W are the same in all splits.
        labels: Per split, int64 [N].
        defects: The samples that could not be read.
    """

    images: Mapping[SplitName, Tensor]
    labels: Mapping[SplitName, Tensor]
    defects: tuple[Defect, ...]


def decode_listing(name: str, listing: Listing, image_size: int | None) -> Decoded:
    """Decodes a whole source into tensors.

    Args:
        name: How messages name the source.
        listing: What to decode.
        image_size: Side in pixels of the square to which all images are resized; None keeps their size.

    Raises:
        DataError: The images have different sizes; they do not fit into memory; or no image of a split is readable.
    """
    room = _memory_bytes() // 2
    pictures: dict[SplitName, list[Picture]] = {split: [] for split in listing.parts}
    labels: dict[SplitName, list[int]] = {split: [] for split in listing.parts}
    sizes: Counter[tuple[int, int]] = Counter()
    defects: list[Defect] = []
    for split, samples in listing.parts.items():
        for sample in samples:
            picture = decode(sample, len(listing.classes), image_size)
            if isinstance(picture, Defect):
                defects.append(picture)
                continue
            assert sample.label is not None
            labels[split].append(sample.label)
            sizes[picture.shape[1:]] += 1
            if len(sizes) > 1:
                continue  # Nothing can be learned from these any more; the rest is only counted for the message.
            pictures[split].append(picture)
            room -= picture.nbytes
            if room < 0:
                raise DataError(
                    f"{name}: expected images that fit into half of this machine's memory "
                    f"({_memory_bytes() / 2**30:.1f} GiB), got more than {sum(sizes.values()) - 1} of "
                    f"{size_text(picture.shape[1:])}; make them smaller, e.g. --set data.image_size=64"
                )
        if not labels[split]:
            problem = f", {defects[-1].file}: {defects[-1].problem}" if defects else ""
            raise DataError(f"{name}: expected readable images in '{split}', got none{problem}")
    if len(sizes) > 1:
        raise DataError(f"{name}: {sizes_problem(sizes)}")
    channels = max(picture.shape[0] for split in pictures.values() for picture in split)
    images: dict[SplitName, Tensor] = {}
    for split in listing.parts:
        same = [np.repeat(picture, channels // len(picture), axis=0) for picture in pictures.pop(split)]
        images[split] = torch.from_numpy(np.stack(same))
    return Decoded(images, {split: torch.tensor(of) for split, of in labels.items()}, tuple(defects))


def decode(sample: Sample, classes: int, image_size: int | None = None) -> Picture | Defect:
    """The pixels of one sample, or why it has none.

    Args:
        sample: What to decode.
        classes: Number of classes, to check the label.
        image_size: Side in pixels of the square to resize to; None keeps the size.
    """
    if sample.label is None:
        return Defect(sample.file, "has no label of a known class")
    if not 0 <= sample.label < classes:
        return Defect(sample.file, f"label {sample.label} is outside 0..{classes - 1}")
    if sample.content is None:
        return Defect(sample.file, "has no image")
    size = None if image_size is None else (image_size, image_size)
    if isinstance(sample.content, np.ndarray):
        return sample.content if size is None else _resized(sample.content, size)
    return decode_file(sample.content, sample.file, size)


def decode_file(content: Path | bytes, name: str, size: tuple[int, int] | None = None) -> Picture | Defect:
    """The pixels of an image file, or why it has none.

    Args:
        content: The file, or what is in it.
        name: How a defect names it.
        size: Height and width in pixels to resize to; None keeps the size.
    """
    try:
        if isinstance(content, Path) and not content.is_file():
            return Defect(name, "is a broken link or no regular file")
        if not (content.stat().st_size if isinstance(content, Path) else content):
            return Defect(name, "is empty (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd but readable files.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=FORMATS)
            with opened as image:
                return pixels(image, size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Defect(name, f"is a decompression bomb: more than {Image.MAX_IMAGE_PIXELS:,} pixels")
    except UnidentifiedImageError:
        return Defect(name, f"is no image in a known format ({', '.join(FORMATS)})")
    # Pillow's plug-ins raise nearly anything on damaged bytes: SyntaxError, struct.error, zlib.error, IndexError.
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Defect(name, f"cannot be decoded: {reason}")


def pixels(image: Image.Image, size: tuple[int, int] | None = None) -> Picture:
    """The pixels of an opened image under this module's policy.

    Args:
        image: Any image that Pillow has opened.
        size: Height and width in pixels to resize to (bilinear); None keeps the size.

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
        image = Image.fromarray((deep >> 8).astype(np.uint8))
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


def sizes_problem(sizes: Counter[tuple[int, int]]) -> str:
    """What to tell about images of different sizes, given the number of images of each (height, width)."""
    common = sizes.most_common()
    found = ", ".join(f"{size_text(size)} ({images})" for size, images in common[:5])
    more = f" and {len(common) - 5} more sizes" if len(common) > 5 else ""
    return (
        f"expected images of one size, got (width x height, images) {found}{more}; "
        f"resize all to one square with --set data.image_size={min(common[0][0])}"
    )


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    image = Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0))
    return pixels(image, size)


def _memory_bytes() -> int:
    """Physical memory of the machine; where the system does not tell (Windows), 16 GiB."""
    if not hasattr(os, "sysconf"):
        return 16 * 2**30
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
