"""``images:DIR``: a folder per class, with ``train``, ``valid`` and ``test`` above or below if there is such a level.

What cannot be meant is refused: folders that could be parts of the data as well as classes, so that no network learns
to tell training images from test images.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from netwright.data.decoding import SUFFIXES, is_picture
from netwright.data.listing import Defect, Listing, Sample, SplitName, files_key, shown
from netwright.errors import DataError, printable

SPLIT_WORDS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "valid": "validation",
    "validation": "validation",
    "validate": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
}
"""What the folder of a part is called."""

FILLERS = frozenset(
    {"set", "sets", "data", "dataset", "images", "image", "imgs", "img", "folder", "split", "part", "the"}
)
"""Words that a name may have beside it and mean the same."""

SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "#snapshot", "@recycle", "$recycle.bin", "recycler", "system volume information"),
        *("__macosx", "lost+found", "found.000", "thumbnails", "__pycache__"),
    }
)
"""What systems put into folders of their own accord: thumbnails, bins, resource forks."""

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder with the images of one class for one part."""

    split: SplitName
    label: str
    folder: Path


@dataclass(slots=True)
class _Found:
    """What the walk through a source has met."""

    samples: dict[SplitName, list[Sample]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    defects: list[Defect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    system: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


def list_folder(root: Path) -> Listing:
    """Lists the images below ``root``, of which every class has a folder.

    Images may lie at any depth inside a class folder. Hidden files and folders and those of the system are left out,
    and files that are no images are counted. Links to folders inside a class are not followed, so that a loop of links
    ends.

    Args:
        root: The folder. If it has folders named as parts are (:data:`SPLIT_WORDS`), one of them for training, that
            hold folders, then its own folders are parts; if all its folders hold nothing but such folders, then those
            are; otherwise it holds classes alone.

    Raises:
        DataError: The folder is missing, unreadable, has no images in class folders, or can be read in two ways.
    """
    found = _Found()
    if root.is_file():
        raise DataError(
            f"{root}: expected a folder with one folder per class, got a file; unpack it if it is an archive"
        )
    tops = _folders(root, found, root)
    places = _layout(root, tops, found)
    classes = tuple(sorted({place.label for place in places}))
    _warn_of_like_names(classes, found)
    for split in get_args(SplitName):
        for label, name in enumerate(classes):
            here = [place for place in places if place.split == split and place.label == name]
            _list_class(split, label, name, [place.folder for place in here], root, found, places)
    if not found.files:
        raise DataError(
            f"{root}: expected images ({', '.join(sorted(SUFFIXES))}) in {root}/CLASS/, "
            f"got {len(classes)} folders and no image in them"
        )
    if "train" not in found.samples:
        raise DataError(
            f"{root}: expected images to learn from in {_train_folder(root, places)}CLASS/, got none; there are some "
            f"only for {' and '.join(found.samples)}"
        )
    if len(classes) == 1:
        found.defects.append(Defect(f"{printable(classes[0])}/", "is the only class; a classifier needs two or more"))
    return Listing(
        classes=tuple(printable(name) for name in classes),
        parts=found.samples,
        key=files_key(found.files),
        defects=tuple(found.defects),
        notes=tuple(found.notes),
        warnings=tuple(_left_out(found) + found.warnings),
        has_paths=True,
    )


def _left_out(found: _Found) -> list[str]:
    """What a user may believe to be among the images."""
    said: list[str] = []
    if found.strays:
        said.append(f"{len(found.strays)} ignored, not images in a class folder: {shown(found.strays)}")
    if found.system:
        folders = [f"{name} ({count})" for name, count in found.system.items()]
        said.append(f"folders that a system made are left out: {shown(folders)}")
    if found.hidden:
        said.append(f"{len(found.hidden)} hidden folders are left out: {shown(found.hidden)}")
    if found.links:
        said.append(f"links to folders are not followed: {shown(found.links)}")
    return said


def _layout(root: Path, tops: Sequence[Path], found: _Found) -> list[_Place]:
    """Where the images of each class and part lie.

    Raises:
        DataError: The folders can be read in two ways, or parts hold no classes.
    """
    below = {top: _folders(top, found, root) for top in tops}
    parts = _parts_of([top.name for top in tops if below[top]])
    if "train" in parts.values():
        _refuse_classes_beside(root, tops, below)
        splits = [(parts[top.name], top) for top in tops if top.name in parts]
        for top in tops:
            if top.name not in parts:
                found.strays.append(f"{_text(top, root)}/")
        if any(top.name.lower() != parts[top.name] for _, top in splits):
            read = ", ".join(f"{printable(top.name)}/ for {split}" for split, top in splits)
            found.notes.append(f"parts of the data: {read}")
        return [
            _Place(split, folder.name, folder)
            for split, top in splits
            for folder in _classes_of(top, below[top], found)
        ]
    if len(tops) > 1 and all(_words(top.name) and _words(top.name) <= SPLIT_WORDS.keys() for top in tops):
        raise DataError(
            f"{root}: expected a folder per class in {' and in '.join(f'{top.name}/' for top in tops)}, got none; "
            f"the layout is {root}/{tops[0].name}/CLASS/IMAGE"
        )
    inner = {name for top in tops for name in _parts_of([folder.name for folder in below[top]])}
    if tops and inner and all(below[top] and {folder.name for folder in below[top]} <= inner for top in tops):
        own = {top: _parts_of([folder.name for folder in below[top]]) for top in tops}
        if all("train" in of.values() for of in own.values()):
            found.notes.append(f"parts of the data inside each class: {', '.join(map(printable, sorted(inner)))}")
            return [_Place(own[top][folder.name], top.name, folder) for top in tops for folder in below[top]]
    _refuse_two_readings(root, tops, below)
    for top in tops:
        if below[top] and (inside := [printable(folder.name) for folder in below[top] if _has_images(folder)]):
            found.notes.append(f"class '{printable(top.name)}' with its sub-folders {shown(inside, 5)}")
    return [_Place("train", top.name, top) for top in tops]


def _classes_of(top: Path, folders: Sequence[Path], found: _Found) -> Sequence[Path]:
    """The class folders of a part, one level further down where an archive repeats the name of the part."""
    if len(folders) == 1 and folders[0].name == top.name and (inner := _folders(folders[0], found, top)):
        return inner
    return folders


def _words(name: str) -> set[str]:
    """The words of a folder's name in small letters, without numbers and words that mean nothing."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return {word.lower() for word in words} - FILLERS


def _parts_of(names: Sequence[str]) -> dict[str, SplitName]:
    """Which parts folders are for, by name: ``train``, ``test_set``, ``seg_train`` beside ``seg_test``; not others."""
    parts: dict[str, SplitName] = {}
    beside: dict[str, frozenset[str]] = {}
    for name in names:
        words = _words(name)
        told = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
        if len(set(told)) == 1:
            parts[name] = told[0]
            beside[name] = frozenset(words - SPLIT_WORDS.keys())
    if len(set(parts.values())) < len(parts):  # two of one part, such as train_a and train_b
        parts = {name: part for name, part in parts.items() if not beside[name]}
        return parts if len(set(parts.values())) == len(parts) else {}
    if len(parts) > 1 and len({beside[name] for name in parts}) == 1:
        return parts
    return {name: part for name, part in parts.items() if not beside[name]}


def _refuse_two_readings(root: Path, tops: Sequence[Path], below: Mapping[Path, Sequence[Path]]) -> None:
    """Refuses folders that would be classes, and look like parts of the data or like places where it was gathered.

    Raises:
        DataError: So; names both readings and what to do.
    """
    named = [top for top in tops if _words(top.name) & SPLIT_WORDS.keys() and (below[top] or len(tops) > 1)]
    inside = [{folder.name for folder in below[top] if _has_images(folder)} for top in tops]
    alike = len(tops) > 1 and len(inside[0]) > 1 and all(names == inside[0] for names in inside)
    distinct = {SPLIT_WORDS[word] for top in named for word in _words(top.name) & SPLIT_WORDS.keys()}
    pooled = [top for top in tops if _parts_of([folder.name for folder in below[top] if _has_images(folder)])]
    if pooled and not alike:
        raise DataError(
            f"{root}: {printable(pooled[0].name)}/ holds folders that look like parts of the data "
            f"({shown([f'{printable(folder.name)}/' for folder in below[pooled[0]]], 5)}), and not every class holds "
            f"such ones; use the layout {root}/train/CLASS/IMAGE, or put all images of a class into its folder"
        )
    if not (alike or any(below[top] for top in named) or len(distinct) > 1):
        return
    outer = shown([f"{printable(top.name)}/" for top in tops], 5)
    inner = shown([f"{printable(name)}/" for name in sorted(set().union(*inside))], 5) or "what lies in them"
    raise DataError(
        f"{root}: two readings: the classes are {outer}, or these are parts of the data and the classes are {inner}. "
        f"For the first, rename the folders so that they do not look like parts (and hold images, no folders of equal "
        f"names); for the second, use the layout {root}/train/CLASS/IMAGE, and valid/ and test/ beside train/ if you "
        "have them"
    )


def _refuse_classes_beside(root: Path, tops: Sequence[Path], below: Mapping[Path, Sequence[Path]]) -> None:
    """Refuses folders of images beside the training part, where nothing else is called a part: it may be a class, too.

    Raises:
        DataError: So; names both readings and what to do.
    """
    parts = [top for top in tops if _words(top.name) & SPLIT_WORDS.keys()]
    beside = [f"{printable(top.name)}/" for top in tops if top not in parts and _has_images(top)]
    if len(parts) > 1 or not beside:
        return
    train = f"{printable(parts[0].name)}/"
    inner = shown([f"{printable(folder.name)}/" for folder in below[parts[0]]], 5)
    raise DataError(
        f"{root}: two readings: the classes are {shown(sorted([train, *beside]), 5)}, or {train} is what is learned "
        f"from, and the classes are {inner}. For the first, rename {train} so that it does not look like a part; for "
        f"the second, move {shown(beside, 5)} away, or into {train} where they are classes"
    )


def _has_images(folder: Path) -> bool:
    return any(is_picture(Path(name)) for _, _, names in os.walk(folder) for name in names)


def _warn_of_like_names(classes: Sequence[str], found: _Found) -> None:
    """Classes that a person would take for one."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(re.sub(r"[\W_]+", "", name).casefold() or name, []).append(name)
    for names in alike.values():
        if len(names) > 1:
            found.warnings.append(f"classes of like names: {', '.join(repr(printable(name)) for name in names)}")


def _list_class(
    split: SplitName,
    label: int,
    name: str,
    folders: Sequence[Path],
    root: Path,
    found: _Found,
    places: Sequence[_Place],
) -> None:
    """Lists the images of one class for one part."""
    if split not in {place.split for place in places}:
        return
    if label == 0:
        for top in sorted({place.folder.parent for place in places if place.split == split}):
            found.strays += _loose(top, root)
    images = []
    for folder in folders:
        for file in _files(folder, root, found):
            if is_picture(file):
                images.append(Sample(_text(file, root), file, label))
                found.files.append(file)
            else:
                found.strays.append(_text(file, root))
    if images:
        found.samples.setdefault(split, []).extend(images)
    elif split == "train":
        where = _text(folders[0], root) if folders else f"{_train_folder(root, places)}{printable(name)}"
        found.defects.append(Defect(f"{where}/", "has no images; fill it or remove the class"))
    else:
        found.warnings.append(f"the {split} part has no images of class '{printable(name)}'")


def _train_folder(root: Path, places: Sequence[_Place]) -> str:
    """The folder of the training part, for a message about a class that is not in it."""
    tops = {place.folder.parent for place in places if place.split == "train"}
    return f"{_text(tops.pop(), root)}/" if len(tops) == 1 else ""


def _loose(top: Path, root: Path) -> list[str]:
    """Files that lie beside folders of classes."""
    files = sorted(entry for entry in top.iterdir() if entry.is_file() and _visible(entry.name))
    return [_text(file, root) for file in files if file.name.lower() not in SYSTEM_FILES]


def _folders(folder: Path, found: _Found, root: Path) -> list[Path]:
    """The visible folders in ``folder``, sorted; a link to a folder is one."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError as error:
        if folder != root:
            return []  # a class folder that cannot be entered is reported when it is listed
        raise DataError(
            f"{folder}: expected a folder with one folder per class, got: {error.strerror}; name yours, e.g. --data "
            "images:DIR"
        ) from error
    if folder == root:
        for entry in entries:
            if entry.name.lower() in SYSTEM_FOLDERS:
                found.system[printable(entry.name)] += 1
    return [entry for entry in entries if _visible(entry.name) and entry.name.lower() not in SYSTEM_FOLDERS]


def _files(folder: Path, root: Path, found: _Found) -> Iterator[Path]:
    """All visible files below ``folder``, in a fixed order; a folder that cannot be entered becomes a defect."""

    def refuse(error: OSError) -> None:
        found.defects.append(Defect(printable(str(error.filename)), f"cannot be entered: {error.strerror}"))

    for path, folders, names in os.walk(folder, onerror=refuse):
        for name in folders:
            if name.lower() in SYSTEM_FOLDERS:
                found.system[printable(name)] += 1
            elif not _visible(name):
                found.hidden.append(_text(Path(path, name), root))
            elif Path(path, name).is_symlink():
                found.links.append(_text(Path(path, name), root))
        folders[:] = sorted(name for name in folders if _visible(name) and name.lower() not in SYSTEM_FOLDERS)
        visible = sorted(name for name in names if _visible(name) and name.lower() not in SYSTEM_FILES)
        yield from (Path(path, name) for name in visible)


def visible_files(folder: Path) -> Iterator[Path]:
    """All files below ``folder`` but hidden ones and those that systems leave, such as thumbnails."""
    return _files(folder, folder, _Found())


def _visible(name: str) -> bool:
    return not name.startswith(".")


def _text(path: Path, root: Path) -> str:
    """How messages name a file: relative to the source."""
    return printable(path.relative_to(root).as_posix())
