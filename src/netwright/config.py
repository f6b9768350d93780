"""Every setting of an experiment, as frozen, checked records, and their text form: TOML.

``ExperimentConfig`` is what a recipe returns, what ``config.toml`` of a run folder holds, and what ``--set`` changes.
The search spaces are their own configuration: the records of ``netwright.spaces`` stand in it as they are.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from netwright.errors import UsageError
from netwright.spaces.architecture import explain
from netwright.spaces.conv import ConvSpace


class Section(BaseModel):
    """A table of the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
SettingValue = bool | int | float | str | tuple[float, ...]


class DataSettings(Section):
    """What children learn from.

    Attributes:
        source: ``digits``, ``cifar10``, ``images:DIR``, ``hf:NAME``, ...
        validation: Part of the training images held out for the reward: a number of images, or a fraction.
        train_limit: Use only so many training images.
        validation_limit: Use only so many validation images.
        image_size: Resize all images to this square, in pixels.
        skip_bad: Fraction of unreadable images to leave out instead of refusing the data.
        seed: Of the split; not derived from the run's, so that runs with unlike seeds share it.
    """

    source: str = "digits"
    validation: Fraction | Count = 0.1
    train_limit: Count | None = None
    validation_limit: Count | None = None
    image_size: Count | None = None
    skip_bad: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: int = 0


class DepthSettings(Section):
    """The depth schedule: architectures grow as the search goes on.

    Attributes:
        start: Predictions of the first architectures.
        step: Predictions added at a time.
        interval: Trials between two additions.
        cap: Most predictions; at most the space's ``depth``.
    """

    start: Count
    step: Annotated[int, Field(ge=0)]
    interval: Count
    cap: Count


class LearnerSettings(Section):
    """How the controller learns; the defaults are the paper's for CIFAR-10 (Zoph & Le 2017, sec. 4.1).

    Attributes:
        hidden: Units per LSTM layer.
        layers: Stacked LSTM layers.
        init_scale: Weights start uniform in [-init_scale, init_scale].
        learning_rate: Adam's step size.
        baseline_decay: Weight of the past in the moving average of the reward.
        entropy_weight: Bonus per nat of entropy of a string; absent from the paper, so off.
        clip_norm: Largest norm of the gradient; absent from the paper, so off.
    """

    hidden: Count = 35
    layers: Count = 2
    init_scale: Annotated[float, Field(gt=0)] = 0.08
    learning_rate: Annotated[float, Field(gt=0)] = 6e-4
    baseline_decay: Annotated[float, Field(ge=0, lt=1)] = 0.95
    entropy_weight: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class StrategySettings(Section):
    """Who proposes architectures.

    Attributes:
        name: ``reinforce``, ``random``, ``evolution``, ...
        options: The strategy's own settings by name, such as ``batch`` of ``reinforce``.
    """

    name: str = "reinforce"
    options: Mapping[str, int | float | str | bool] = {}


class ImageTraining(Section):
    """How a convolutional child is trained.

    The defaults are the paper's (Zoph & Le 2017, sec. 4.1) and, where it refers to them, DenseNet's (sec. 4.2).

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images per step; batch normalisation needs two.
        learning_rate: Of SGD with Nesterov momentum, at the start.
        momentum: Of SGD.
        weight_decay: L2 penalty on all weights.
        decay_at: Fractions of the epochs at which the learning rate is multiplied by ``decay_by``.
        decay_by: See ``decay_at``.
        batch_norm_eps: Added to the variance by batch normalisation.
        upsample: Side to which images are enlarged before the crop, as a multiple of their own; 1 means no crop.
        flip: Whether images are mirrored at random.
        reward_epochs: The reward is made of the best validation accuracy of so many last epochs.
        precision: Of convolutions: ``auto`` is ``bfloat16`` where the processor multiplies it natively.
        max_parameters: Larger children fail without being trained.
        max_multiply_adds: Costlier children, per image, fail without being trained.
    """

    epochs: Count = 50
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    decay_at: tuple[Fraction, ...] = (0.5, 0.75)
    decay_by: Annotated[float, Field(gt=0, le=1)] = 0.1
    batch_norm_eps: Annotated[float, Field(gt=0)] = 1e-5
    upsample: Annotated[float, Field(ge=1, le=4)] = 1.25
    flip: bool = True
    reward_epochs: Count = 5
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_parameters: Count | None = None
    max_multiply_adds: Count | None = None


class AccuracyReward(Section):
    """Accuracy raised to a power (Zoph & Le 2017, sec. 4.1).

    Attributes:
        exponent: The paper's is 3.
        floor: What a failed child earns.
    """

    exponent: Annotated[float, Field(gt=0)] = 3.0
    floor: float = 0.0


class SearchSettings(Section):
    """How long and where.

    Attributes:
        trials: Architectures to evaluate in all.
        hours: Stop asking for new ones after so many hours of running, resumed ones counted together.
        seed: The one seed of the run.
        workers: Children trained at a time; 0 means one per core.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        child_seconds: Wall time after which a child is ended as a failure.
        max_failures: So many failures in a row end the search.
    """

    trials: Count = 100
    hours: Annotated[float, Field(gt=0)] | None = None
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    child_seconds: Annotated[float, Field(gt=0)] = 3600.0
    max_failures: Count = 5


class TuningSettings(Section):
    """A grid of training settings, of which a tuning tries every combination.

    Attributes:
        grid: For each setting of the section ``child``, the values to try.
    """

    grid: Mapping[str, Annotated[tuple[SettingValue, ...], Field(min_length=1)]]


class ExperimentConfig(Section):
    """A whole experiment.

    Attributes:
        name: Of the recipe it came from.
        data: What children learn from.
        space: What is searched; None where a space comes from Python.
        depth: How large the architectures are as the search goes on; None means full size throughout.
        strategy: Who proposes.
        controller: How the controller learns.
        child: How a child is trained.
        reward: What the controller learns from.
        search: How long and where.
        tuning: In the run folder of a tuning, what it tries; None in that of a search.
    """

    name: str
    data: DataSettings = DataSettings()
    space: ConvSpace | None = None
    depth: DepthSettings | None = None
    strategy: StrategySettings = StrategySettings()
    controller: LearnerSettings = LearnerSettings()
    child: ImageTraining = ImageTraining()
    reward: AccuracyReward = AccuracyReward()
    search: SearchSettings = SearchSettings()
    tuning: TuningSettings | None = None

    @model_validator(mode="after")
    def _depth_fits_space(self) -> Self:
        if self.depth is not None and self.space is not None and self.depth.cap > self.space.depth:
            raise ValueError(f"depth.cap: expected at most space.depth, {self.space.depth}, got {self.depth.cap}")
        return self

    def to_toml(self) -> str:
        """The complete configuration as TOML; settings that are None are left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def parse_config(text: str, source: str) -> ExperimentConfig:
    """Reads a configuration from TOML.

    Args:
        text: The TOML text.
        source: What to call it in an error: a file name.

    Raises:
        UsageError: Not TOML, an unknown key, or a value out of range; names the key.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source}: not TOML: {error}") from None
    return _validated(tree, source)


def load_config(path: Path) -> ExperimentConfig:
    """Reads a configuration file; see :func:`parse_config` for what it raises."""
    try:
        return parse_config(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None


def override(config: ExperimentConfig, changes: Mapping[str, object]) -> ExperimentConfig:
    """A configuration with some settings changed.

    Args:
        config: The original.
        changes: Values by path, e.g. ``{"child.epochs": 3}``.

    Raises:
        UsageError: An unknown key (the nearest known one is named), or a value out of range.
    """
    tree = config.model_dump(mode="json", exclude_none=True)
    for path, value in changes.items():
        *parents, key = path.split(".")
        table = tree
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise UsageError(f"{path}: {parent} is a value, not a section")
        table[key] = value
    return _validated(tree, "settings")


def parse_assignments(texts: Iterable[str]) -> dict[str, object]:
    """Changes for :func:`override` from texts ``section.key=value``.

    The value is TOML (``3``, ``0.1``, ``true``, ``[1, 2]``), or else a string as it stands.

    Raises:
        UsageError: A text is not of that form.
    """
    changes: dict[str, object] = {}
    for text in texts:
        path, separator, value = text.partition("=")
        if not separator or not path.strip():
            raise UsageError(f"--set {text}: expected section.key=value")
        changes[path.strip()] = _toml_value(value.strip())
    return changes


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _validated(tree: Mapping[str, Any], source: str) -> ExperimentConfig:
    try:
        return ExperimentConfig.model_validate(tree)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            raise UsageError(f"{source}: {_unknown_key([str(part) for part in fault['loc']])}") from None
        raise UsageError(f"{source}: {explain(error)}") from None


def _unknown_key(path: Sequence[str]) -> str:
    """Names an unknown key, the nearest known one, and all that stand in its section."""
    section: Any = ExperimentConfig
    for part in path[:-1]:
        annotation = section.model_fields[part].annotation if part in section.model_fields else None
        section = next((kind for kind in get_args(annotation) or (annotation,) if isinstance(kind, type)), section)
    known = [field.name for field in fields(section)] if is_dataclass(section) else list(section.model_fields)
    near = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    where = f"section [{path[0]}]" if len(path) > 1 else "the configuration"
    return f"unknown key {'.'.join(path)}{hint} {where} has {', '.join(known)}"
