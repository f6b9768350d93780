"""A network with all that it takes to build, train, test, draw and export it."""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from netwright.bounded import open_regular
from netwright.config import FROM_PYTHON, ExperimentConfig, ImageTraining
from netwright.errors import DamagedWeightsError, NetwrightError, StorageError, UsageError, command, reason
from netwright.interrupts import resumable
from netwright.measure import Measure
from netwright.networks.results import RESULT, read_training_result
from netwright.recipes import RECIPES, find_recipe
from netwright.settings_file import config_of, load_config
from netwright.spaces.architecture import Architecture, load_architecture
from netwright.spaces.diagram import draw
from netwright.spaces.svg import architecture_svg
from netwright.store.lock import held
from netwright.store.run_folder import weights_file
from netwright.store.task_file import CANDIDATES, REFERENCES, read_task
from netwright.tasks import KINDS, Data, Kind, kind_of, kind_of_architecture, measure_of
from netwright.tasks.kind import Prediction

if TYPE_CHECKING:
    from torch import nn

    from netwright.data.images import ImageData
    from netwright.networks.training import OnEpoch

ARCHITECTURE = "architecture.json"
"""In every export, and in a training."""

PARTS = (ARCHITECTURE, "task.json", "config.toml")
"""What a folder of ``netwright train`` holds from its beginning."""


WEIGHTS = "model.safetensors"
"""The weights of an export."""

EXPORTED = {
    ARCHITECTURE,
    "model.py",
    WEIGHTS,
    "model.onnx",
    "model.int8.onnx",
    "int8.json",
    "vocabulary.json",
}
"""All files that an export of any kind of network may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """An architecture and what is known of it: what a person takes home from a search.

    Attributes:
        architecture: What it looks like.
        task: What it reads and writes: ``task.json`` of its run.
        config: How it is trained; None when nobody has said.
        kind: What kind of task it is for; None when that is not known.
        weights: Trained ones as safetensors; None before.
        training: The folder where its training is, or will be, unless told otherwise; None for a network that
            belongs to no run.
        final: Whether ``config`` is that of a final training, on all data and for all epochs; else of a search.
        seed: Of that training, the one that the weights are from.
        assumed: What nobody has said of the task and is therefore assumed, for a person; empty where all is known.
    """

    architecture: Architecture
    task: Mapping[str, Any]
    config: ExperimentConfig | None = None
    kind: Kind | None = None
    weights: bytes | None = None
    training: Path | None = None
    final: bool = False
    seed: int = 0
    assumed: str = ""

    @property
    def measure(self) -> Measure:
        """What its validation and test numbers are.

        Raises:
            UsageError: Nobody has said how it is trained.
        """
        _, config = self._trainable()
        return measure_of(config, self.task)

    @property
    def asked_by(self) -> str | None:
        """See :attr:`netwright.tasks.kind.Kind.asked_by`; None also where such inputs are in no file."""
        return self.kind.asked_by if self.kind is not None and self.kind.in_files(self.task) else None

    @property
    def asked_alone(self) -> str | None:
        """The same of :attr:`netwright.tasks.kind.Kind.asked_alone`."""
        return self.kind.asked_alone if self.kind is not None and self.kind.in_files(self.task) else None

    @property
    def merges_sums(self) -> bool:
        """Whether leaves of its cell that are only added up share one product, where it is a cell."""
        return self.config is not None and self.config.merges_sums

    def build(self) -> nn.Module:
        """The network as an ordinary module: with its trained weights, set to evaluation, or else with fresh ones.

        A convolutional one takes floats [N, C, H, W], of which each image has zero mean and unit variance, to logits:
        what ``prepare`` in an exported ``model.py`` makes of bytes. :meth:`predict` does all of that. A cell becomes
        the language model that was trained.

        Raises:
            UsageError: Nothing here builds architectures of this kind.
            DamagedWeightsError: The weights are damaged.
        """
        import torch

        from netwright.networks.tensor_file import load_tensors

        kind, config = self._trainable()
        network = kind.build(self.architecture, self.task, config.child, torch.Generator().manual_seed(0))
        if self.weights is not None:
            training = self.training or Path("TRAINING")
            path = weights_file(training, self.seed)
            try:
                network.load_state_dict(load_tensors(self.weights, str(path)))
            except (StorageError, RuntimeError) as error:
                damage = str(error) if isinstance(error, StorageError) else f"{path}: of another network: {error}"
                raise DamagedWeightsError(damage, _retraining(training, self.seed)) from None
            network.eval()
        return network

    def layer(self, input_size: int, hidden_size: int, num_layers: int = 1, **options: Any) -> nn.Module:
        """Its cell as a layer with fresh weights, for a model of your own, used like ``nn.LSTM``.

        It is the cell that was measured: it has biases (``bias``), and leaves that are only added up share a product
        (``merge_sums``), where the configuration says so. Both can be given like any other option.

        Args:
            input_size: Width of the inputs.
            hidden_size: Units.
            num_layers: Layers, one on top of the other.
            options: What else :class:`~netwright.children.recurrent_cell.NASRNN` takes by name, such as
                ``batch_first=True`` or ``dropout=0.2``.

        Raises:
            UsageError: It is no recurrent cell, or one of PyTorch's own; or nobody has said how it is trained.
        """
        kind, config = self._trainable()
        return kind.layer(self.architecture, config.child, input_size, hidden_size, num_layers, **options)

    def _trainable(self) -> tuple[Kind, ExperimentConfig]:
        """The kind of task and the configuration.

        Raises:
            UsageError: One of them is not known.
        """
        if self.kind is None or self.config is None:
            raise UsageError(f"nothing here builds an architecture of kind {self.architecture.kind!r} for its task")
        return self.kind, self.config

    def _trained(self) -> tuple[Kind, ExperimentConfig]:
        """As :meth:`_trainable`, of a network with weights.

        Raises:
            UsageError: It has none.
        """
        known = self._trainable()
        if self.weights is None:
            raise self._untrained()
        return known

    def _untrained(self) -> UsageError:
        """The error of a network that has to be trained first."""
        how = command("train") if self.training is None else command("train", self.training.parent)
        return UsageError(f"this network is not trained yet; first: {how} (in Python network.train())")

    def is_trained(self, seed: int = 0) -> bool:
        """Whether a training has finished a seed of it."""
        return self.training is not None and weights_file(self.training, seed).with_name(RESULT).is_file()

    def trained(self, seed: int = 0) -> Network:
        """The same network as its training left it; as it is when no training was ever begun.

        Raises:
            UsageError: The training has not finished this seed.
            DamagedWeightsError: It has, and the weights cannot be read.
        """
        if self.training is None or not self.training.is_dir():
            return self
        if not self.is_trained(seed):
            raise UsageError(
                f"{self.training} has not finished seed {seed}; first: {command('train', '--resume', self.training)}"
            )
        path = weights_file(self.training, seed)
        try:
            with open_regular(path) as file:
                weights = file.read()
        except (OSError, ValueError) as error:
            damage = f"{path}: cannot be read: {reason(error)}"
            raise DamagedWeightsError(damage, _retraining(self.training, seed)) from None
        return replace(training_network(self.training, self.kind), weights=weights, seed=seed)

    def train(
        self,
        out: str | Path | None = None,
        *,
        epochs: int | None = None,
        seeds: int = 1,
        settings: Mapping[str, object] | None = None,
        data: Data | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Network:
        """Trains it to the end, on all training data, and tests it once; resumes a training that was stopped.

        Args:
            out: The folder of the training; that of its trial in the run folder without it.
            epochs: Of each seed; by default six times those of a search for images, as the paper's, each of all images,
                and those of its last training for a network that was trained already.
            seeds: Train so many times, from seeds 0, 1, ...
            settings: Changes to how it is trained, e.g. ``{"child.learning_rate": 0.1}``.
            data: What it learns from, instead of the source that its configuration names.
            on_epoch: Told of every epoch.

        Returns:
            The network with the weights of seed 0.

        Raises:
            UsageError: Nobody has said how it is trained, or a folder is needed.
            DataError: The data cannot be read, or came from Python and was not handed over.
            NetwrightError: As :func:`netwright.networks.training.begin` says.
        """
        folder = Path(out) if out is not None else self.training
        if folder is None:
            raise UsageError("this network belongs to no run; name the folder of its training: train('DIR')")
        again = f"to resume, call train in the same way once more{'' if out is None else f', with {str(out)!r}'}"
        with resumable(again):
            self._train(folder, epochs=epochs, seeds=seeds, settings=settings, data=data, on_epoch=on_epoch)
        return replace(self, training=folder, weights=None).trained()

    def _train(
        self,
        folder: Path,
        *,
        epochs: int | None,
        seeds: int,
        settings: Mapping[str, object] | None,
        data: Data | None,
        on_epoch: OnEpoch | None,
    ) -> None:
        """Begins or resumes the training of a folder; see :meth:`train`."""
        from netwright.networks import training

        network = replace(self, training=folder, weights=None)
        # The folder says where the data came from, so that nobody resumes with the source in their place.
        source = {} if data is None else {"data.source": FROM_PYTHON}
        config = training.final_config(network, epochs=epochs, settings={**(settings or {}), **source})
        if not (folder / "config.toml").is_file():
            training.begin(network, folder, config, seeds=seeds, data=data, on_epoch=on_epoch)
        else:
            begun = training_network(folder, self.kind)
            assert begun.config is not None
            moved = begun.config.data.model_copy(update={"source": config.data.source})
            if (epochs is not None or settings) and (begun.config.child, moved) != (config.child, config.data):
                raise UsageError(f"{folder} holds a training with its own settings; train into another folder")
            training.resume(begun, seeds=seeds, data=data, on_epoch=on_epoch)

    def test(self) -> Mapping[str, Any]:
        """What the training of all seeds came to: ``test_mean``, ``test_std`` and, per seed, ``curve`` and ``test``.

        Raises:
            UsageError: It is not trained yet.
            StorageError: The result is damaged.
        """
        if self.training is not None:
            with suppress(FileNotFoundError):
                return read_training_result(self.training)
        raise self._untrained()

    def predict(self, inputs: Any, *, on_defect: Callable[[str, str], None] | None = None) -> list[Prediction]:
        """What the network takes pictures for, each read and prepared exactly as those that it learned from.

        Args:
            inputs: A file, a folder, or several of them; or images as :func:`netwright.from_tensors` takes them,
                uint8 or floating point in [0, 1], [N, C, H, W] or [N, H, W]. Files are resized to what it reads.
            on_defect: Told the name of a file that cannot be read, and why, such as ``print``; the file is then left
                out.

        Returns:
            One for each picture, in order.

        Raises:
            UsageError: The network is not trained yet, or is of a kind that is not asked about single inputs.
            DataError: A file cannot be read and ``on_defect`` is not given, or images have another shape than the
                network reads.
            DamagedWeightsError: The weights are damaged.
        """
        return list(self.predictions(inputs, on_defect=on_defect))

    def predictions(self, inputs: Any, *, on_defect: Callable[[str, str], None] | None = None) -> Iterator[Prediction]:
        """As :meth:`predict`, one after the other, for more files than fit into memory."""
        kind, config = self._trained()
        return kind.predict(self.build(), self.task, config.child, inputs, on_defect)

    def generate(self, prompt: str = "", *, tokens: int = 100, temperature: float = 1.0, seed: int = 0) -> str:
        """How a text goes on after a prompt, written by a language model token by token.

        Args:
            prompt: What the model reads first.
            tokens: Words or characters to write; ends of lines count.
            temperature: 0 takes the likeliest token each time, 1 draws by the model's probabilities, more draws wilder.
            seed: Of the draws; equal seeds write equal texts.

        Returns:
            What comes after the prompt, with the blank before it where one word follows another.

        Raises:
            UsageError: The network is not trained yet, or is no language model.
            ValueError: A number is out of its range.
            DamagedWeightsError: The weights are damaged.
        """
        if tokens < 0 or not 0 <= temperature < math.inf:
            raise ValueError(f"expected tokens and temperature of 0 or more, got {tokens} and {temperature}")
        kind, _ = self._trained()
        return kind.generate(self.build(), self.task, prompt, tokens=tokens, temperature=temperature, seed=seed)

    def files(self, *, onnx: bool = False, int8: bool = False, data: Data | None = None) -> dict[str, bytes | str]:
        """The files of an export by name; without trained weights there is no ``model.safetensors``.

        Args:
            onnx: Whether to add ``model.onnx``, which has the weights in it.
            int8: Whether to add ``model.int8.onnx`` as well, quantised, and ``int8.json``, which says what that costs:
                see :mod:`netwright.networks.quantizing`.
            data: What it was trained on, instead of the source that the configuration names: the eight bits are
                calibrated on its training part, and measured on its test part.

        Raises:
            UsageError: This kind of architecture cannot be exported, or not as ONNX.
            DataError: The data cannot be read, or are others than it was trained on.
            StorageError: The weights are damaged.
        """
        from netwright.networks.tensor_file import with_about

        kind, config = self._trainable()
        onnx = onnx or int8
        trained, network = self.weights is not None, self.build() if self.task else None
        files = kind.export(self.architecture, self.task, config.child, network, trained=trained, onnx=onnx)
        if isinstance(weights := files.get(WEIGHTS), bytes):
            files[WEIGHTS] = with_about(weights, self._about(kind, config))
        if int8:
            from netwright.networks.quantizing import quantized

            learned = cast("ImageData", self._learned_from(kind, config, data))
            made = quantized(cast("bytes", files["model.onnx"]), learned, cast("ImageTraining", config.child))
            files |= {"model.int8.onnx": made.content, "int8.json": json.dumps(made.to_json(), indent=1) + "\n"}
        return {ARCHITECTURE: self.architecture.canonical_json() + "\n", **files}

    def _learned_from(self, kind: Kind, config: ExperimentConfig, data: Data | None) -> Data:
        """What it was trained on: what was handed over, or the source that the configuration names.

        Raises:
            UsageError: Nothing was handed over, and an export does not say where it is.
            DataError: It cannot be read, or is not what it was trained on; what was added since would count as tested.
        """
        from netwright.experiment import describe, load_data, refuse_other_data

        if data is None and self.training is None:
            raise UsageError(
                "int8: an export does not say where the data are that it was trained on; export its run or its "
                "training with int8 instead, or hand the data over from Python: export(DIR, int8=True, data=...)"
            )
        folder = self.training or Path("the training")
        call = f"netwright.networks.find_network({str(folder)!r}).trained({self.seed}).export(DIR, int8=True, data=...)"
        data = data or load_data(config, kind, call)
        refuse_other_data(self.task, describe(data, kind, config.child), folder, data.name)
        return data

    def _about(self, kind: Kind, config: ExperimentConfig) -> dict[str, Any]:
        """What an export has to say beside the architecture, for :func:`exported_network`; no path of this machine."""
        task = {name: value for name, value in self.task.items() if name not in (REFERENCES, CANDIDATES)}
        return {"kind": kind.name, "task": task, "child": config.child.model_dump(mode="json", exclude_none=True)}

    def export(self, to: str | Path, *, onnx: bool = False, int8: bool = False, data: Data | None = None) -> list[Path]:
        """Writes ``model.py`` (imports torch only), ``architecture.json`` and, once trained, the weights.

        An earlier export in the folder is replaced whole, so that no weights of another network stay beside this one.
        Files of the same names that are of no export are refused, and stay as they are.

        Args:
            to: The folder.
            onnx: Also ``model.onnx``.
            int8: Also ``model.onnx``, ``model.int8.onnx`` and ``int8.json``; see :meth:`files`.
            data: See :meth:`files`.

        Returns:
            What was written.

        Raises:
            UsageError: This kind of architecture cannot be exported, or not as ONNX; or the folder is that of a run, a
                trial or a training, or holds files of these names that are of no export.
            DataError: See :meth:`files`.
            StorageError: The weights are damaged, or the folder cannot be written.
        """
        from netwright.store.files import write_atomically

        folder = Path(to)
        _refuse_ours(folder)
        _refuse_others(folder, EXPORTED)
        files = self.files(onnx=onnx, int8=int8, data=data)
        _refuse_others(folder, files)  # a kind of one's own has names of its own
        folder.mkdir(parents=True, exist_ok=True)
        for name in EXPORTED - set(files):
            (folder / name).unlink(missing_ok=True)
        for name, content in files.items():
            write_atomically(folder / name, content)
        return [folder / name for name in files]

    def __repr__(self) -> str:
        state = "trained" if self.weights is not None else "not trained"
        where = "" if self.training is None else f", training in {self.training}"
        drawing = draw(self.architecture, self.task, merge_sums=self.merges_sums)
        return f"<Network of kind {self.architecture.kind}, {state}{where}>\n{drawing}"

    def _repr_html_(self) -> str:
        """The drawing, in a notebook."""
        try:
            return architecture_svg(self.architecture)
        except UsageError:  # of a kind that has no drawing
            return f"<pre>{escape(repr(self))}</pre>"


def _refuse_ours(folder: Path) -> None:
    """Refuses to export into a folder that a search or a training lives in: its architecture would be another one.

    Raises:
        UsageError: It is one.
    """
    trials = folder.absolute().parent
    of_a_run = trials.name == "trials" and (trials.parent / "config.toml").is_file()
    if of_a_run or (folder / "config.toml").is_file():
        what = "a trial" if of_a_run else f"a {held(folder)[0]}"
        raise UsageError(f"{folder} is the folder of {what}; export into another one")


def _refuse_others(folder: Path, names: Iterable[str]) -> None:
    """Refuses to export over the files of somebody else's project; an export always has its architecture beside them.

    Raises:
        UsageError: There are some; names them.
    """
    if (folder / ARCHITECTURE).exists():
        return
    if there := sorted(name for name in names if os.path.lexists(folder / name)):
        raise UsageError(
            f"{folder} holds {', '.join(there)} and is no earlier export, which has an {ARCHITECTURE}; nothing was "
            "written. Export into a folder of its own, or move these files away"
        )


def training_network(folder: Path, own: Kind | None = None) -> Network:
    """The network of a folder of ``netwright train``, as it was before its first epoch.

    Args:
        folder: The folder.
        own: Its kind of task, where that came from Python.

    Raises:
        UsageError: The folder holds no training.
        StorageError: A file of it cannot be read.
    """
    if missing := [name for name in PARTS if not (folder / name).is_file()]:
        what, how = held(folder) if (folder / "config.toml").is_file() else ("", "")
        instead = f"; it holds a {what}, to be resumed by {how}" if what in ("run", "tuning") else ""
        raise UsageError(f"{folder} holds no training: there is no {' and no '.join(missing)} in it{instead}")
    config = load_config(folder / "config.toml")
    task = read_task(folder, config)
    return Network(
        architecture=load_architecture(folder / ARCHITECTURE),
        task=task,
        config=config,
        kind=kind_of(config, own),
        training=folder,
        final=True,
    )


def _retraining(training: Path, seed: int) -> str:
    """The command that trains a seed again."""
    return shlex.join(["netwright", "export", str(training), "--seed", str(seed), "--to", "DIR", "--retrain"])


def network_without_run(architecture: Architecture) -> Network:
    """A network of which only the architecture is known; the rest is taken from the paper's experiment of its kind."""
    kind = kind_of_architecture(architecture.kind)
    if kind is None:
        return Network(architecture=architecture, task={})
    config = find_recipe(kind.recipe) if kind.recipe in RECIPES else None
    assumed = f"{kind.in_words(kind.task)}, as in the recipe {kind.recipe}" if kind.task else ""
    return Network(architecture=architecture, task=kind.task, config=config, kind=kind, assumed=assumed)


def exported_network(folder: Path) -> Network:
    """The network of the folder of an export, with its weights where those say what they are of.

    Weights of other origin, or of a version that did not say it, leave the architecture alone.

    Raises:
        UsageError: The architecture cannot be read.
        StorageError: The weights are damaged, or not of this architecture.
    """
    from netwright.networks.tensor_file import load_tensors, read_about

    path = folder / WEIGHTS
    architecture = load_architecture(folder / ARCHITECTURE)
    content = path.read_bytes() if path.is_file() else b""
    about = read_about(content)
    kind = None if about is None else KINDS.get(str(about.get("kind")))
    if about is None or kind is None:
        return network_without_run(architecture)
    import safetensors.torch

    tree = {"name": "exported", "data": {"kind": kind.name, "source": FROM_PYTHON}, "child": about.get("child", {})}
    try:
        found = Network(
            architecture=architecture,
            task=about["task"],
            config=config_of(tree, str(path)),
            kind=kind,
            weights=safetensors.torch.save(kind.weights_of(load_tensors(content, str(path)))),
            final=True,
        )
        found.build()
    except (NetwrightError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StorageError(f"{path}: not the weights of this export: {error}; export the network again") from None
    return found
