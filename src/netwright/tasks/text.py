"""Text, predicted word by word or character by character by recurrent cells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.config import ExperimentConfig, LanguageModelTraining, TextDataSettings
from netwright.errors import ArchitectureError, UsageError
from netwright.measure import BITS_PER_CHARACTER, PERPLEXITY, Measure
from netwright.spaces.architecture import (
    Architecture,
    RecurrentCellArchitecture,
    TorchCellArchitecture,
    load_architecture,
)
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens
from netwright.spaces.published import CELLS, published
from netwright.spaces.references import is_file, reference_name
from netwright.tasks.kind import Drawn, Files, Kind, Samples, SourceReport, Task

if TYPE_CHECKING:
    from torch import Generator, nn

    from netwright.children.language_evaluator import LanguageModelEvaluator
    from netwright.children.language_model import LanguageModel
    from netwright.children.recurrent_cell import NASRNN
    from netwright.data.text import TextData

_log = logging.getLogger(__name__)


OF_THE_CELL = ("bias", "merge_sums")
"""Settings of training that say what a searched cell is: with others it is another cell than the one that was found."""

SAMPLED_WORDS, SAMPLED_CHARACTERS = 80, 500
"""Of a report: how much of a text is shown."""


def _load(settings: TextDataSettings) -> TextData:
    from netwright.data.text import load_text

    arguments = settings.model_dump(exclude={"kind"})
    return load_text(arguments.pop("source"), **arguments)


def _describe(data: TextData) -> Task:
    return {"unit": data.unit, "vocabulary": list(data.vocabulary)}


def _measure(task: Task) -> Measure:
    return BITS_PER_CHARACTER if task.get("unit") == "character" else PERPLEXITY


def _excerpt(data: TextData, training: LanguageModelTraining, batches: int) -> TextData:
    some = data.train[: training.batch_size * (batches * training.steps + 1)]
    return replace(data, train=some, validation=some)


def _evaluator(data: TextData, training: LanguageModelTraining, device: str) -> LanguageModelEvaluator:
    from netwright.children.language_evaluator import LanguageModelEvaluator

    return LanguageModelEvaluator(data, training, device)


def _build(
    architecture: Architecture, task: Task, training: LanguageModelTraining, generator: Generator
) -> LanguageModel:
    from netwright.children.language_model import build_model

    if not isinstance(architecture, RecurrentCellArchitecture | TorchCellArchitecture):
        raise UsageError(f"nothing here builds an architecture of kind {architecture.kind!r} for text")
    return build_model(architecture, len(_vocabulary(task)), training, generator)


def _vocabulary(task: Task) -> list[str]:
    """The tokens that a model knows.

    Raises:
        UsageError: A published cell belongs to no text, so it has none.
    """
    if "vocabulary" not in task:
        raise UsageError("a cell alone is no language model; train it on a text first: netwright train NAME --data ...")
    vocabulary: list[str] = task["vocabulary"]
    return vocabulary


def _export(
    architecture: Architecture,
    task: Task,
    training: LanguageModelTraining,
    network: nn.Module | None,
    *,
    trained: bool,
    onnx: bool,
) -> Files:
    from netwright.export.files import cell_files, layer_files

    cell = _not_pytorchs(architecture)
    if onnx:
        raise UsageError("--onnx: for convolutional networks only; model.py runs a language model anywhere")
    if network is None:
        return layer_files(cell)
    return cell_files(cell, _vocabulary(task), task["unit"], training, network, trained=trained)


def _layer(
    architecture: Architecture,
    training: LanguageModelTraining,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    **options: Any,
) -> NASRNN:
    """See :meth:`netwright.networks.network.Network.layer`."""
    from netwright.children.recurrent_cell import NASRNN

    options = {**{name: getattr(training, name) for name in OF_THE_CELL}, **options}
    return NASRNN(input_size, hidden_size, num_layers, _not_pytorchs(architecture), **options)


def _not_pytorchs(architecture: Architecture) -> RecurrentCellArchitecture:
    """The cell.

    Raises:
        UsageError: It is PyTorch's own, of which nothing is to be made.
    """
    if isinstance(architecture, TorchCellArchitecture):
        raise UsageError(f"torch.nn.{architecture.cell.upper()} is PyTorch's own: use it as it is")
    assert isinstance(architecture, RecurrentCellArchitecture)
    return architecture


def _generate(network: LanguageModel, task: Task, prompt: str, *, tokens: int, temperature: float, seed: int) -> str:
    from netwright.children.language_generation import generate, prompt_tokens

    vocabulary, unit = _vocabulary(task), task["unit"]
    known = frozenset(vocabulary)
    if unknown := dict.fromkeys(token for token in prompt_tokens(prompt, unit) if token not in known):
        _log.warning("not in the vocabulary, so that the model reads <unk>: %s", ", ".join(unknown))
    return generate(network, vocabulary, unit, prompt, tokens=tokens, temperature=temperature, seed=seed)


def _fingerprint(data: TextData) -> str:
    from netwright.data.fingerprint import fingerprint

    return fingerprint([data.unit, data.vocabulary], [data.train, data.validation, data.test])


def _check(settings: TextDataSettings, training: LanguageModelTraining) -> SourceReport:
    from netwright.children.language_training import too_few
    from netwright.data.listing import Defect
    from netwright.data.text import check_text

    arguments = settings.model_dump(exclude={"kind"})
    report = check_text(arguments.pop("source"), **arguments)
    problem = too_few(report.counts["train"], training) if report.counts else None
    return report if problem is None else replace(report, defects=(*report.defects, Defect("(all files)", problem)))


def _samples(data: TextData) -> Samples:
    """The beginning of the text as children are given it: with ``<unk>`` for what is not in the vocabulary."""
    from netwright.data.tokens import END

    words = data.unit == "word"
    tokens = [data.vocabulary[token] for token in data.train[: SAMPLED_WORDS if words else SAMPLED_CHARACTERS].tolist()]
    text = (" " if words else "").join("\n" if token == END else token for token in tokens)
    text = text.replace(" \n ", "\n") if words else text
    return [{"label": "the beginning of the training part", "text": text}]


def _in_words(task: Task) -> str:
    return f"text, {len(task['vocabulary']):,} different {task.get('unit', 'token')}s"


def _drawn(names: Sequence[str], config: ExperimentConfig, task: Task, space: SearchSpace) -> Drawn:
    """Published cells and PyTorch's own layers by their names, and those of files.

    Raises:
        UsageError: There is none of a name, or a file cannot be read.
        ArchitectureError: A file holds no cell.
    """
    found: Drawn = {}
    for name in names:
        architecture = load_architecture(Path(name)) if is_file(name) else _known(name)
        if not isinstance(architecture, RecurrentCellArchitecture | TorchCellArchitecture):
            raise ArchitectureError(f"reference {name}: expected a recurrent cell, got kind {architecture.kind!r}")
        tokens: Tokens | None
        try:
            tokens = space.encode(architecture)
        except ArchitectureError:
            tokens = None
        found[reference_name(name)] = (architecture, tokens)
    return found


def _known(name: str) -> Architecture:
    if name not in CELLS:
        raise UsageError(f"reference {name}: there are {', '.join(CELLS)}, and architecture files: mine.json")
    return published(name)


ZAREMBA = {
    "small": LanguageModelTraining(
        hidden=200, epochs=13, steps=20, decay_after=4, decay_by=0.5, init_scale=0.1, dropout=0.0
    ),
    "medium": LanguageModelTraining(hidden=650, epochs=39),
    "large": LanguageModelTraining(
        hidden=1500, epochs=55, decay_after=14, decay_by=1 / 1.15, clip_norm=10.0, init_scale=0.04, dropout=0.65
    ),
}
"""The three models of Zaremba et al. (2014), sec. 4.1."""

TEXT = Kind(
    name="text",
    load=_load,
    describe=_describe,
    measure=_measure,
    excerpt=_excerpt,
    evaluator=_evaluator,
    build=_build,
    export=_export,
    exportable=lambda architecture: not isinstance(architecture, TorchCellArchitecture),
    layer=_layer,
    generate=_generate,
    asked_by="netwright generate {} --prompt TEXT",
    fingerprint=_fingerprint,
    sources=("pydoc", "ptb", "text"),
    check=_check,
    drawn=_drawn,
    references=CELLS,
    in_words=_in_words,
    samples=_samples,
    training=LanguageModelTraining(),
    grid={
        "learning_rate": (0.5, 1.0, 1.5),
        "init_scale": (0.04, 0.05, 0.1),
        "dropout": (0.35, 0.5, 0.65),
        "decay_after": (4, 6, 10),
    },
    limits=("train_limit", "validation_limit"),
    budgets=("max_parameters", "max_latency_ms"),
    sizes=ZAREMBA,
    of_network=OF_THE_CELL,
    architectures=("recurrent_cell", "torch_cell"),
    recipe="penn-treebank",
)
"""Python's own help, the Penn Treebank, files: see :mod:`netwright.data.text`."""
