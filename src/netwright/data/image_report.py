"""``netwright data check``: everything worth knowing about a source of images before anything learns from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netwright.data.decoding import decode, size_text, sizes_problem
from netwright.data.image_sources import list_images
from netwright.data.listing import Defect, Sample, SplitName, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """What is in a source of images, and what is wrong with it.

    Attributes:
        name: The source.
        sizes: Number of images by (height, width) in pixels, the most common first.
        channels: 1 when all images are grey, else 3; 0 when none can be read.
        counts: Per split that the source has, the readable images of each class.
        defects: What ``load_images`` refuses, by file name.
        warnings: What it accepts but a user should know.
    """

    name: str
    sizes: Mapping[tuple[int, int], int]
    channels: int
    counts: Mapping[SplitName, Mapping[str, int]]
    defects: tuple[Defect, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report as plain text."""
        colour = {0: "nothing readable", 1: "grey", 3: "RGB"}[self.channels]
        sizes = [f"{size_text(size)} ({images})" for size, images in self.sizes.items()]
        text = [f"source   {self.name}", f"pixels   {colour}, width x height (images): {shown(sizes)}", ""]
        classes = list(next(iter(self.counts.values())))
        width = max(map(len, [*classes, "class"]))
        text.append(f"{'class':{width}}" + "".join(f"{split:>12}" for split in self.counts))
        for name in classes:
            text.append(f"{name:{width}}" + "".join(f"{of[name]:>12}" for of in self.counts.values()))
        text.append(f"{'all':{width}}" + "".join(f"{sum(of.values()):>12}" for of in self.counts.values()))
        text += ["", f"{len(self.defects)} defects"] + [f"  {defect.file} {defect.problem}" for defect in self.defects]
        text += [f"{len(self.warnings)} warnings"] + [f"  {warning}" for warning in self.warnings]
        return text


def check_images(source: str) -> DataReport:
    """Reads every image of a source, and never stops at a defect.

    Args:
        source: One of :data:`netwright.data.IMAGE_SOURCES`.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
    """
    listing = list_images(source)
    counts = {split: dict.fromkeys(listing.classes, 0) for split in listing.parts}
    sizes: Counter[tuple[int, int]] = Counter()
    channels: Counter[int] = Counter()
    defects = list(listing.defects)
    seen: dict[bytes, tuple[SplitName, Sample]] = {}
    copies: dict[str, list[str]] = {}
    for split, samples in listing.parts.items():
        for sample in samples:
            picture = decode(sample, len(listing.classes))
            if isinstance(picture, Defect):
                defects.append(picture)
                continue
            assert sample.label is not None
            counts[split][listing.classes[sample.label]] += 1
            sizes[picture.shape[1:]] += 1
            channels[len(picture)] += 1
            # Of the pixels, not the file: the same picture saved again has other bytes.
            digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
            if digest not in seen:
                seen[digest] = split, replace(sample, content=None)
                continue
            first_split, first = seen[digest]
            where = f"in {first_split} and in {split}" if first_split != split else f"twice in {split}"
            what = " under two classes" if first.label != sample.label else ""
            copies.setdefault(where + what, []).append(f"{first.file} = {sample.file}")

    if len(sizes) > 1:
        defects.append(Defect("(all files)", sizes_problem(sizes)))
    warnings = [
        *listing.notes,
        *(f"the same image {where} ({len(of)}): {shown(of, 5)}" for where, of in copies.items()),
    ]
    if len(channels) > 1:
        warnings.append(f"grey images ({channels[1]}) among RGB ({channels[3]}): all become RGB")
    return DataReport(
        name=source,
        sizes=dict(sizes.most_common()),
        channels=max(channels, default=0),
        counts=counts,
        defects=tuple(defects),
        warnings=tuple(warnings),
    )
