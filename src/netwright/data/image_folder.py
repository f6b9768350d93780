"""``images:DIR``: a folder per class, with ``train``, ``valid`` and ``test`` above them if there is such a level."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from netwright.data.decoding import SUFFIXES
from netwright.data.listing import Defect, Listing, Sample, SplitName, files_key, shown
from netwright.errors import DataError

SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def list_folder(root: Path) -> Listing:
    """Lists the images below ``root``, of which every class has a folder.

    Images may lie at any depth inside a class folder. Hidden files and folders are left out, and files that are no
    images are counted. Links to folders inside a class are not followed, so that a loop of links ends.

    Args:
        root: The folder. If it has a folder ``train`` that holds folders, then its own folders are splits
            (:data:`SPLIT_FOLDERS`), otherwise they are classes.

    Raises:
        DataError: The folder is missing, unreadable, or has no images in class folders.
    """
    tops = _folders(root)
    if any(SPLIT_FOLDERS.get(top.name.lower()) == "train" and _folders(top) for top in tops):
        splits = [(split, top) for top in tops for name, split in SPLIT_FOLDERS.items() if top.name.lower() == name]
        splits.sort(key=lambda pair: get_args(SplitName).index(pair[0]))
        strays = [f"{top.name}/" for top in tops if top.name.lower() not in SPLIT_FOLDERS]
    elif len(tops) > 1 and all(top.name.lower() in SPLIT_FOLDERS for top in tops):
        raise DataError(
            f"{root}: expected a folder per class in {' and in '.join(f'{top.name}/' for top in tops)}, got none; "
            f"the layout is {root}/{tops[0].name}/CLASS/IMAGE"
        )
    else:
        splits, strays = [("train", root)], []
    classes = tuple(sorted({folder.name for _, top in splits for folder in _folders(top)}))

    samples: dict[SplitName, list[Sample]] = {}
    files: list[Path] = []
    defects: list[Defect] = []
    notes: list[str] = []
    for split, top in splits:
        strays += [_text(file, root) for file in sorted(top.iterdir()) if file.is_file() and _visible(file.name)]
        for label, name in enumerate(classes):
            images = []
            for file in _files(top / name, defects):
                if file.suffix.lower() in SUFFIXES:
                    images.append(Sample(_text(file, root), file, label))
                    files.append(file)
                else:
                    strays.append(_text(file, root))
            if images:
                samples.setdefault(split, []).extend(images)
            elif split == "train":
                defects.append(Defect(f"{_text(top / name, root)}/", "has no images; fill it or remove the class"))
            else:
                notes.append(f"the {split} part has no images of class '{_printable(name)}'")
    if not files:
        raise DataError(
            f"{root}: expected images ({', '.join(sorted(SUFFIXES))}) in {root}/CLASS/, "
            f"got {len(classes)} folders and no image in them"
        )
    if len(classes) == 1:
        defects.append(Defect(f"{_printable(classes[0])}/", "is the only class; a classifier needs two or more"))
    if strays:
        notes.append(f"{len(strays)} ignored, not images in a class folder: {shown(strays)}")
    return Listing(
        classes=tuple(_printable(name) for name in classes),
        parts=samples,
        key=files_key(files),
        defects=tuple(defects),
        notes=tuple(notes),
    )


def _folders(folder: Path) -> list[Path]:
    """The visible folders in ``folder``, sorted; a link to a folder is one."""
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_dir() and _visible(entry.name))
    except OSError as error:
        raise DataError(f"{folder}: expected a folder with one folder per class, got: {error.strerror}") from error


def _files(folder: Path, defects: list[Defect]) -> Iterator[Path]:
    """All visible files below ``folder``, in a fixed order; a folder that cannot be entered becomes a defect."""

    def refuse(error: OSError) -> None:
        # A class that this split does not have is no folder at all, and reported as empty.
        if not isinstance(error, FileNotFoundError):
            defects.append(Defect(_printable(str(error.filename)), f"cannot be entered: {error.strerror}"))

    for path, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(filter(_visible, folders))
        yield from (Path(path, name) for name in sorted(names) if _visible(name))


def _visible(name: str) -> bool:
    return not name.startswith(".")


def _text(path: Path, root: Path) -> str:
    """How messages name a file: relative to the source."""
    return _printable(path.relative_to(root).as_posix())


def _printable(name: str) -> str:
    """A name that every terminal and log can take; on disk it need not be text."""
    return name.encode(errors="backslashreplace").decode()
