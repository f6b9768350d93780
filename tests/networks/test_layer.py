"""The cell of a run in a model of one's own is the cell that was measured."""

import pytest
import torch

from netwright.config import ExperimentConfig, LanguageModelTraining, PerplexityReward, TextDataSettings
from netwright.errors import UsageError
from netwright.networks.finding import find_network
from netwright.networks.network import Network
from netwright.networks.training import final_config
from netwright.spaces.published import published
from netwright.tasks import TEXT


def found(**settings):
    """A network that a search for text has found, before its training."""
    child = LanguageModelTraining(hidden=6, layers=2, dropout=0.0, **settings)
    config = ExperimentConfig(name="text", data=TextDataSettings(), child=child, reward=PerplexityReward())
    task = {"unit": "word", "vocabulary": ["<unk>", "<eos>", "a"]}
    return Network(architecture=published("open-lstm"), task=task, config=config, kind=TEXT)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("merge_sums", [False, True])
def test_a_layer_has_the_weights_and_computes_what_its_run_did(bias, merge_sums):
    """Tried: with the defaults of ``NASRNN``, it has no biases and twice the products."""
    network = found(bias=bias, merge_sums=merge_sums)
    trained = network.build().rnn
    units = trained.cells[0].hidden_size  # more than 6 where products are shared
    layer = network.layer(units, units, 2)
    layer.load_state_dict(trained.state_dict())
    x = torch.randn(5, 3, units, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layer(x)[0], trained(x)[0])
    assert (layer.cells[0].bias is not None) == bias


def test_its_other_arguments_are_those_of_the_layer():
    network = found(bias=True)
    layer = network.layer(4, 5, batch_first=True, dropout=0.2)
    assert layer(torch.zeros(3, 7, 4))[0].shape == (3, 7, 5)
    assert layer.dropout == 0.2
    assert network.layer(4, 5, bias=False).cells[0].bias is None
    assert find_network("nascell").layer(4, 5).cells[0].bias is None  # as in the paper


def test_what_is_no_cell_of_the_space_is_refused():
    with pytest.raises(UsageError, match=r"expected a recurrent cell, got an architecture of kind 'conv'; build\(\)"):
        find_network("figure7").layer(4, 5)
    with pytest.raises(UsageError, match=r"torch\.nn\.LSTM is PyTorch's own"):
        find_network("torch-lstm").layer(4, 5)


@pytest.mark.parametrize("belongs", [False, True])
def test_a_cell_is_the_same_in_every_size(belongs):
    """Tried: with the settings of the size alone, a cell with biases is trained without."""
    child = final_config(found(bias=belongs, merge_sums=belongs), size="small").child
    assert (child.bias, child.merge_sums) == (belongs, belongs)
    assert (child.hidden, child.epochs, child.decay_by) == (200, 13, 0.5)
