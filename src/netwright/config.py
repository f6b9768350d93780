"""Every setting of an experiment, as frozen, checked records, and their text form: TOML.

``ExperimentConfig`` is what a recipe returns, what ``config.toml`` of a run folder holds, and what ``--set`` changes.
The search spaces are their own configuration: the records of ``netwright.spaces`` stand in it as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import tomli_w
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from netwright.spaces.conv import ConvSpace
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.spaces.references import is_file


def known_encoding(name: str) -> str:
    """The name of an encoding of text, checked.

    Raises:
        ValueError: Python has no such encoding, or it is not one of text.
    """
    try:
        "a".encode(name)
    except (LookupError, ValueError):  # ValueError: a name that is none, such as one with a zero character
        raise ValueError(f"expected an encoding of text such as utf-8, utf-16 or latin-1, got {name!r}") from None
    return name


class Section(BaseModel):
    """A table of the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def idle(self) -> frozenset[str]:
        """Names of settings that change nothing as the others are."""
        return frozenset()


Fraction = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


def _not_a_whole(part: object) -> object:
    if isinstance(part, float) and part >= 1:
        raise ValueError(f"expected a number of examples without a decimal point, or a fraction below 1, got {part}")
    return part


# Strict, since 1.0 would otherwise be the count 1, for somebody who means the whole.
CountOrFraction = Annotated[Annotated[int, Field(ge=1, strict=True)] | Fraction, BeforeValidator(_not_a_whole)]
Probability = Annotated[float, Field(ge=0, lt=1)]
SettingValue = bool | int | float | str | tuple[float, ...]


class ImageDataSettings(Section):
    r"""Images to learn from.

    Attributes:
        kind: Tells kinds of data apart in a configuration file.
        source: ``digits``, ``cifar10``, ``images:DIR``, ``hf:NAME``, ...
        validation: Part of the training images held out for the reward: a number of images, or a fraction.
        train_limit: Use only so many training images.
        validation_limit: Use only so many validation images.
        image_size: Resize all images to this square, in pixels.
        skip_bad: Fraction of unreadable images to leave out instead of refusing the data.
        group: Images that stay together when parts are held out, beside those of equal pixels: ``folder`` (those of
            one folder), or a regular expression, found in the path of an image below the source, whose first group, or
            the whole match, names what the image belongs to, e.g. ``scene(\d+)_``. Parts that the source brings stay
            as they are, and a group in several of them is warned of.
        seed: Of the split; not derived from the run's, so that runs with different seeds share it.
    """

    kind: Literal["images"] = "images"
    source: str = "digits"
    validation: CountOrFraction = 0.1
    train_limit: Count | None = None
    validation_limit: Count | None = None
    image_size: Count | None = None
    skip_bad: Annotated[float, Field(ge=0, lt=1)] = 0.0
    group: str | None = None
    seed: int = 0

    @field_validator("group")
    @classmethod
    def _group_is_an_expression(cls, group: str | None) -> str | None:
        try:
            re.compile(group or "")
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"expected 'folder' or a regular expression, got {group!r}: {error}") from None
        return group


def _all_is_zero(limit: int | None) -> int:
    """A file cannot say None."""
    return limit or 0


class TextDataSettings(Section):
    """Text to learn from.

    Attributes:
        kind: Tells kinds of data apart in a configuration file.
        source: ``pydoc``, ``ptb``, ``text:FILE-or-DIR``, ``hf:NAME``, ...
        unit: Whether a token is a word or a character.
        max_vocabulary: Keep only so many tokens, the most frequent; 0, or None from Python, keeps all.
        train_limit: Learn from only so many tokens.
        validation_limit: Measure on only so many tokens of the validation part, after every epoch of every child.
        encoding: Of the files, by one of Python's names: ``utf-8``, ``utf-16``, ``latin-1``, ``windows-1252``, ...
    """

    kind: Literal["text"] = "text"
    source: str = "pydoc"
    unit: Literal["word", "character"] = "word"
    max_vocabulary: Annotated[Annotated[int, Field(ge=0)] | None, AfterValidator(_all_is_zero)] = 10_000
    train_limit: Count | None = None
    validation_limit: Count | None = None
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, name: str) -> str:
        return known_encoding(name)


SOURCES_OF_FILES = ("images", "text")
"""Data sources that name a file or a folder after the colon."""

FROM_PYTHON = "python"
"""In a configuration, the data source, strategy or reward that was handed over as an object."""

COSTS = ("parameters", "multiply_adds", "activation_bytes", "latency_ms")
"""What a network costs, by the names of the metrics; the less, the better."""


class OwnDataSettings(Section):
    """Data of a kind of one's own, handed over from Python; see ``examples/own_task.py``.

    Attributes:
        kind: Tells kinds of data apart in a configuration file.
        name: The name of the kind of task.
        source: Always ``python``: no file names such data.
    """

    kind: Literal["own"] = "own"
    name: Annotated[str, Field(min_length=1, max_length=64)] = "own"
    source: Literal["python"] = "python"


class DepthSchedule(Section):
    """Depth that grows by steps with the number of trials so far; the defaults are the paper's.

    Zoph & Le 2017, sec. 4.1. It is a curriculum: a function from the number of a trial to the size of its architecture.

    Attributes:
        start: Predictions of the first architectures.
        step: Predictions added at a time.
        interval: Trials between two additions.
        cap: Most predictions; at most the space's ``depth``.
    """

    start: Count = 6
    step: Annotated[int, Field(ge=0)] = 2
    interval: Count = 1600
    cap: Count = 20

    def __call__(self, trial_id: int) -> int:
        """The depth of trial ``trial_id``."""
        return min(self.start + self.step * (trial_id // self.interval), self.cap)

    @property
    def depths(self) -> list[int]:
        """All depths that there are at some time, in their order."""
        first = min(self.start, self.cap)
        return [*range(first, self.cap, self.step), self.cap] if self.step else [first]


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


CONTROLLER_SETTINGS_USED: Mapping[str, frozenset[str]] = {
    "reinforce": frozenset(LearnerSettings.model_fields),
    "reinforce-replay": frozenset(LearnerSettings.model_fields) - {"learning_rate", "baseline_decay"},
}
"""The settings of the section ``controller`` that a strategy uses, by its name; strategies not listed use none."""


class StrategySettings(Section):
    """Who proposes architectures.

    Attributes:
        name: ``reinforce``, ``random``, ``evolution``, ...
        options: The strategy's own settings by name, such as ``batch`` of ``reinforce``.
    """

    name: str = "reinforce"
    options: Mapping[str, int | float | str | bool] = {}


class LatencySettings(Section):
    """How the latency of a network is measured by the process that trains it; see :mod:`netwright.children.latency`.

    Attributes:
        measure: Whether every child's is. A limit or a target of latency measures it in any case.
        batch: Images, or streams of text, at a time.
        threads: Processor threads.
        runtime: ``onnx`` is ONNX Runtime, of images only; ``auto`` takes it where it is installed, else PyTorch.
        precision: Calls are repeated, half a second at least, until the standard error is this share of the latency.
        seconds: They end after so many seconds at the latest.
    """

    measure: bool = False
    batch: Count = 1
    threads: Count = 1
    runtime: Literal["auto", "onnx", "torch"] = "auto"
    precision: Annotated[float, Field(gt=0, lt=1)] = 0.005
    seconds: Annotated[float, Field(gt=0)] = 2.0


class ImageTraining(Section):
    """How a convolutional child is trained.

    The defaults are the paper's (Zoph & Le 2017, sec. 4.1) and, where it refers to them, DenseNet's (sec. 4.2).

    Attributes:
        kind: Tells kinds of children apart in a configuration file.
        epochs: Passes over the training images, or over as many of them as ``epoch_limit`` says.
        batch_size: Images per step; batch normalisation needs two.
        optimizer: ``sgd`` (the paper's), or ``muon`` (Jordan et al. 2024), which makes the steps of convolutions
            orthogonal and leaves all else to SGD; with few steps it learns much more, on a CPU in the same time.
        learning_rate: Of SGD with Nesterov momentum and of Muon alike: at the start, with ``one-cycle`` the highest.
        momentum: Of either.
        weight_decay: L2 penalty on all weights; with Muon, those alone whose steps it makes orthogonal shrink at each
            step, by rate x decay / (1 - momentum).
        schedule: How the learning rate goes: ``steps`` (the paper's) falls by ``decay_by`` at ``decay_at``, ``cosine``
            falls to zero along half a cosine (Loshchilov & Hutter 2017, without restarts), ``one-cycle`` first rises
            for a quarter of the training (Smith & Topin 2018). The last two reach zero with the last step, so that a
            few epochs are enough to converge.
        decay_at: Fractions of the epochs at which the learning rate is multiplied by ``decay_by``; of ``steps`` only.
        decay_by: See ``decay_at``.
        batch_norm_eps: Added to the variance by batch normalisation.
        upsample: Side to which images are enlarged before the crop, as a multiple of their own; 1 means no crop.
        flip: Whether images are mirrored at random.
        measure: What validation and test numbers are: ``accuracy``, or ``balanced-accuracy``, the mean of the shares of
            right answers of all classes (recalls), by which a rare class counts as much as a frequent one.
        epoch_limit: Training images of an epoch; the next one goes on with the others, and none comes again before all
            have come. Without it, or where there are fewer, all images are an epoch. With it, however many more there
            are, a training of the search takes as long, and sees the same less often; ``netwright train`` lifts it.
        reward_epochs: The reward is made of the best validation number of so many last epochs.
        watch_limit: Validation images that the epochs before these are measured on, which only show the course; without
            it, all of them.
        precision: Of convolutions: ``auto`` is ``bfloat16`` where the processor multiplies it natively.
        max_parameters: Larger children fail without being trained.
        max_multiply_adds: Costlier children, per image, fail without being trained.
        max_activation_bytes: Children whose feature maps of one image take more memory fail without being trained.
        max_latency_ms: Slower children, in milliseconds for a batch of ``latency.batch``, fail without being trained.
        latency: How latency is measured.
        compile: Whether ``torch.compile`` takes the network first; only long training repays the time that this takes.
    """

    kind: Literal["image_classifier"] = "image_classifier"
    epochs: Count = 50
    batch_size: Annotated[int, Field(ge=2)] = 64
    optimizer: Literal["sgd", "muon"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    schedule: Literal["steps", "cosine", "one-cycle"] = "steps"
    decay_at: tuple[Fraction, ...] = (0.5, 0.75)
    decay_by: Annotated[float, Field(gt=0, le=1)] = 0.1
    batch_norm_eps: Annotated[float, Field(gt=0)] = 1e-5
    upsample: Annotated[float, Field(ge=1, le=4)] = 1.25
    flip: bool = True
    epoch_limit: Count | None = None
    measure: Literal["accuracy", "balanced-accuracy"] = "accuracy"
    reward_epochs: Count = 5
    watch_limit: Count | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_parameters: Count | None = None
    max_multiply_adds: Count | None = None
    max_activation_bytes: Count | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    latency: LatencySettings = LatencySettings()
    compile: bool = False

    @property
    def idle(self) -> frozenset[str]:
        """See :attr:`Section.idle`."""
        return frozenset() if self.schedule == "steps" else frozenset({"decay_at", "decay_by"})


class LanguageModelTraining(Section):
    """How a language model is built and trained.

    The defaults are the paper's for its search on the Penn Treebank, which are Zaremba's "medium" cut to 35 epochs.

    Attributes:
        kind: Tells kinds of children apart in a configuration file.
        layers: Stacked recurrent layers.
        hidden: Units per layer; None takes the most that ``parameters`` allow.
        parameters: What all weights together may number.
        embedding: Width of the embedding; None takes the hidden size.
        tied: Whether embedding and softmax share their matrix.
        bias: Whether a searched cell has biases, one for each unit of each leaf, as PyTorch's own layers always have.
        merge_sums: Whether leaves of a searched cell that are only added up share one product, and the cell is as much
            wider as the weights allow that this saves.
        epochs: Passes over the training text.
        batch_size: Streams of text side by side.
        steps: Tokens that a gradient goes back.
        optimizer: Plain SGD, or Adam.
        learning_rate: Of the first epochs, for a loss summed over steps and averaged over streams.
        schedule: How the learning rate goes: ``steps`` (Zaremba's) falls by ``decay_by`` in every epoch after
            ``decay_after``, ``linear`` is held for the first half of the training and then falls evenly to zero, which
            it reaches with the last window, so that a few epochs are enough to converge.
        decay_after: Epochs at the full learning rate; of ``steps`` only.
        decay_by: What the learning rate is multiplied by in every epoch after these.
        clip_norm: Largest norm of the gradient.
        init_scale: Weights start uniform in [-init_scale, init_scale], biases at zero.
        weight_decay: L2 penalty on all weights.
        dropout: Probability of dropping a value on its way up: into, between and out of the layers.
        recurrent_dropout: Probability of dropping a unit of a layer's own previous output, for all steps alike.
        embedding_dropout: Probability of dropping a token of the vocabulary wherever it stands.
        variational: Whether ``dropout``, too, drops the same units at all steps (Gal & Ghahramani 2016).
        precision: Of matrix products in training: ``auto`` is ``bfloat16`` where the processor multiplies it natively.
        max_parameters: Larger children fail without being trained.
        max_latency_ms: Slower children, in milliseconds per token of each of ``latency.batch`` streams, fail likewise.
        latency: How latency is measured.
    """

    kind: Literal["language_model"] = "language_model"
    layers: Count = 2
    hidden: Count | None = None
    parameters: Count = 20_000_000
    embedding: Count | None = None
    tied: bool = False
    bias: bool = False
    merge_sums: bool = False
    epochs: Count = 35
    batch_size: Count = 20
    steps: Count = 35
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0)] = 1.0
    schedule: Literal["steps", "linear"] = "steps"
    decay_after: Count = 6
    decay_by: Annotated[float, Field(gt=0, le=1)] = 1 / 1.2
    clip_norm: Annotated[float, Field(gt=0)] = 5.0
    init_scale: Annotated[float, Field(gt=0)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    dropout: Probability = 0.5
    recurrent_dropout: Probability = 0.0
    embedding_dropout: Probability = 0.0
    variational: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    max_parameters: Count | None = None
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    latency: LatencySettings = LatencySettings()

    @model_validator(mode="after")
    def _tied_are_of_one_width(self) -> Self:
        if self.tied and self.embedding not in (None, self.hidden):
            raise ValueError(
                f"tied: expected an embedding as wide as a layer, got embedding = {self.embedding}; leave "
                "child.embedding out, or set child.tied=false"
            )
        return self

    @property
    def idle(self) -> frozenset[str]:
        """See :attr:`Section.idle`."""
        return frozenset() if self.schedule == "steps" else frozenset({"decay_after", "decay_by"})


class OwnTraining(Section):
    """How a child of a kind of one's own is trained.

    Attributes:
        kind: Tells kinds of children apart in a configuration file.
        epochs: Passes over the training data.
        options: The kind's own settings by name.
    """

    kind: Literal["own"] = "own"
    epochs: Count = 1
    options: Mapping[str, SettingValue] = {}


class CostTarget(Section):
    """What networks should cost, softly: a factor of the reward, (cost / target) to a power.

    Such a weighted product is MnasNet's (Tan et al. 2019, sec. 3.1, equations 2 and 3). The powers 0 and -1 are its
    second pair: what is cheaper than the target gains nothing by that, and twice the target halves the reward. Its
    first pair, -0.07 on both sides, has no target in truth, since another one only multiplies all rewards by a number.

    Attributes:
        parameters: Trainable weights.
        multiply_adds: Per image, or per token.
        activation_bytes: Peak memory of the feature maps of one image.
        latency_ms: As ``child.latency`` measures it.
        below: The power for a network that is cheaper than the target.
        above: The power for one that costs more.
    """

    parameters: Annotated[float, Field(gt=0)] | None = None
    multiply_adds: Annotated[float, Field(gt=0)] | None = None
    activation_bytes: Annotated[float, Field(gt=0)] | None = None
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    below: float = 0.0
    above: Annotated[float, Field(le=0)] = -1.0

    @property
    def costs(self) -> dict[str, float]:
        """The targets that are set, by the name of the metric."""
        named = {name: getattr(self, name) for name in COSTS}
        return {name: value for name, value in named.items() if value is not None}


class AccuracyReward(Section):
    """Accuracy raised to a power (Zoph & Le 2017, sec. 4.1).

    Attributes:
        kind: Tells kinds of reward apart in a configuration file.
        exponent: The paper's is 3.
        floor: What a failed child earns.
        target: What networks should cost; None leaves costs out of the reward.
    """

    lower_is_better: ClassVar[bool] = False
    """Whether a smaller validation number earns more."""

    kind: Literal["accuracy"] = "accuracy"
    exponent: Annotated[float, Field(gt=0)] = 3.0
    floor: float = 0.0
    target: CostTarget | None = None


class PerplexityReward(Section):
    """A constant over the square of the perplexity, or of the bits per character (Zoph & Le 2017, sec. 4.2).

    Attributes:
        kind: Tells kinds of reward apart in a configuration file.
        constant: The paper's is 80.
        floor: What a failed child earns.
        target: What networks should cost; None leaves costs out of the reward.
    """

    lower_is_better: ClassVar[bool] = True
    """Whether a smaller validation number earns more."""

    kind: Literal["perplexity"] = "perplexity"
    constant: Annotated[float, Field(gt=0)] = 80.0
    floor: float = 0.0
    target: CostTarget | None = None


class OwnReward(Section):
    """A function from Python: ``run_search(reward=...)``.

    Attributes:
        kind: Tells kinds of reward apart in a configuration file.
        floor: What a failed child earns.
        lower_is_better: Whether a smaller validation number is the better one.
    """

    kind: Literal["python"] = "python"
    floor: float = 0.0
    lower_is_better: bool = False
    target: ClassVar[None] = None


class SearchSettings(Section):
    """How long and where.

    Attributes:
        trials: Architectures to evaluate in all.
        hours: Stop asking for new ones after so many hours of running, resumed ones counted together.
        seed: The one seed of the run.
        workers: Children trained at a time; 0 means one per core, or per graphics card. Where Ray is started on
            this machine, the cores that it gives out, all for 0. Not used on a cluster that is there already.
        threads: PyTorch threads of each worker; 0 takes ``OMP_NUM_THREADS`` where that is set, else shares the cores
            out evenly, and on Ray means ``cluster.child_cpus``.
        controller_threads: PyTorch threads of the controller, which learns beside the children. Its matrices are small:
            where children train on all cores, a second thread waits at every one of them for a core. None leaves it to
            PyTorch, which takes all cores. The last bits of what is learnt can depend on it.
        calibrate: Where ``workers`` is 0, whether to measure at the start how many workers, of how many threads each,
            learn fastest; half a minute that pays when children take minutes. What came out is kept as ``workers`` and
            ``threads``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``. Not used on Ray; see ``cluster.child_gpus``.
        executor: Where children are trained: ``local``, in processes of this machine, or ``ray``, on a cluster.
        child_seconds: Wall time after which a child is ended as a failure, less what it waited for busy cores.
        child_memory_mb: Memory, in MiB, that a child may take beyond its data; one that needs more is ended as a
            failure. Not limited when left out; Linux only.
        disk_seconds: How long a search waits for room on a full disk before it stops, resumable.
        max_failures: So many errors or lost children in a row end the search. Children over budget, diverging, too slow
            or out of memory never do: the controller learns from them.
        duplicates: Whether a network that is proposed again is trained again (the paper), or its evaluation reused.
    """

    trials: Count = 100
    hours: Annotated[float, Field(gt=0)] | None = None
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    controller_threads: Count | None = None
    calibrate: bool = False
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    executor: Literal["local", "ray"] = "local"
    child_seconds: Annotated[float, Field(gt=0)] = 3600.0
    child_memory_mb: Count | None = None
    disk_seconds: Annotated[float, Field(ge=0)] = 600.0
    max_failures: Count = 5
    duplicates: Literal["retrain", "reuse"] = "retrain"


class StoppingSettings(Section):
    """Ends children that fall behind; see :class:`netwright.search.early_stopping.StoppingExecutor`.

    Attributes:
        quantile: A child is stopped when it is below this quantile of earlier children at the same epoch.
        warmup_epochs: Epochs in which none is stopped.
        least: Earlier children that reached an epoch before it decides anything.
    """

    quantile: Fraction = 0.5
    warmup_epochs: Count = 1
    least: Count = 8


class RungSettings(Section):
    """Ends children of a search that are far behind every reference; see :func:`netwright.search.rungs.rungs`.

    A margin is a share of the number that the worst reference has after the same epoch: with 0.3, a perplexity may be
    1.3 times that one, an accuracy 0.7 times.

    Attributes:
        first_half: Margin in the first half of a child's epochs.
        third_quarter: Margin from there on.
        last_quarter: Margin in the last quarter, up to the last epoch but one.
    """

    first_half: Annotated[float, Field(ge=0)] = 0.3
    third_quarter: Annotated[float, Field(ge=0)] = 0.15
    last_quarter: Annotated[float, Field(ge=0)] = 0.05

    def margin(self, done: float) -> float:
        """The margin after the share ``done`` of the epochs."""
        if done < 1 / 2:
            return self.first_half
        return self.third_quarter if done < 3 / 4 else self.last_quarter


class ClusterSettings(Section):
    """A search on Ray: who works on it, and how gradients come together (Zoph & Le 2017, sec. 3.2).

    Attributes:
        shards: Processes that hold the controller's weights, each a part (the paper's S).
        replicas: Copies of the controller that each sample and learn by themselves (the paper's K).
        children: Children that a replica trains at a time, and the architectures of its gradient (the paper's m); takes
            the place of ``strategy.options.batch``.
        gradients_per_update: Gradients that are averaged for one update.
        max_staleness: A gradient from weights more updates old is left out; without it, none is.
        ahead: Batches that a replica starts while its last one is unfinished, so that no child waits for the slowest.
        child_cpus: Cores that a child takes, or a part of one.
        child_gpus: Graphics cards that a child takes, or a part of one.
        child_resources: Resources of your own that a child takes, by name.
        replica_cpus: Cores set aside for a replica, which seldom has anything to do.
        shard_cpus: Cores set aside for a shard.
    """

    shards: Count = 1
    replicas: Count = 1
    children: Count = 8
    gradients_per_update: Count = 1
    max_staleness: Annotated[int, Field(ge=0)] | None = None
    ahead: Annotated[int, Field(ge=0)] = 0
    child_cpus: Annotated[float, Field(ge=0)] = 1.0
    child_gpus: Annotated[float, Field(ge=0)] = 0.0
    child_resources: Mapping[str, Annotated[float, Field(gt=0)]] = {}
    replica_cpus: Annotated[float, Field(ge=0)] = 0.0
    shard_cpus: Annotated[float, Field(ge=0)] = 0.0

    @property
    def places(self) -> int:
        """How many children train at a time once all places are there."""
        return self.replicas * self.children


class TuningSettings(Section):
    """A grid of training settings, of which a tuning tries every combination.

    Attributes:
        grid: For each setting of the section ``child``, the values to try.
    """

    grid: Mapping[str, Annotated[tuple[SettingValue, ...], Field(min_length=1)]]

    @field_validator("grid")
    @classmethod
    def _values_differ(cls, grid: Mapping[str, tuple[SettingValue, ...]]) -> Mapping[str, tuple[SettingValue, ...]]:
        for name, values in grid.items():
            if len(set(map(repr, values))) < len(values):
                raise ValueError(f"{name}: expected values that differ, got {list(values)}")
        return grid


def final_rounds(finalists: int) -> Iterator[tuple[int, int]]:
    """How many finalists stand in each round, and how many fresh seeds each gets; after a round the better half stays.

    The fewer are left, the nearer they are to each other, and the more seeds there are for each.
    """
    for seeds in chain((1, 2, 2, 4), repeat(8)):
        if finalists < 2:
            return
        yield finalists, seeds
        finalists = math.ceil(finalists / 2)


class VerdictSettings(Section):
    """How a search ends with an answer: what the found network is held against, and by how many trainings.

    Attributes:
        references: Networks drawn by hand: names of built-in ones, or paths of architecture files.
        reference_seeds: Trainings of each reference before the search, by which the best are chosen.
        contenders: References that the found network is held against at the end.
        finalists: Networks of the search that are trained again from fresh seeds; halved in rounds until one is named.
        finalist_share: Of the networks searched, the share that is trained again where that is more than ``finalists``:
            the longer a search, the more of its best results are good by luck.
        seeds: Last trainings of the named network and of each contender, which choose nothing and are compared.
        at_end: Whether the search itself ends with the answer; ``netwright verdict`` gives it later otherwise.
    """

    references: tuple[str, ...] = ()
    reference_seeds: Count = 3
    contenders: Count = 2
    finalists: Count = 8
    finalist_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    seeds: Annotated[int, Field(ge=2)] = 5
    at_end: bool = True

    @property
    def trainings_before(self) -> int:
        """How many trainings come before the search."""
        return self.reference_seeds * len(self.references)

    def finalists_among(self, searched: int) -> int:
        """How many of so many networks are trained again, if there are that many."""
        return max(self.finalists, int(self.finalist_share * searched))

    def trainings_at_end(self, searched: int) -> int:
        """How many trainings come after the search, at most: the rounds of the finalists, and the last seeds.

        Args:
            searched: Networks that were trained in the search.
        """
        rounds = sum(standing * seeds for standing, seeds in final_rounds(self.finalists_among(searched)))
        return rounds + self.seeds * (1 + self.contenders)


Tagged = Field(discriminator="kind")

DataSettings = ImageDataSettings | TextDataSettings | OwnDataSettings
"""What children learn from, of whatever kind."""

Training = ImageTraining | LanguageModelTraining | OwnTraining
"""How children are trained, of whatever kind."""

Reward = AccuracyReward | PerplexityReward | OwnReward
"""What the controller learns from, of whatever kind."""

Space = ConvSpace | RecurrentCellSpace
"""The search spaces that can stand in a configuration file."""


def limits_of(training: Training) -> dict[str, float]:
    """What a child may cost at most, by the names of the costs that training settings limit: ``max_<cost>``."""
    named = {name: getattr(training, f"max_{name}", None) for name in COSTS}
    return {name: limit for name, limit in named.items() if limit is not None}


NO_REFERENCES: Mapping[str, None] = {"verdict": None, "rungs": None}
"""What a configuration loses where no network is drawn by hand: the answer, and what children are held against."""

PARTNERS = {"images": "image_classifier", "text": "language_model", "own": "own"}
"""The kind of child that learns from each kind of data."""


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


class ExperimentConfig(Section):
    """A whole experiment.

    Attributes:
        name: Of the recipe it came from; letters, digits, ``.``, ``_`` and ``-``, since folders are named after it.
        data: What children learn from.
        space: What is searched; None where a space comes from Python.
        depth: How large the architectures are as the search proceeds; None means full size throughout.
        strategy: Who proposes.
        controller: How the controller learns.
        child: How a child is trained.
        reward: What the controller learns from.
        search: How long and where.
        stopping: Which children are not trained to their end; None means that all are.
        rungs: The same, by how far behind the references a child is; not together with ``stopping``.
        verdict: How the search ends with an answer; None where it does not, as in the paper's own experiments.
        cluster: Who works on it where ``search.executor`` is ``ray``.
        tuning: In the run folder of a tuning, what it tries; None in that of a search.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    data: Annotated[DataSettings, Tagged] = ImageDataSettings()
    space: Annotated[Space, Tagged] | None = None
    depth: DepthSchedule | None = None
    strategy: StrategySettings = StrategySettings()
    controller: LearnerSettings = LearnerSettings()
    child: Annotated[Training, Tagged] = ImageTraining()
    reward: Annotated[Reward, Tagged] = AccuracyReward()
    search: SearchSettings = SearchSettings()
    stopping: StoppingSettings | None = None
    rungs: RungSettings | None = None
    verdict: VerdictSettings | None = None
    cluster: ClusterSettings = ClusterSettings()
    tuning: TuningSettings | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if PARTNERS[self.data.kind] != self.child.kind:
            raise ValueError(
                f"child.kind: expected {PARTNERS[self.data.kind]} for {self.data.kind}, got {self.child.kind}"
            )
        if self.stopping is not None and self.rungs is not None:
            raise ValueError("stopping and rungs: expected one of them, got both")
        if self.depth is not None and isinstance(self.space, ConvSpace) and self.depth.cap > self.space.depth:
            raise ValueError(f"depth.cap: expected at most space.depth, {self.space.depth}, got {self.depth.cap}")
        if isinstance(self.space, ConvSpace) and self.space.fill and self.reward.target is not None:
            capped = list(limits_of(self.child))
            if len(capped) == 1 and capped[0] in self.reward.target.costs:
                raise ValueError(
                    f"reward.target.{capped[0]}: with space.fill every network costs child.max_{capped[0]}; set that "
                    "to the target instead, or set space.fill=false"
                )
        return self

    @property
    def reward_counts_costs(self) -> bool:
        """Whether a better validation number alone may earn less, so that networks are ranked by their rewards."""
        return isinstance(self.reward, OwnReward) or self.reward.target is not None

    @property
    def merges_sums(self) -> bool:
        """Whether leaves of a searched cell that are only added up share one product, where children are cells."""
        return isinstance(self.child, LanguageModelTraining) and self.child.merge_sums

    def located(self) -> Self:
        """The same experiment from any directory: by absolute paths of ``images:DIR``, ``text:FILE`` and references."""
        data, verdict = self.data, self.verdict
        named, _, path = data.source.partition(":")
        if named in SOURCES_OF_FILES and path:
            data = data.model_copy(update={"source": f"{named}:{_absolute(path)}"})
        if verdict is not None:
            references = tuple(_absolute(name) if is_file(name) else name for name in verdict.references)
            verdict = verdict.model_copy(update={"references": references})
        return self.model_copy(update={"data": data, "verdict": verdict})

    def to_toml(self) -> str:
        """The complete configuration as TOML; settings that are None are left out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
