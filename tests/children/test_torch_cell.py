"""PyTorch's own layers among the cells: the same numbers as alone, and as many weights as a cell of base 8."""

import pytest
import torch
from torch import nn

from netwright.children.language_model import build_model, count_parameters
from netwright.children.recurrent_cell import cell_step
from netwright.children.torch_cell import TorchRNN
from netwright.config import LanguageModelTraining
from netwright.errors import ArchitectureError, UsageError
from netwright.recipes import find_recipe
from netwright.spaces.architecture import TorchCellArchitecture
from netwright.spaces.diagram import draw
from netwright.spaces.published import CELLS, published
from netwright.tasks.text import TEXT

TINY = LanguageModelTraining(layers=2, hidden=16, dropout=0.2, init_scale=0.1)
CELL = {"lstm": nn.LSTM, "gru": nn.GRU}


@pytest.mark.parametrize("cell", CELL)
def test_windows_one_after_the_other_are_the_whole(cell):
    """Tried: with the state of a GRU lost between windows, it fails."""
    torch.manual_seed(0)
    layer = TorchRNN(5, 7, 2, TorchCellArchitecture(cell=cell), dropout=0.5).eval()
    plain = CELL[cell](5, 7, 2)
    plain.load_state_dict({name.removeprefix("layer."): value for name, value in layer.state_dict().items()})
    x = torch.randn(6, 3, 5)
    expected, last = plain(x)
    first, state = layer(x[:4])
    second, (h, c) = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), expected)
    torch.testing.assert_close(h, last if cell == "gru" else last[0])
    assert c.shape == h.shape


@pytest.mark.parametrize("name", ["torch-lstm", "torch-gru"])
@pytest.mark.parametrize("size", [{"hidden": 16}, {"hidden": None, "parameters": 20_000}])
def test_it_has_as_many_weights_as_a_cell_of_base_8(name, size):
    settings = TINY.model_copy(update=size)
    model = build_model(published(name), 50, settings, torch.Generator().manual_seed(0))
    limit = count_parameters(16, 50, settings) if settings.hidden else 20_000
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert weights == count_parameters(model.softmax.in_features, 50, settings, published(name))
    assert weights <= limit < count_parameters(model.softmax.in_features + 1, 50, settings, published(name))


def test_its_biases_start_at_zero_and_its_matrices_as_those_of_all():
    model = build_model(published("torch-lstm"), 50, TINY, torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            assert 0.09 < parameter.abs().max() <= 0.1


def test_dropout_that_it_does_not_have_is_refused():
    settings = TINY.model_copy(update={"recurrent_dropout": 0.2})
    with pytest.raises(ArchitectureError, match=r"torch\.nn\.LSTM has no recurrent or variational dropout"):
        build_model(published("torch-lstm"), 50, settings, torch.Generator())


def test_the_lstm_without_output_gate():
    generator = torch.Generator().manual_seed(0)
    x, h, c = (torch.randn(2, width, generator=generator) for width in (8 * 3, 8 * 3, 3))
    leaves = (x + h).chunk(8, -1)
    forget, enter = torch.sigmoid(sum(leaves[:4])), torch.sigmoid(leaves[4] + leaves[5])
    memory = forget * c + enter * torch.tanh(leaves[6] + leaves[7])
    output, kept = cell_step(published("open-lstm"), x, h, c)
    torch.testing.assert_close(kept, memory)
    torch.testing.assert_close(output, torch.tanh(memory))


def test_the_references_of_a_search_for_cells():
    config = find_recipe("text")
    drawn = TEXT.drawn(CELLS, config, {}, config.space)
    assert {name for name, (_, tokens) in drawn.items() if tokens is None} == {"torch-lstm", "torch-gru"}
    for architecture, tokens in drawn.values():
        assert tokens is None or config.space.decode(tokens) == architecture
    with pytest.raises(UsageError, match="reference vgg: there are lstm, open-lstm, nascell"):
        TEXT.drawn(["vgg"], config, {}, config.space)


def test_it_can_be_read_and_shown():
    assert draw(published("torch-gru"), {}) == "torch.nn.GRU, with biases"
