"""What one core finds in ten minutes of its time where nobody sets a limit: CIFAR-10, 10,000 images of 16x16.

    NETWRIGHT_DATA=../shared/data python benchmarks/ten_minutes.py OUT [--seed 0] [--minutes 8.5]

The arrays are those on which others were run: the first 10,000 images of the training part as its file has them, the
next 2,500 to choose by, all 10,000 of the test part, each pixel the mean of 2x2. Prints one line of JSON: accuracies on
the test part of the network that the search names and of those drawn by hand, from seeds that chose nothing, and the
processor time of the driver and its worker, all phases together.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
from pathlib import Path

import numpy as np
import pyarrow.parquet  # type: ignore[import-untyped]
import torch
from PIL import Image

from netwright import run_search
from netwright.data.cifar10 import CLASSES
from netwright.data.images import ImageData, ImageSplit
from netwright.search.verdict import Standing

TRAIN, VALIDATION = 10_000, 2_500

SETTINGS = {
    # What a training of forty seconds costs: in ten minutes there are some fifteen.
    "child.max_multiply_adds": 8_000_000,
    "space.width_multiple": 8,
    "search.workers": 1,
    "search.threads": 1,
    "search.trials": 1000,
    "verdict.references": ["vgg", "vgg-pointwise", "vgg-skips"],
    "verdict.reference_seeds": 1,
    "verdict.finalists": 2,
    "verdict.contenders": 1,
    "verdict.seeds": 2,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=8.5, help="of wall time; the answer takes a little more")
    options = parser.parse_args()
    settings = SETTINGS | {"search.hours": options.minutes / 60}
    run = run_search("cifar10-small", options.out, data=arrays(), seed=options.seed, settings=settings)
    verdict = run.verdict
    assert verdict is not None
    result = {
        "seed": options.seed,
        "trainings": len(run.trials()),
        "processor_seconds": round(processor_seconds(), 1),
        "answer": verdict.answer,
        "found": tested(verdict.found),
        "references": {str(one.entrant.name): tested(one) for one in verdict.references},
    }
    print(json.dumps(result), flush=True)


def arrays() -> ImageData:
    """The data, as the docstring above says; a pixel is the mean of four, as PyTorch's pooling rounds it down."""
    folder = Path(os.environ["NETWRIGHT_DATA"]) / "cifar10"
    images, labels = read(folder / "train-00000-of-00001.parquet", TRAIN + VALIDATION)
    return ImageData(
        name="CIFAR-10 of the comparison",
        classes=CLASSES,
        train=ImageSplit(images[:TRAIN], labels[:TRAIN]),
        validation=ImageSplit(images[TRAIN:], labels[TRAIN:]),
        test=ImageSplit(*read(folder / "test-00000-of-00001.parquet", None)),
    )


def read(file: Path, count: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The first images of a file, or all: uint8 [N, 3, 16, 16], and their labels."""
    table = pyarrow.parquet.read_table(file, columns=["img", "label"]).slice(0, count)
    pictures = [np.asarray(Image.open(io.BytesIO(picture["bytes"]))) for picture in table["img"].to_pylist()]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    small = torch.nn.functional.avg_pool2d(images.float(), 2).to(torch.uint8)
    return small, torch.tensor(table["label"].to_pylist())


def tested(standing: Standing) -> dict[str, float | int | None]:
    assert standing.test is not None
    return {
        "test": round(standing.test.mean, 4),
        "standard_error": round(standing.test.standard_error, 4),
        "validation": round(standing.valid.mean, 4),
        "seeds": standing.seeds,
        "multiply_adds": int(standing.costs["multiply_adds"]),
    }


def processor_seconds() -> float:
    """Of this process and of those that it has started and that are over."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


if __name__ == "__main__":
    main()
