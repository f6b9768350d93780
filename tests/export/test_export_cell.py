"""Exported language models: the same numbers as in the library, from files that import only torch."""

import json
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright import tasks
from netwright.children.language_evaluator import LanguageModelEvaluator
from netwright.children.language_model import build_model
from netwright.config import ExperimentConfig, LanguageModelTraining, PerplexityReward, TextDataSettings
from netwright.data.text import from_texts
from netwright.export.cell import cell_source, cell_weights
from netwright.networks.network import Network
from netwright.spaces.recurrent_cell import RecurrentCellSpace

SPACE = RecurrentCellSpace(
    base=4, combinations=("add", "elem_mult", "max"), activations=("tanh", "sigmoid", "relu", "sin")
)
TINY = LanguageModelTraining(
    hidden=6, layers=2, epochs=1, batch_size=3, steps=5, dropout=0.0, init_scale=0.5, precision="float32"
)
TEXT = "the cat sat on the mat\nthe dog sat on the log\n"
TEST = "the dog sat on the mat\nthe cow sat on the log\n" * 5


@st.composite
def cells(draw):
    return SPACE.decode([draw(st.integers(0, decision.cardinality - 1)) for decision in SPACE.plan()])


@settings(max_examples=25)
@given(cell=cells(), seed=st.integers(0, 1000))
def test_logits_are_those_of_the_library(cell, seed):
    model = build_model(cell, 11, TINY, torch.Generator().manual_seed(seed)).eval()
    names = {"__name__": "model"}
    source = cell_source(cell, vocabulary=11, embedding=6, hidden=6, layers=2, unit="word", streams=3)
    exec(compile(source, "model.py", "exec"), names)
    alone = names["LanguageModel"]()
    alone.load_state_dict(cell_weights(model.state_dict()))
    tokens = torch.randint(11, (7, 3), generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        torch.testing.assert_close(alone(tokens)[0], model(tokens)[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("unit", ["word", "character"])
def test_a_script_without_netwright_repeats_the_test_to_the_last_digits(tmp_path, unit):
    data = from_texts({"train": TEXT * 20, "validation": TEXT * 3, "test": TEST}, unit=unit)
    cell = SPACE.decode([decision.cardinality - 1 for decision in SPACE.plan()])
    child = LanguageModelEvaluator(data, TINY).begin(cell, 0)
    child.trainer.run_epoch()
    config = ExperimentConfig(name="t", data=TextDataSettings(unit=unit), child=TINY, reward=PerplexityReward())
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
from model import LanguageModel, encode, measure
model = LanguageModel()
model.load_state_dict(load_file({str(tmp_path / "model.safetensors")!r}))
vocabulary = json.load(open({str(tmp_path / "vocabulary.json")!r}, encoding="utf-8"))
print(json.dumps(measure(model, encode({TEST!r}, vocabulary))))
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == pytest.approx(child.test(), rel=1e-12)
