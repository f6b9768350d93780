"""``netwright data check``: everything worth knowing about a source of images before anything learns from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netwright.data.decoding import decode, size_text, sizes_problem
from netwright.data.image_sources import list_images
from netwright.data.listing import Defect, Sample, SplitName, shown
from netwright.data.splits import divide
from netwright.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class DataReport:
    """What is in a source of images, and what is wrong with it.

    Attributes:
        name: The source.
        sizes: Number of images by (height, width) in pixels, the most common first.
        channels: 1 when all images are grey, else 3; 0 when none can be read.
        counts: Per split that the source has, the readable images of each class.
        uses: Images to learn from, to choose by and to test with, as the settings divide them.
        defects: What ``load_images`` refuses, by file name.
        warnings: What it accepts but a user should know.
    """

    name: str
    sizes: Mapping[tuple[int, int], int]
    channels: int
    counts: Mapping[SplitName, Mapping[str, int]]
    uses: Mapping[SplitName, int]
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
        text += [""] + [f"{number:,} images for {part}" for part, number in self.uses.items()]
        text += ["", f"{len(self.defects)} defects"] + [f"  {defect.file} {defect.problem}" for defect in self.defects]
        text += [f"{len(self.warnings)} warnings"] + [f"  {warning}" for warning in self.warnings]
        return text


def check_images(
    source: str,
    *,
    validation: int | float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    image_size: int | None = None,
    skip_bad: float = 0.0,
) -> DataReport:
    """Reads every image of a source, and never stops at a defect.

    The arguments are those of :func:`load_images`, which refuses what is reported as a defect here.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
    """
    listing = list_images(source)
    counts = {split: dict.fromkeys(listing.classes, 0) for split in listing.parts}
    sizes: Counter[tuple[int, int]] = Counter()
    channels: Counter[int] = Counter()
    labels: dict[SplitName, list[int]] = {split: [] for split in listing.parts}
    defects = list(listing.defects)
    unreadable: list[Defect] = []
    seen: dict[bytes, tuple[SplitName, Sample]] = {}
    copies: dict[str, list[str]] = {}
    for split, samples in listing.parts.items():
        for sample in samples:
            picture = decode(sample, len(listing.classes))
            if isinstance(picture, Defect):
                unreadable.append(picture)
                continue
            assert sample.label is not None
            counts[split][listing.classes[sample.label]] += 1
            labels[split].append(sample.label)
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

    warnings = list(listing.notes)
    if len(unreadable) > skip_bad * (len(unreadable) + sum(sizes.values())):
        defects += unreadable
    else:
        warnings += [f"left out: {defect.file} {defect.problem}" for defect in unreadable]
    if image_size is not None and set(sizes) != {(image_size, image_size)}:
        warnings.append(f"all images are resized to {image_size}x{image_size}")
    elif len(sizes) > 1:
        defects.append(Defect("(all files)", sizes_problem(sizes)))
    uses: dict[SplitName, int] = {}
    if all(labels.values()):
        try:
            parts = divide(
                labels,
                validation=validation,
                seed=seed,
                train_limit=train_limit,
                validation_limit=validation_limit,
            )
            uses = {part: len(parts[part][1]) for part in ("train", "validation", "test")}
        except DataError as error:
            defects.append(Defect("(all files)", str(error)))
    warnings += [
        *(f"the same image {where} ({len(of)}): {shown(of, 5)}" for where, of in copies.items()),
    ]
    if len(channels) > 1:
        warnings.append(f"grey images ({channels[1]}) among RGB ({channels[3]}): all become RGB")
    return DataReport(
        name=source,
        sizes=dict(sizes.most_common()),
        channels=max(channels, default=0),
        counts=counts,
        uses=uses,
        defects=tuple(defects),
        warnings=tuple(warnings),
    )
