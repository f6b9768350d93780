"""``cifar10``: CIFAR-10 (Krizhevsky 2009) as parquet files, as the original batches, or from the Hub."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from netwright.data.hub import list_hub
from netwright.data.listing import Listing, Rows, Sample, SplitName, files_key
from netwright.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HUB_NAME = "uoft-cs/cifar10"
BATCHES: dict[SplitName, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
    "test": ("test_batch",),
}


def list_cifar10(folder: Path | None = None) -> Listing:
    """Lists CIFAR-10: 50,000 images to learn from and 10,000 to test, RGB, 32 x 32 pixels.

    Args:
        folder: Where it is. None looks below the folder that the environment variable ``NETWRIGHT_DATA`` names, and
            then asks the Hub.

    Raises:
        DataError: It is not there, or not complete.
    """
    if folder is not None:
        listing = _list_local(folder)
        if listing is None:
            raise DataError(
                f"{folder}: expected CIFAR-10 as train*.parquet and test*.parquet, or as the original folder "
                f"cifar-10-batches-py; get it with: hf download {HUB_NAME} --repo-type dataset --local-dir {folder}"
            )
        return listing
    shelf = os.environ.get("NETWRIGHT_DATA")
    if shelf:
        listing = _list_local(Path(shelf, "cifar10")) or _list_batches(Path(shelf, "cifar-10-batches-py"))
        if listing is not None:
            return listing
    try:
        return list_hub(HUB_NAME)
    except DataError as error:
        looked = f"is not in {shelf}/cifar10" if shelf else "is nowhere here (NETWRIGHT_DATA names no folder)"
        raise DataError(f"cifar10 {looked}, and the Hub did not help: {error}; or use --data cifar10:DIR") from error


def _list_local(folder: Path) -> Listing | None:
    # The Hub has the files one folder down.
    files: dict[SplitName, list[Path]] = {
        "train": sorted([*folder.glob("train*.parquet"), *folder.glob("*/train*.parquet")]),
        "test": sorted([*folder.glob("test*.parquet"), *folder.glob("*/test*.parquet")]),
    }
    if all(files.values()):
        return Listing(
            classes=CLASSES,
            parts={split: Rows(partial(_parquet_samples, of)) for split, of in files.items()},
            key=files_key([*files["train"], *files["test"]]),
        )
    return _list_batches(folder / "cifar-10-batches-py") or _list_batches(folder)


def _list_batches(folder: Path) -> Listing | None:
    files = {split: [folder / name for name in names] for split, names in BATCHES.items()}
    every = [*files["train"], *files["test"]]
    if not any(file.exists() for file in every):
        return None
    missing = [file.name for file in every if not file.exists()]
    if missing:
        raise DataError(f"{folder}: expected the six files of CIFAR-10, {', '.join(missing)} missing; unpack it again")
    return Listing(
        classes=CLASSES,
        parts={split: Rows(partial(_batch_samples, of)) for split, of in files.items()},
        key=files_key(every),
    )


def _parquet_samples(files: list[Path]) -> Iterator[Sample]:
    # `datasets` reads parquet with this library; asked directly, it needs no writable home for a second copy.
    import pyarrow.parquet  # type: ignore[import-untyped]

    for file in files:
        row = 0
        try:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(1000, columns=["img", "label"]):
                for record in batch.to_pylist():
                    image = record["img"] or {}
                    yield Sample(f"{file.name} row {row}", image.get("bytes"), record["label"])
                    row += 1
        except (pyarrow.ArrowException, OSError, KeyError) as error:
            raise DataError(f"{file}: damaged after row {row}, download it again ({error})") from error


def _batch_samples(files: list[Path]) -> Iterator[Sample]:
    for file in files:
        try:
            with file.open("rb") as stream:
                batch = _BatchReader(stream, encoding="bytes").load()
            images = np.frombuffer(batch[b"data"].state[-1], np.uint8).reshape(-1, 3, 32, 32)
            labels = batch[b"labels"]
        # Damaged bytes can make the reader fail in any way.
        except Exception as error:
            raise DataError(f"{file}: expected a batch of CIFAR-10; unpack it again ({error})") from error
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield Sample(f"{file.name} row {row}", image, label)


class _Inert:
    """Stands in for NumPy's array while a batch is read, and only keeps what was meant for it."""

    state: tuple[bytes, ...]

    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: tuple[bytes, ...]) -> None:
        self.state = state


class _BatchReader(pickle.Unpickler):
    """Reads the original batches, which are pickles, without calling anything that they name.

    The three NumPy names that an array consists of become :class:`_Inert`; any other name is refused.
    """

    def find_class(self, module: str, name: str) -> type[_Inert]:
        if name in ("_reconstruct", "ndarray", "dtype") and module.split(".")[0] == "numpy":
            return _Inert
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no batch does: do not trust it")
