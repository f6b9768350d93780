"""Exported cells and language models: the same numbers as in the library, from files that import only torch."""

import json
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from netwright import tasks
from netwright.children.language_evaluator import LanguageModelEvaluator
from netwright.children.language_model import build_model
from netwright.children.recurrent_cell import NASRNN
from netwright.config import ExperimentConfig, LanguageModelTraining, PerplexityReward, TextDataSettings
from netwright.data.text import from_texts
from netwright.export.cell import cell_source, layer_source
from netwright.networks.finding import find_network
from netwright.networks.network import Network
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace

SPACE = RecurrentCellSpace(
    base=4, combinations=("add", "elem_mult", "max"), activations=("tanh", "sigmoid", "relu", "sin")
)
TINY = LanguageModelTraining(
    hidden=6, layers=2, epochs=1, batch_size=3, steps=5, dropout=0.0, init_scale=0.5, precision="float32"
)
TEXT = "the cat sat on the mat\nthe dog sat on the log\n"
WRITTEN = [
    *(("", 30, 1.0), ("the cat", 30, 1.0), ("the cat sat ", 30, 2.0), ("a zebra\n", 30, 0.5), ("  on\n the ", 30, 0.0)),
    ("the", 0, 1.0),
]
"""Prompt, tokens, temperature: at the beginning, in a line, after a blank, with unknown words, over two lines."""
TEST = "the dog sat on the mat\nthe cow sat on the log\n" * 5


@st.composite
def cells(draw):
    return SPACE.decode([draw(st.integers(0, decision.cardinality - 1)) for decision in SPACE.plan()])


@settings(max_examples=25)
@given(
    cell=cells() | st.sampled_from(["lstm", "open-lstm"]).map(published),
    seed=st.integers(0, 1000),
    bias=st.booleans(),
    merge_sums=st.booleans(),
)
def test_logits_are_those_of_the_library(cell, seed, bias, merge_sums):
    settings = TINY.model_copy(update={"bias": bias, "merge_sums": merge_sums})
    model = build_model(cell, 11, settings, torch.Generator().manual_seed(seed)).eval()
    begun = {name: weights.clone() for name, weights in model.named_parameters() if name.endswith("bias")}
    for weights in model.parameters():  # biases start at zero, where a lost one would not be missed
        torch.nn.init.uniform_(weights, -0.5, 0.5, generator=torch.Generator().manual_seed(seed))
    names = {"__name__": "model"}
    units = model.softmax.in_features
    sizes = {"vocabulary": 11, "embedding": units, "hidden": units, "layers": 2}
    source = cell_source(cell, **sizes, unit="word", streams=3, init_scale=0.1, bias=bias, merge_sums=merge_sums)
    exec(compile(source, "model.py", "exec"), names)
    alone = names["LanguageModel"]()
    for name, weights in alone.named_parameters():
        assert torch.equal(weights, begun[name]) if name in begun else weights.std() > 0
    alone.load_state_dict(model.state_dict())
    tokens = torch.randint(11, (7, 3), generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        torch.testing.assert_close(alone(tokens)[0], model(tokens)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("unit", "merged"), [("word", False), ("character", True)])
def test_a_script_without_netwright_repeats_the_test_to_the_last_digits(tmp_path, unit, merged):
    data = from_texts({"train": TEXT * 20, "validation": TEXT * 3, "test": TEST}, unit=unit)
    cell = published("open-lstm") if merged else SPACE.decode([step.cardinality - 1 for step in SPACE.plan()])
    training = TINY.model_copy(update={"bias": merged, "merge_sums": merged})
    child = LanguageModelEvaluator(data, training).begin(cell, 0)
    child.trainer.run_epoch()
    config = ExperimentConfig(name="t", data=TextDataSettings(unit=unit), child=training, reward=PerplexityReward())
    weights = safetensors.torch.save({name: value.clone() for name, value in child.network.state_dict().items()})
    network = Network(
        architecture=cell, task=tasks.TEXT.describe(data), config=config, kind=tasks.TEXT, weights=weights
    )
    for name, content in network.files().items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    script = f"""
import json, sys
sys.path.insert(0, {str(tmp_path)!r})
sys.modules["netwright"] = None  # an import of it fails
from safetensors.torch import load_file
from model import LanguageModel, encode, generate, load, measure, read_vocabulary
model = LanguageModel()
model.load_state_dict(load_file({str(tmp_path / "model.safetensors")!r}))
vocabulary = json.load(open({str(tmp_path / "vocabulary.json")!r}, encoding="utf-8"))
assert vocabulary == read_vocabulary()
written = [generate(load(), *arguments, temperature=t, seed=4) for *arguments, t in {WRITTEN!r}]
print(json.dumps([measure(model, encode({TEST!r})), written]))
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    measured, written = json.loads(done.stdout)
    assert measured == pytest.approx(child.test(), rel=1e-12)
    for (prompt, tokens, temperature), text in zip(WRITTEN, written, strict=True):
        assert text == network.generate(prompt, tokens=tokens, temperature=temperature, seed=4)
    assert len({text for text in written if text}) > 3


@pytest.mark.parametrize("bias", [False, True])
def test_the_usage_shows_the_layer_as_it_was_trained(bias):
    """Tried: without it, who follows the usage gets a cell without the biases that it was found with."""
    sizes = {"vocabulary": 11, "embedding": 6, "hidden": 6, "layers": 2}
    source = cell_source(published("nascell"), **sizes, unit="word", streams=3, init_scale=0.1, bias=bias)
    names = {"__name__": "model"}
    exec(compile(source, "model.py", "exec"), names)
    [usage] = [line for line in names["__doc__"].splitlines() if "Layer(" in line]
    exec(usage.strip(), names)
    assert (names["layer"].cells[1].bias is not None) == bias


def layer_of(cell):
    """The class ``Layer`` of the ``model.py`` of a cell alone."""
    names = {"__name__": "model"}
    exec(compile(layer_source(cell), "model.py", "exec"), names)
    return names["Layer"]


def forms(batch_first):
    """Inputs as ``nn.LSTM`` takes them: a batch, one sequence, packed ones in falling order of length and in any."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 4, generator=generator) if batch_first else torch.randn(5, 3, 4, generator=generator)
    sequences = [torch.randn(length, 4, generator=generator) for length in (5, 2, 4)]
    yield x
    yield torch.randn(5, 4, generator=generator)
    yield pack_sequence(sorted(sequences, key=len, reverse=True))
    yield pack_sequence(sequences, enforce_sorted=False)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", ["nascell", "figure8-max", "lstm"])
def test_the_layer_takes_and_gives_what_the_library_and_pytorchs_lstm_do(name, batch_first):
    """Values of ``NASRNN``, shapes of ``nn.LSTM``; with a state to begin with and without.

    Tried: without the keeping of the state of sequences that have ended, the packed ones differ.
    """
    cell = published(name)
    rnn = NASRNN(4, 6, 2, cell, bias=batch_first, batch_first=batch_first)
    layer = layer_of(cell)(4, 6, 2, bias=batch_first, batch_first=batch_first)
    lstm = torch.nn.LSTM(4, 6, 2, batch_first=batch_first)
    layer.load_state_dict(rnn.state_dict())
    for x in forms(batch_first):
        one = isinstance(x, torch.Tensor) and x.dim() == 2
        begun = torch.rand(2, 2, 6) if one else torch.rand(2, 2, 3, 6)
        for state in (None, tuple(begun)):
            found, states = layer(x, state)
            expected, expected_states = rnn(x, state)
            like, like_states = lstm(x, state)
            torch.testing.assert_close(tuple(states), tuple(expected_states), rtol=1e-5, atol=1e-6)
            assert [s.shape for s in states] == [s.shape for s in like_states]
            if not isinstance(x, torch.Tensor):
                assert torch.equal(found.batch_sizes, like.batch_sizes)
                assert (found.sorted_indices is None) == (like.sorted_indices is None)
                found, expected, like = found.data, expected.data, like.data
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
            assert found.shape == like.shape


class Mean(torch.nn.Module):
    """Somebody's own network, which is to tell the mean of five numbers."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent = recurrent(1, 12, batch_first=True)
        self.head = torch.nn.Linear(12, 1)

    def forward(self, x):
        outputs, _ = self.recurrent(x)
        return self.head(outputs[:, -1])[:, 0]


@pytest.mark.parametrize("recurrent", [layer_of(published("nascell")), torch.nn.LSTM], ids=["nascell", "nn.LSTM"])
def test_a_fresh_layer_learns_in_a_network_of_ones_own_as_pytorchs_lstm_does(recurrent):
    """Tried: from weights of zero, the error stays at 0.96 of the variance."""
    torch.manual_seed(1)
    network, errors = Mean(recurrent), []
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(100):
        x = torch.rand(32, 5, 1)
        error = ((network(x) - x.mean((1, 2))) ** 2).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    variance = 1 / 12 / 5
    assert sum(errors[-10:]) / 10 < 0.4 * variance


def test_a_published_cell_without_a_text_is_exported_as_its_layer(tmp_path):
    """Tried: with a language model wanted, it is refused, since a published cell has no vocabulary."""
    assert {path.name for path in find_network("nascell").export(tmp_path)} == {"architecture.json", "model.py"}
    names = {"__name__": "model"}
    exec(compile((tmp_path / "model.py").read_text(), "model.py", "exec"), names)
    outputs, _ = names["Layer"](3, 5)(torch.zeros(2, 1, 3))
    assert outputs.shape == (2, 1, 5)
    assert "LanguageModel" not in names


def test_a_model_that_was_moved_to_a_card_writes_on_the_cpu():
    """What it reads is made there; ``tests/gpu/test_card.py`` does the same on a card."""
    sizes = {"vocabulary": 3, "embedding": 2, "hidden": 2, "layers": 1, "streams": 1, "init_scale": 0.5}
    names = {"__name__": "model"}
    exec(cell_source(published("lstm"), unit="word", **sizes), names)
    moved = []

    class Watched(names["LanguageModel"]):
        def cpu(self):
            moved.append(self)
            return super().cpu()

    model = Watched()
    names["generate"](model, "a", 2, vocabulary=["<unk>", "<eos>", "a"])
    assert len(moved) == 1
    assert moved[0] is not model
