"""What a source of images holds, and what is wrong with it: said by ``netwright data check`` and by every search.

One piece of code makes the report for both, of one decoding and one division, so that a search warns of all that the
check warns of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netwright.data.decoding import size_text, sizes_problem
from netwright.data.grouping import divided_groups, grouped
from netwright.data.image_sources import list_images
from netwright.data.listing import Defect, Listing, SplitName, found_lines, shown
from netwright.data.splits import divide
from netwright.data.survey import FEW_LEVELS, Decoded, decode_listing
from netwright.errors import DataError
from netwright.wording import counted

TOO_FEW = 100
"""Examples of a part below which its accuracy tells little: it moves in steps of 1 %."""

MAJORITY = 0.75
"""Share of one class in a part from which on its accuracy tells little."""

Parts = Mapping[SplitName, tuple[SplitName, NDArray[np.int64]]]
"""Where the examples of each part stand; see :func:`netwright.data.splits.divide`."""


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
        notes: How it was read.
        remedy: What to do about the defects; empty where there are none, or others than images that cannot be used.
    """

    name: str
    sizes: Mapping[tuple[int, int], int] = field(default_factory=dict)
    channels: int = 0
    counts: Mapping[SplitName, Mapping[str, int]] = field(default_factory=dict)
    uses: Mapping[SplitName, int] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remedy: str = ""

    def lines(self) -> list[str]:
        """The report as plain text."""
        colour = {0: "nothing readable", 1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels} channels")
        sizes = [f"{size_text(size)} ({images})" for size, images in self.sizes.items()]
        text = [f"source   {self.name}", f"pixels   {colour}, width x height (images): {shown(sizes)}"]
        text += [f"read as  {note}" for note in self.notes] + [""]
        classes = list(next(iter(self.counts.values())))
        width = max(map(len, [*classes, "class"]))
        text.append(f"{'class':{width}}" + "".join(f"{split:>12}" for split in self.counts))
        for name in classes:
            text.append(f"{name:{width}}" + "".join(f"{of[name]:>12}" for of in self.counts.values()))
        text.append(f"{'all':{width}}" + "".join(f"{sum(of.values()):>12}" for of in self.counts.values()))
        text += [""] + [f"{number:,} images for {part}" for part, number in self.uses.items()]
        return [*text, "", *found_lines(self.defects, self.warnings), *([self.remedy] if self.remedy else [])]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON: ``data.json`` of a run folder."""
        return {
            "source": self.name,
            "read_as": list(self.notes),
            "sizes": [{"height": height, "width": width, "images": n} for (height, width), n in self.sizes.items()],
            "channels": self.channels,
            "counts": {split: dict(of) for split, of in self.counts.items()},
            "uses": dict(self.uses),
            "defects": [{"file": defect.file, "problem": defect.problem} for defect in self.defects],
            "warnings": list(self.warnings),
        }


def check_images(
    source: str,
    *,
    validation: int | float = 0.1,
    seed: int = 0,
    train_limit: int | None = None,
    validation_limit: int | None = None,
    image_size: int | None = None,
    skip_bad: float = 0.0,
    group: str | None = None,
) -> DataReport:
    """Reads every image of a source, and never stops at a defect.

    The arguments are those of :func:`load_images`, which refuses what is reported as a defect here.

    Raises:
        DataError: The source is unknown or missing, so there is nothing to report on.
    """
    listing = list_images(source)
    decoded = decode_listing(source, listing, image_size, keep=False)
    defects, remedy = list(listing.defects), ""
    if too_many_bad(decoded, skip_bad):
        remedy = "" if defects else remedy_of_bad(decoded)
        defects += decoded.defects
    defects += [
        Defect(f"({split} part)", "has no readable image; replace its files") for split in decoded.without_images
    ]
    if decoded.shape is None and decoded.facts.sizes:
        defects.append(Defect("(all files)", sizes_problem(dict(decoded.facts.sizes))))
    parts = None
    if not decoded.without_images:
        try:
            parts = divide(
                decoded.labels,
                validation=validation,
                seed=seed,
                train_limit=train_limit,
                validation_limit=validation_limit,
                groups=grouped(source, listing, decoded, group),
                named=group is not None,
            )
        except DataError as error:
            defects.append(Defect("(all files)", str(error)))
    report = report_on(
        source, listing, decoded, parts, image_size=image_size, skip_bad=skip_bad, group=group, defects=defects
    )
    return replace(report, remedy=remedy)


def too_many_bad(decoded: Decoded, skip_bad: float) -> bool:
    """Whether more images are unreadable than the share ``skip_bad`` of all."""
    return len(decoded.defects) > skip_bad * decoded.total


def remedy_of_bad(decoded: Decoded) -> str:
    """What to do about images that cannot be used, of which there are too many."""
    mended = "Remove or replace them"
    enough = math.ceil(len(decoded.defects) / decoded.total * 1000) / 1000  # rounded up to a number that will do
    if enough >= 1 or decoded.without_images:  # which is refused, or would leave nothing
        return mended
    return f"{mended}, or leave them out with --set data.skip_bad={enough:g}"


def report_on(
    name: str,
    listing: Listing,
    decoded: Decoded,
    parts: Parts | None,
    *,
    image_size: int | None,
    skip_bad: float,
    group: str | None,
    defects: Sequence[Defect] = (),
) -> DataReport:
    """What is to be said of a source that was listed, decoded and divided.

    Args:
        name: The source.
        listing: Of it.
        decoded: From the listing.
        parts: Its division; None where it cannot be divided.
        image_size: To which the images were resized; None where they were not.
        skip_bad: Share of unreadable images that may be left out.
        group: What stays together; see :func:`netwright.data.grouping.grouped`.
        defects: What is refused.
    """
    facts, classes = decoded.facts, listing.classes
    counts = {
        split: dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
        for split, labels in decoded.labels.items()
    }
    notes, warnings = list(listing.notes), list(listing.warnings)
    if not too_many_bad(decoded, skip_bad):
        warnings += [f"left out: {defect.file} {defect.problem}" for defect in decoded.defects]
    if image_size is not None and set(facts.sizes) - {(image_size, image_size)}:
        notes.append(f"all images are resized to {image_size}x{image_size}")
    for where, (count, first) in facts.copies.items():
        examples = shown(first, 5) if count <= 5 else f"{', '.join(first[:5])}, and {count - 5} more"
        warnings.append(f"the same image {where} ({count}): {examples}")
    warnings += divided_groups(listing, decoded, group)
    if len(facts.channels) > 1:
        warnings.append(f"grey images ({facts.channels[1]}) among RGB ({facts.channels[3]}): all become RGB")
    if facts.levels is not None:
        scaled = facts.bits > 8
        notes.append(f"pixels of {facts.bits} bits, {'scaled to 8' if scaled else 'in files of more'}")
        if scaled and facts.levels < FEW_LEVELS:
            warnings.append(
                f"only {facts.levels} levels are left of the pixels of {facts.bits} bits: they fill little of their "
                "range; scale them to 8 bits yourself"
            )
    if parts is not None:
        labels = {part: decoded.labels[split][positions] for part, (split, positions) in parts.items()}
        warnings += warnings_of_parts(labels, classes)
    return DataReport(
        name=name,
        sizes=facts.sizes,
        channels=max(facts.channels, default=0),
        counts=counts,
        uses={part: len(parts[part][1]) for part in ("train", "validation", "test")} if parts is not None else {},
        defects=tuple(defects),
        warnings=tuple(dict.fromkeys(warnings)),
        notes=tuple(notes),
    )


def warnings_of_parts(labels: Mapping[SplitName, NDArray[np.int64]], classes: Sequence[str]) -> list[str]:
    """What the parts of the data cannot tell: of a class that they lack, of few images, of one class above all.

    Args:
        labels: Of each part, int64 [N].
        classes: Their names.
    """
    found: list[str] = []
    anywhere = {classes[label] for of in labels.values() for label in np.unique(of).tolist()}
    for part, of in labels.items():
        counts = np.bincount(of, minlength=len(classes)).tolist()
        if lacking := [name for name, count in zip(classes, counts, strict=True) if not count and name in anywhere]:
            why = "no network can learn" if part == "train" else "its accuracy says nothing of"
            found.append(f"the {part} part has no images of {_named(lacking)}: {why} {_it(lacking)}")
    chosen_by = labels.get("validation")
    if chosen_by is None or not len(chosen_by):
        return found
    if len(chosen_by) < TOO_FEW:
        found.append(
            f"the validation part has only {counted(len(chosen_by), 'image')}: an accuracy moves in steps of "
            f"{1 / len(chosen_by):.2g}, and networks are chosen by chance; add images, or hold out more: "
            "--set data.validation=0.3"
        )
    sizes = np.bincount(chosen_by, minlength=len(classes))
    share = sizes.max() / len(chosen_by)
    if share >= MAJORITY:
        most = classes[int(sizes.argmax())]
        found.append(
            f"{share:.1%} of the validation part are of class '{most}': a network that always says so has accuracy "
            f"{share:.3g}; compare with that, bring classes of like size, or choose by the mean over the classes: "
            "--set child.measure=balanced-accuracy"
        )
    return found


def _named(classes: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in classes]
    return f"class {quoted[0]}" if len(classes) == 1 else f"{len(classes)} classes: {shown(quoted, 5)}"


def _it(classes: Sequence[str]) -> str:
    return "it" if len(classes) == 1 else "them"
