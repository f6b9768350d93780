"""A kind of task: what changes when something else than images or text is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from netwright.config import DataSettings, ExperimentConfig, SettingValue, Training
from netwright.errors import UsageError
from netwright.measure import ACCURACY, Measure
from netwright.search.executor import Evaluator
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens

if TYPE_CHECKING:  # torch is imported when something is trained, not when a configuration is read
    from torch import Generator, Tensor, nn

    from netwright.children.child import Child

Task = Mapping[str, Any]
"""What children read and write, as JSON: ``task.json`` of a run folder."""

Samples = Sequence[Mapping[str, Any]]
"""A little of what children learn from, as JSON: ``label``, and ``pictures`` (PNG in base 64) or ``text``."""

Files = dict[str, bytes | str]
"""Of an export, by name."""

Drawn = dict[str, tuple[Architecture, Tokens | None]]
"""Networks drawn by hand, by name; with their tokens where the space can write them."""


class Data(Protocol):
    """What children learn from. ``kind`` is the name of its :class:`Kind`."""

    @property
    def kind(self) -> str:
        """The name of the kind of task."""
        ...

    @property
    def name(self) -> str:
        """What to call it in an error."""
        ...

    def share_memory(self) -> Self:
        """Moves its tensors to shared memory, if it has any that are large; returns itself."""
        ...


class Trains(Evaluator, Protocol):
    """An evaluator that can also hand over a child before its first epoch, to be trained to the end."""

    def begin(self, architecture: Architecture, seed: int) -> Child[nn.Module]:
        """The child, before its first epoch."""
        ...


def no_export(architecture: Architecture, *arguments: Any, **options: Any) -> Files:
    """For kinds of which nothing is exported.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"an architecture of kind {architecture.kind} cannot be exported")


def no_loading(settings: DataSettings) -> Any:
    """For kinds whose data no source names.

    Raises:
        UsageError: Always.
    """
    raise UsageError("the data of this task came from Python; hand it over as data=..., from Python")


def no_layer(architecture: Architecture, *arguments: Any, **options: Any) -> nn.Module:
    """For kinds whose networks are made of no recurrent cell.

    Raises:
        UsageError: Always.
    """
    raise UsageError(
        f"layer: expected a recurrent cell, got an architecture of kind {architecture.kind!r}; build() gives the whole "
        "network as a module"
    )


class SourceReport(Protocol):
    """What is in a data source, and what is wrong with it."""

    @property
    def defects(self) -> Sequence[object]:
        """What would be refused, by file name."""
        ...

    def lines(self) -> list[str]:
        """All of it, for a person."""
        ...


def no_check(settings: DataSettings, training: Training) -> SourceReport:
    """For kinds whose data no source names.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{settings.source}: the data of this kind of task come from Python")


def nothing_drawn(names: Sequence[str], config: ExperimentConfig, task: Task, space: SearchSpace) -> Drawn:
    """For kinds without references.

    Raises:
        UsageError: Some are wanted.
    """
    if names:
        raise UsageError(f"references {', '.join(names)}: there are none for this kind of task")
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """What a network takes one input for.

    Attributes:
        name: Of the input: its file, or its position.
        probabilities: By class, the likeliest first; they sum to 1.
    """

    name: str
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        """The likeliest class."""
        return next(iter(self.probabilities))


def no_predicting(
    network: nn.Module, task: Task, training: Any, inputs: Any, on_defect: Callable[[str, str], None] | None
) -> Iterator[Prediction]:
    """For kinds whose networks are not asked about single inputs.

    Raises:
        UsageError: Always.
    """
    raise UsageError("networks of this kind of task are not asked about single inputs; build() gives the module")


def no_generating(network: nn.Module, task: Task, prompt: str, *, tokens: int, temperature: float, seed: int) -> str:
    """For kinds whose networks do not write.

    Raises:
        UsageError: Always.
    """
    raise UsageError("networks of this kind of task write no text; netwright predict says what one takes inputs for")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of thing to learn, as a record of functions; ``tasks/images.py`` and ``tasks/text.py`` are two of them.

    A kind of your own is made like these, in a file of your own: ``examples/own_task.py``.

    Attributes:
        name: Of the kind, and of its data.
        describe: Data -> what children read and write, as JSON.
        evaluator: Data, training, device -> what trains and measures children.
        build: Architecture, task, training, source of initial weights -> the untrained network. Raises
            :class:`UsageError` for architectures that are not of this kind.
        training: How children are trained where a configuration does not say.
        measure: Task -> what the validation number is.
        chosen: Training -> what it is where the settings of training choose that; None leaves it to ``measure``.
        load: Settings -> data. Raises :class:`DataError`.
        excerpt: Data, training, number -> so many batches of it, to measure the speed of training on.
        export: Architecture, task, training, network, ``trained=``, ``onnx=`` -> files. The network is None where the
            task is not known. Raises :class:`UsageError`.
        exportable: Architecture -> whether ``export`` makes files of it.
        layer: Architecture, training, width of the inputs, units, layers, further options -> its cell as a layer with
            fresh weights, as it was trained. Raises :class:`UsageError`.
        weights_of: Weights of an exported ``model.safetensors`` -> the same under the names of ``build``.
        predict: Network, task, training, inputs, whom to tell of inputs that cannot be read -> what it takes them for,
            one after the other.
        generate: Network, task, prompt, ``tokens=``, ``temperature=``, ``seed=`` -> how the text goes on.
        asked_by: The command that asks a trained network something, with ``{}`` for its folder; None where there is
            none.
        asked_alone: What an exported ``model.py`` is given on the command line to be asked something; None where it
            cannot be.
        in_files: Task -> whether both can ask such a network, which reads what is in files or on a command line.
        fingerprint: Data -> a digest of all that children learn from, by which a resumption knows it again wherever it
            lies; None where there is none.
        sources: Names of data sources, before the colon, that are read for this kind alone.
        check: Settings of the data, training -> a report of what is in its source, with all that would be refused.
        cost: Architecture, task -> what such a network costs, by name, where that can be told without building it.
        in_words: Task -> a few words about it, for a report.
        samples: Data -> a little of what children learn from, for a report.
        fit: Space, configuration, task -> the space as data and budget make it.
        drawn: Names, configuration, task, space -> networks drawn by hand.
        references: Names of those that are built in.
        grid: Settings of training that a tuning tries, with their values.
        longer: Epochs of a final training over epochs of a child.
        limits: Settings of the data that save a search time, and that a final training lifts.
        budgets: Settings of training that bound what a search may propose or what a child may take, and that a final
            training lifts, too.
        sizes: Named ways of training, such as Zaremba's sizes of language models.
        of_network: Settings of training that say what the network itself is, and that stay as they are under a size.
        architectures: Kinds of architecture that are taken to be of this kind when they come without a run.
        recipe: The recipe that such an architecture is trained by; None where there is none.
        task: What such an architecture is taken to be for.
    """

    name: str
    describe: Callable[[Any], Task]
    evaluator: Callable[[Any, Any, str], Trains]
    build: Callable[[Architecture, Task, Any, Generator], nn.Module]
    training: Training
    measure: Callable[[Task], Measure] = lambda task: ACCURACY
    chosen: Callable[[Any], Measure | None] = lambda training: None
    load: Callable[[Any], Any] = no_loading
    excerpt: Callable[[Any, Any, int], Any] = lambda data, training, batches: data
    export: Callable[..., Files] = no_export
    exportable: Callable[[Architecture], bool] = lambda architecture: True
    layer: Callable[..., nn.Module] = no_layer
    weights_of: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = dict
    predict: Callable[..., Iterator[Prediction]] = no_predicting
    generate: Callable[..., str] = no_generating
    asked_by: str | None = None
    asked_alone: str | None = None
    in_files: Callable[[Task], bool] = lambda task: True
    fingerprint: Callable[[Any], str | None] = lambda data: None
    sources: tuple[str, ...] = ()
    check: Callable[[Any, Any], SourceReport] = no_check
    cost: Callable[[Architecture, Task], Mapping[str, int]] = lambda architecture, task: {}
    in_words: Callable[[Task], str] = lambda task: ", ".join(f"{name} {value}" for name, value in task.items())
    samples: Callable[[Any], Samples] = lambda data: ()
    fit: Callable[[SearchSpace, ExperimentConfig, Task], SearchSpace] = lambda space, config, task: space
    drawn: Callable[[Sequence[str], ExperimentConfig, Task, SearchSpace], Drawn] = nothing_drawn
    references: tuple[str, ...] = ()
    grid: Mapping[str, tuple[SettingValue, ...]] = field(default_factory=dict)
    longer: int = 1
    limits: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    sizes: Mapping[str, Training] = field(default_factory=dict)
    of_network: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    recipe: str | None = None
    task: Task = field(default_factory=dict)
