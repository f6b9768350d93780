"""Images, told apart by convolutional networks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from netwright.config import ExperimentConfig, ImageDataSettings, ImageTraining
from netwright.errors import ArchitectureError, UsageError
from netwright.spaces.architecture import Architecture, ConvArchitecture, parse_architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape, cost
from netwright.spaces.fill import Budget, FilledSpace, fill
from netwright.spaces.grammar import Tokens
from netwright.spaces.references import reference
from netwright.tasks.kind import Drawn, Files, Kind, Prediction, SourceReport, Task

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Generator, Tensor, nn

    from netwright.children.conv_net import ConvNet
    from netwright.children.image_evaluator import ImageEvaluator
    from netwright.data.images import ImageData
    from netwright.data.pictures import OnDefect

    Inputs = str | Path | Sequence[str | Path] | ArrayLike | Tensor


PICTURES_AT_A_TIME = 256
"""Files of pictures that are in memory together while a network is asked about them."""


def _load(settings: ImageDataSettings) -> ImageData:
    from netwright.data.images import load_images

    arguments = settings.model_dump(exclude={"kind"})
    return load_images(arguments.pop("source"), **arguments)


def _describe(data: ImageData) -> Task:
    task = {"image": [data.channels, data.height, data.width], "classes": list(data.classes)}
    return task if data.bits == 16 else {**task, "bits": data.bits}


def _excerpt(data: ImageData, training: ImageTraining) -> ImageData:
    from netwright.data.images import ImageSplit

    some = ImageSplit(data.train.images[: 2 * training.batch_size], data.train.labels[: 2 * training.batch_size])
    return replace(data, train=some, validation=some)


def _evaluator(data: ImageData, training: ImageTraining, device: str) -> ImageEvaluator:
    from netwright.children.image_evaluator import ImageEvaluator

    return ImageEvaluator(data, training, device)


def _build(architecture: Architecture, task: Task, training: ImageTraining, generator: Generator) -> ConvNet:
    from netwright.children.conv_net import ConvNet

    if not isinstance(architecture, ConvArchitecture):
        raise UsageError(f"nothing here builds an architecture of kind {architecture.kind!r} for images")
    image, classes, eps = Shape(*task["image"]), len(task["classes"]), training.batch_norm_eps
    return ConvNet(architecture, image, classes, batch_norm_eps=eps, generator=generator)


def _export(
    architecture: Architecture, task: Task, training: ImageTraining, network: nn.Module, *, trained: bool, onnx: bool
) -> Files:
    from netwright.export.files import conv_files

    assert isinstance(architecture, ConvArchitecture)
    image = Shape(*task["image"])
    return conv_files(architecture, image, task["classes"], training, network, trained=trained, onnx=onnx)


def _predict(
    network: nn.Module, task: Task, training: ImageTraining, inputs: Inputs, on_defect: OnDefect | None
) -> Iterator[Prediction]:
    """See :meth:`netwright.networks.network.Network.predictions`."""
    import torch

    from netwright.children.image_training import probabilities
    from netwright.data.pictures import given_pictures, picture_files, read_pictures

    channels, height, width = task["image"]
    shape = (channels, height, width)
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    batches: Iterable[tuple[list[str], Tensor]]
    if isinstance(inputs, Sequence) and all(isinstance(place, str | Path) for place in inputs):
        files = picture_files(map(Path, inputs))
        starts = range(0, len(files), PICTURES_AT_A_TIME)
        bits = task.get("bits", 16)
        batches = (read_pictures(files[start : start + PICTURES_AT_A_TIME], shape, on_defect, bits) for start in starts)
    else:
        batches = [given_pictures(cast("ArrayLike | Tensor", inputs), shape)]
    for names, images in batches:
        if not names:  # no file of these could be read
            continue
        for name, row in zip(names, probabilities(network, images, training, device=torch.device("cpu")), strict=True):
            order = row.argsort(descending=True, stable=True).tolist()
            yield Prediction(name=name, probabilities={task["classes"][i]: float(row[i]) for i in order})


def _check(settings: ImageDataSettings) -> SourceReport:
    from netwright.data.image_report import check_images

    arguments = settings.model_dump(exclude={"kind"})
    return check_images(arguments.pop("source"), **arguments)


def _cost(architecture: Architecture, task: Task) -> dict[str, int]:
    if not isinstance(architecture, ConvArchitecture):
        return {}
    price = cost(architecture, Shape(*task["image"]), len(task["classes"]))
    return {"parameters": price.parameters, "multiply_adds": price.multiply_adds}


def _in_words(task: Task) -> str:
    return f"images of {' × '.join(map(str, task['image']))}, {len(task['classes'])} classes"


def _fit(space: SearchSpace, config: ExperimentConfig, task: Task) -> SearchSpace:
    """A space that fills a budget knows both.

    Raises:
        UsageError: It is to fill a budget, and there is none.
    """
    if not (isinstance(space, ConvSpace) and space.fill):
        return space
    budget = _budget(config, task, space)
    if budget is None:
        raise UsageError("space.fill needs a budget to fill; set child.max_multiply_adds")
    return FilledSpace(shapes=space, budget=budget)


def _drawn(names: Sequence[str], config: ExperimentConfig, task: Task, space: SearchSpace) -> Drawn:
    """Built-in references and those of files, scaled to the budget.

    Raises:
        UsageError: There is none of a name, or a file cannot be read.
        ArchitectureError: A file holds no convolutional architecture.
    """
    budget = _budget(config, task, space)
    found: Drawn = {}
    for name in names:
        shape = _from_file(Path(name)) if name.endswith(".json") else reference(name)
        filled = shape if budget is None else fill(shape, budget)
        tokens: Tokens | None
        try:
            tokens = space.encode_shape(shape) if isinstance(space, FilledSpace) else space.encode(filled)
        except ArchitectureError:
            tokens = None
        found[Path(name).stem] = (filled, tokens)
    return found


def _from_file(path: Path) -> ConvArchitecture:
    try:
        architecture = parse_architecture(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"reference {path}: cannot be read: {error.strerror}") from None
    if not isinstance(architecture, ConvArchitecture):
        raise ArchitectureError(f"reference {path}: expected a convolutional network, got kind {architecture.kind!r}")
    return architecture


def _budget(config: ExperimentConfig, task: Task, space: SearchSpace) -> Budget | None:
    """What all networks of a configuration may cost, drawn by whomever; None where nothing limits them."""
    limit = config.child.max_multiply_adds if isinstance(config.child, ImageTraining) else None
    if limit is None:
        return None
    shapes = space.shapes if isinstance(space, FilledSpace) else space
    return Budget(
        multiply_adds=limit,
        image=Shape(*task["image"]),
        classes=len(task["classes"]),
        width_multiple=shapes.width_multiple if isinstance(shapes, ConvSpace) else 1,
    )


IMAGES = Kind(
    name="images",
    load=_load,
    describe=_describe,
    excerpt=_excerpt,
    evaluator=_evaluator,
    build=_build,
    export=_export,
    predict=_predict,
    sources=("digits", "cifar10", "images"),
    check=_check,
    cost=_cost,
    in_words=_in_words,
    fit=_fit,
    drawn=_drawn,
    training=ImageTraining(),
    # The paper names what it tunes and not the values: these are ours.
    grid={
        "learning_rate": (0.05, 0.1, 0.2),
        "weight_decay": (5e-5, 1e-4, 5e-4),
        "batch_norm_eps": (1e-5, 1e-3),
        "decay_at": ((0.4, 0.7), (0.5, 0.75), (0.6, 0.8)),
    },
    longer=6,  # 300 epochs to 50 in the paper's source, DenseNet (sec. 4.2)
    limits=("train_limit", "validation_limit"),
    budgets=("max_parameters", "max_multiply_adds"),
    architectures=("conv",),
    recipe="cifar10",
    task={"image": [3, 32, 32], "classes": list(range(10))},
)
"""A folder per class, CIFAR-10, digits, arrays: see :mod:`netwright.data.images`."""
