"""Images, told apart by convolutional networks."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from netwright.config import ExperimentConfig, ImageDataSettings, ImageTraining, limits_of
from netwright.errors import ArchitectureError, UsageError
from netwright.measure import ACCURACY, BALANCED_ACCURACY
from netwright.spaces.architecture import Architecture, ConvArchitecture, load_architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape, cost
from netwright.spaces.fill import SCALED_TO, Budget, FilledSpace, fill
from netwright.spaces.grammar import Tokens
from netwright.spaces.references import REFERENCES, is_file, reference, reference_name
from netwright.tasks.kind import Drawn, Files, Kind, Prediction, Samples, SourceReport, Task

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Generator, Tensor, nn

    from netwright.children.conv_net import ConvNet
    from netwright.children.image_evaluator import ImageEvaluator
    from netwright.data.images import ImageData
    from netwright.data.pictures import OnDefect

    Inputs = str | Path | Sequence[str | Path] | ArrayLike | Tensor


MEASURES = {"accuracy": ACCURACY, "balanced-accuracy": BALANCED_ACCURACY}
"""By the names of the setting ``child.measure``."""

PICTURES_AT_A_TIME = 256
"""Files of pictures that are in memory together while a network is asked about them."""

SAMPLED_CLASSES, SAMPLES_OF_EACH, THUMBNAIL = 12, 4, 64
"""Of a report: classes that are shown, pictures of each, and pixels of their longer side."""


def _load(settings: ImageDataSettings) -> ImageData:
    from netwright.data.images import load_images

    arguments = settings.model_dump(exclude={"kind"})
    return load_images(arguments.pop("source"), **arguments)


def _describe(data: ImageData) -> Task:
    task = {"image": [data.channels, data.height, data.width], "classes": list(data.classes)}
    return task if data.bits == 16 else {**task, "bits": data.bits}


def _excerpt(data: ImageData, training: ImageTraining, batches: int) -> ImageData:
    from netwright.data.images import ImageSplit

    count = batches * training.batch_size
    some = ImageSplit(data.train.images[:count], data.train.labels[:count])
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
    architecture: Architecture,
    task: Task,
    training: ImageTraining,
    network: nn.Module | None,
    *,
    trained: bool,
    onnx: bool,
) -> Files:
    from netwright.export.files import conv_files

    assert isinstance(architecture, ConvArchitecture)
    assert network is not None  # there is always a task: without a run that of the paper
    image = Shape(*task["image"])
    how = {"trained": trained, "onnx": onnx, "bits": task.get("bits", 16)}
    return conv_files(architecture, image, task["classes"], training, network, **how)


def _weights_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from netwright.export.conv import weights_of_conv

    return weights_of_conv(state)


def _fingerprint(data: ImageData) -> str:
    from netwright.data.fingerprint import fingerprint

    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    return fingerprint(data.classes, [tensor for part in parts for tensor in (part.images, part.labels)])


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


def _check(settings: ImageDataSettings, training: ImageTraining) -> SourceReport:
    from netwright.data.image_report import check_images

    arguments = settings.model_dump(exclude={"kind"})
    return check_images(arguments.pop("source"), **arguments)


def _cost(architecture: Architecture, task: Task) -> dict[str, int]:
    if not isinstance(architecture, ConvArchitecture):
        return {}
    return asdict(cost(architecture, Shape(*task["image"]), len(task["classes"])))


def _samples(data: ImageData) -> Samples:
    """The first pictures of each of the first classes, as children are given them, none larger than a thumbnail.

    None of images with other numbers of channels than pictures have.
    """
    from netwright.data.listing import PICTURE_CHANNELS

    if data.channels not in PICTURE_CHANNELS:
        return ()
    found = []
    for label, name in enumerate(data.classes[:SAMPLED_CLASSES]):
        places = (data.train.labels == label).nonzero()[:SAMPLES_OF_EACH, 0]
        found.append({"label": name, "pictures": [_png(data.train.images[place]) for place in places]})
    return found


def _png(image: Tensor) -> str:
    """An image, uint8 [C, H, W], as a PNG in base 64."""
    from PIL import Image

    pixels = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    with io.BytesIO() as file:
        picture.save(file, format="PNG")
        return base64.b64encode(file.getvalue()).decode()


def _in_files(task: Task) -> bool:
    from netwright.data.listing import PICTURE_CHANNELS

    return task["image"][0] in PICTURE_CHANNELS


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
        names = ", ".join(f"child.max_{cost}" for cost in SCALED_TO)
        raise UsageError(f"space.fill needs a budget to fill; set one of {names}")
    return FilledSpace(shapes=space, budget=budget)


def _drawn(names: Sequence[str], config: ExperimentConfig, task: Task, space: SearchSpace) -> Drawn:
    """Built-in references, with the space's activation and pooling, and those of files; all scaled to the budget.

    Raises:
        UsageError: There is none of a name, or a file cannot be read.
        ArchitectureError: A file holds no convolutional architecture.
    """
    budget = _budget(config, task, space, {} if config.reward.target is None else config.reward.target.costs)
    shapes = _shapes(space)
    manner = {} if shapes is None else {"activation": shapes.activation, "pooling": shapes.pooling}
    found: Drawn = {}
    for name in names:
        shape = load_architecture(Path(name)) if is_file(name) else reference(name).model_copy(update=manner)
        if not isinstance(shape, ConvArchitecture):
            raise ArchitectureError(f"reference {name}: expected a convolutional network, got kind {shape.kind!r}")
        filled = shape if budget is None else fill(shape, budget)
        found[reference_name(name)] = (filled, _written(shape, filled, space))
    return found


def _written(shape: ConvArchitecture, filled: ConvArchitecture, space: SearchSpace) -> Tokens | None:
    """The tokens of a reference of a shape, scaled; None where the space cannot write it.

    A space that fills a budget scales to its limits alone, and a reference to what is aimed at, too.
    """
    try:
        if not isinstance(space, FilledSpace):
            return space.encode(filled)
        tokens = space.encode_shape(shape)
    except ArchitectureError:
        return None
    return tokens if space.decode(tokens) == filled else None


def _budget(
    config: ExperimentConfig, task: Task, space: SearchSpace, targets: Mapping[str, float] = MappingProxyType({})
) -> Budget | None:
    """What all networks of a configuration may cost, drawn by whomever; None where nothing limits them.

    Args:
        config: The whole experiment.
        task: What they read and write.
        space: Says what widths are multiples of.
        targets: Costs that are aimed at, which limit those drawn by hand: a search decides how near to them it comes.
    """
    if not isinstance(config.child, ImageTraining):
        return None
    caps = limits_of(config.child)
    limits = {
        name: int(min(wanted[name] for wanted in (caps, targets) if name in wanted))
        for name in SCALED_TO
        if name in caps or name in targets
    }
    if not limits:
        return None
    shapes = _shapes(space)
    return Budget(
        **limits,
        image=Shape(*task["image"]),
        classes=len(task["classes"]),
        width_multiple=1 if shapes is None else shapes.width_multiple,
    )


def _shapes(space: SearchSpace) -> ConvSpace | None:
    """The convolutional space that a space is, or that it scales; None where it is one of a user's own."""
    shapes = space.shapes if isinstance(space, FilledSpace) else space
    return shapes if isinstance(shapes, ConvSpace) else None


IMAGES = Kind(
    name="images",
    load=_load,
    describe=_describe,
    excerpt=_excerpt,
    evaluator=_evaluator,
    build=_build,
    export=_export,
    weights_of=_weights_of,
    predict=_predict,
    asked_by="netwright predict {} PICTURE...",
    asked_alone="PICTURE...",
    in_files=_in_files,
    chosen=lambda training: MEASURES[training.measure],
    fingerprint=_fingerprint,
    sources=("digits", "cifar10", "images"),
    check=_check,
    cost=_cost,
    in_words=_in_words,
    samples=_samples,
    fit=_fit,
    drawn=_drawn,
    references=tuple(REFERENCES),
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
    budgets=("epoch_limit", "max_parameters", "max_multiply_adds", "max_activation_bytes", "max_latency_ms"),
    architectures=("conv",),
    recipe="cifar10",
    task={"image": [3, 32, 32], "classes": list(range(10))},
)
"""A folder per class, CIFAR-10, digits, arrays: see :mod:`netwright.data.images`."""
