"""Folders and arrays of all kinds: what comes is a right reading, a warning, or a documented error; nothing else.

As many as NETWRIGHT_EXAMPLES says, 100 without it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from netwright.data import check_images, from_tensors, load_images
from netwright.errors import NetwrightError

EXAMPLES = int(os.environ.get("NETWRIGHT_EXAMPLES", "100"))
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

NAMES = st.sampled_from(
    [
        *("cats", "dogs", "a b", "ünï", "train", "test", "valid", "dev", "Train Set", "seg_train", "test_positive"),
        *("__MACOSX", "@eaDir", ".hidden", "x\x1b[31m", "-rf", "#1", "0", "CATS"),
    ]
)
ENDINGS = st.sampled_from([".png", ".jpg", ".JPEG", ".gif", ".tif", ".txt", ".heic", ".jfif", ".bmp", ""])
MODES = st.sampled_from(["L", "RGB", "1", "P", "RGBA", "I;16", "LA", "CMYK"])
CONTENT = st.sampled_from(["image"] * 8 + ["empty", "text", "link", "loop", "cut"])
FILE = st.tuples(st.lists(NAMES, max_size=3), st.integers(0, 30), ENDINGS, MODES, st.integers(1, 6), CONTENT)


def write(root: Path, parts: list[str], number: int, ending: str, mode: str, side: int, content: str) -> None:
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{number}{ending}"
    if file.exists() or file.is_symlink():
        return
    if content == "link":
        file.symlink_to("nowhere")
    elif content == "loop":
        file.symlink_to(root)
    elif content in ("empty", "text"):
        file.write_text("" if content == "empty" else "no picture")
    else:
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3)).astype(np.uint8)
        image = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode)
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * (1 + number))
        try:
            image.save(file, {".txt": "PNG", "": "PNG", ".heic": "PNG", ".jfif": "JPEG"}.get(ending.lower()))
        except (OSError, ValueError):  # a format that has no such mode
            file.write_bytes(b"x")
        if content == "cut":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def tried(action: Callable[[], Any]) -> tuple[Any, NetwrightError | None]:
    """What an action gives, or the documented error that it ends in."""
    try:
        return action(), None
    except NetwrightError as error:
        return None, error


@MANY
@given(files=st.lists(FILE, min_size=1, max_size=24), size=st.sampled_from([None, 4]), skip=st.sampled_from([0.0, 0.9]))
def test_a_generated_folder(files: list[Any], size: int | None, skip: float) -> None:
    """Search and check judge alike: what one refuses the other does, and what both take has the same warnings."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as root:
        os.environ["NETWRIGHT_CACHE"] = f"{root}/cache"
        folder = Path(root, "data")
        folder.mkdir()
        for file in files:
            write(folder, *file)
        source = f"images:{folder}"
        report, refusal = tried(lambda: check_images(source, image_size=size, skip_bad=skip))
        assert report or str(folder) in str(refusal)
        data, refusal = tried(lambda: load_images(source, image_size=size, skip_bad=skip))
        event("loaded" if data else "refused")
        if data is None:
            assert report is None or report.defects, refusal
            return
        assert report is not None
        assert not report.defects
        assert data.report is not None
        assert data.report.warnings == report.warnings
        assert len(data.train) + len(data.validation) + len(data.test or ()) == sum(
            sum(of.values()) for of in report.counts.values()
        )
        assert set(data.train.labels.tolist()) == set(range(data.num_classes))
        assert all(text.isprintable() for text in (*data.classes, *report.warnings))
        assert all(line.isprintable() for line in report.lines())


SOUND = st.tuples(st.integers(8, 24), st.integers(1, 4), st.integers(1, 4)).map(list)
SHAPES = st.lists(st.integers(0, 5), max_size=5)
DTYPES = st.sampled_from(
    ["uint8", "uint8", "int64", "uint16", "float64", "float32", "float16", "bool", "complex64", "O", "U1", "int8"]
)
SPECIAL = st.sampled_from([None] * 6 + [np.nan, np.inf, -1, 300, 70_000, 1.0005])


@MANY
@given(
    shape=st.integers(0, 4).flatmap(lambda number: SHAPES if number == 4 else SOUND),
    dtype=DTYPES,
    special=SPECIAL,
    order=st.sampled_from(["C", "F"]),
    classes=st.sampled_from([2, 3, 4, 1]),
    labels=st.sampled_from(["int64", "uint8", "U1", "O", "column", "int32", "float64", "one-hot", "short"]),
    as_tensor=st.booleans(),
)
def test_a_generated_array(
    shape: list[int], dtype: str, special: float | None, order: Any, classes: int, labels: str, as_tensor: bool
) -> None:
    """Tried: each of the refusals, left out, lets something through that is no image, or ends in NumPy's error."""
    stream = np.random.default_rng(len(shape))
    values = stream.random(shape) * (1 if dtype.startswith("float") else 200)
    with np.errstate(all="ignore"):
        images: Any = np.array(values, order=order).astype(dtype)
        if special is not None and images.size and images.dtype.kind in "f":
            images.flat[0] = special
    count = shape[0] if shape else 0
    numbers = np.arange(count) % classes
    marks: Any = {
        "column": lambda: numbers[:, None],
        "one-hot": lambda: np.eye(classes)[numbers],
        "short": lambda: numbers[:-1],
        "U1": lambda: np.array(list("abcd"))[numbers] if count else np.array([], "U1"),
    }.get(labels, lambda: numbers.astype(labels if labels not in ("column", "one-hot", "short") else "int64"))()
    if as_tensor and images.dtype.kind in "bifu" and images.dtype != np.uint16:
        images = torch.from_numpy(np.ascontiguousarray(images))
    data, refusal = tried(lambda: from_tensors(images, marks))
    event("taken" if data else "refused")
    if data is None:
        assert len(str(refusal)) < 2000
        return
    assert len(data.train) + len(data.validation) == count
    assert data.train.images.dtype == torch.uint8
    assert data.train.images.is_contiguous()
    assert data.num_classes == classes
    assert sorted(torch.cat([data.train.labels, data.validation.labels]).tolist()) == sorted(numbers.tolist())
