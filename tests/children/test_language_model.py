"""Language models: sizes, schedules, and that they learn."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch import nn

from helpers.reads import Reads
from netwright.children import cell_kernels, language_training
from netwright.children import softmax_loss as softmax_loss_module
from netwright.children.language_evaluator import LanguageModelEvaluator, score
from netwright.children.language_model import LanguageModel, build_model, count_parameters, hidden_for_budget
from netwright.children.language_training import (
    LanguageModelTrainer,
    as_streams,
    learning_rate_at,
    losses_in_blocks,
    mean_loss,
    windows,
)
from netwright.children.softmax_loss import softmax_loss
from netwright.config import LanguageModelTraining
from netwright.data.text import TextData, from_texts
from netwright.errors import ArchitectureError, DataError, DivergedError, OverBudgetError, UsageError
from netwright.recipes import RECIPES
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.spaces.published import published
from netwright.tasks.text import ZAREMBA

CPU = torch.device("cpu")
TINY = LanguageModelTraining(
    hidden=16, layers=1, epochs=3, batch_size=4, steps=8, dropout=0.0, init_scale=0.1, decay_after=10
)


@pytest.fixture
def alphabet() -> TextData:
    """A text whose next word is always certain."""
    return from_texts({"train": "a b c d e f g\n" * 60, "validation": "a b c d e f g\n" * 10})


@pytest.mark.parametrize("name", ["lstm", "nascell", "torch-lstm", "torch-gru"])
def test_learns_a_text_by_heart(alphabet: TextData, name: str) -> None:
    epochs: list[tuple[int, float]] = []
    settings = TINY.model_copy(
        update={"epochs": 12, "optimizer": "adam", "learning_rate": 0.02, "precision": "float32"}
    )
    evaluation = LanguageModelEvaluator(alphabet, settings).evaluate(
        published(name), 1, lambda epoch, valid: epochs.append((epoch, valid))
    )
    assert evaluation.curve[0] > 1.4
    assert evaluation.valid < 1.3
    assert evaluation.valid == min(evaluation.curve)
    assert epochs == list(enumerate(evaluation.curve, start=1))
    model = LanguageModelEvaluator(alphabet, settings).begin(published(name), 1).network
    assert evaluation.metrics["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_equal_seeds_give_equal_children_whatever_else_draws(alphabet: TextData) -> None:
    settings = TINY.model_copy(
        update={"layers": 2, "dropout": 0.3, "recurrent_dropout": 0.2, "embedding_dropout": 0.1, "variational": True}
    )
    evaluator = LanguageModelEvaluator(alphabet, settings)
    first = evaluator.evaluate(published("nascell"), 5)
    torch.rand(3)
    untouched = torch.get_rng_state()
    assert evaluator.evaluate(published("nascell"), 5) == first
    assert torch.equal(torch.get_rng_state(), untouched)
    assert evaluator.evaluate(published("nascell"), 6) != first


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_goes_on_exactly_where_it_stopped(alphabet: TextData, optimizer: str) -> None:
    settings = TINY.model_copy(update={"dropout": 0.2, "optimizer": optimizer, "learning_rate": 0.01})

    def trainer() -> LanguageModelTrainer:
        model = LanguageModelEvaluator(alphabet, settings).begin(published("nascell"), 3).network
        return LanguageModelTrainer(model, alphabet.train, settings, device=CPU, seed=4)

    straight, stopped, resumed = trainer(), trainer(), trainer()
    losses = [straight.run_epoch() for _ in range(3)]
    stopped.run_epoch()
    state = {name: value.clone() for name, value in stopped.state().items()}
    resumed.load_state(state)
    assert [resumed.run_epoch() for _ in range(2)] == losses[1:]


def test_sizes_of_the_papers_models() -> None:
    """Zoph & Le 2017, sec. 4.2: about 535 units make the 20 million of the medium model."""
    search = LanguageModelTraining()
    assert hidden_for_budget(20_000_000, 10_000, search) == pytest.approx(535, abs=2)
    assert count_parameters(740, 10_000, search) == pytest.approx(32.3e6, rel=0.01)
    assert count_parameters(740, 10_000, search.model_copy(update={"tied": True})) == pytest.approx(25e6, rel=0.01)
    assert count_parameters(1150, 10_000, search.model_copy(update={"tied": True})) == pytest.approx(54e6, rel=0.01)
    with pytest.raises(UsageError, match=r"at least 30,.*; --set child\.parameters=30"):
        hidden_for_budget(1000, 10_000, search)
    characters = RECIPES["ptb-char"]().child
    assert isinstance(characters, LanguageModelTraining)
    assert count_parameters(800, 51, characters) == pytest.approx(16.28e6, rel=0.005)


@pytest.mark.parametrize(
    "settings",
    [
        TINY,
        TINY.model_copy(update={"tied": True, "layers": 3, "bias": True}),
        TINY.model_copy(update={"embedding": 7, "layers": 2}),
    ],
)
def test_parameters_are_counted_right(settings: LanguageModelTraining) -> None:
    model = LanguageModel(30, 12, "nascell", settings)
    budget = count_parameters(12, 30, settings)
    assert budget == sum(parameter.numel() for parameter in model.parameters())
    assert hidden_for_budget(budget, 30, settings) == 12
    assert hidden_for_budget(budget - 1, 30, settings) == 11


def test_cells_with_merged_sums_are_as_wide_as_the_weights_allow() -> None:
    """As wide, but for a bias, as PyTorch's own layer of as many products."""
    settings = TINY.model_copy(update={"hidden": 40, "layers": 2, "bias": True, "merge_sums": True})
    budget = count_parameters(40, 30, settings)
    widths = {}
    for name in ("nascell", "lstm", "torch-lstm"):
        model = build_model(published(name), 30, settings, torch.Generator())
        weights = sum(parameter.numel() for parameter in model.parameters())
        assert weights == count_parameters(model.softmax.in_features, 30, settings, published(name)) <= budget
        assert weights > 0.96 * budget
        widths[name] = model.softmax.in_features
    assert widths["nascell"] == 40
    assert widths["lstm"] - 1 <= widths["torch-lstm"] <= widths["lstm"]  # which has two biases a gate
    assert widths["lstm"] > 52
    apart = settings.model_copy(update={"merge_sums": False})
    assert build_model(published("lstm"), 30, apart, torch.Generator()).softmax.in_features == 40


def test_learning_rates_of_zaremba() -> None:
    assert [learning_rate_at(epoch, ZAREMBA["small"]) for epoch in range(6)] == [1, 1, 1, 1, 0.5, 0.25]
    assert learning_rate_at(5, ZAREMBA["medium"]) == 1
    assert learning_rate_at(7, ZAREMBA["medium"]) == pytest.approx(1 / 1.44)
    assert learning_rate_at(14, ZAREMBA["large"]) == pytest.approx(1 / 1.15)


def test_a_linear_schedule_holds_and_then_falls_evenly_to_zero_with_the_last_window() -> None:
    settings = LanguageModelTraining(epochs=8, schedule="linear", learning_rate=2.0)
    rates = [learning_rate_at(epochs, settings) for epochs in (0, 3.9, 4, 5, 6, 7.5, 8)]
    assert rates == [2, 2, 2, 1.5, 1, 0.25, 0]


@pytest.mark.parametrize(("schedule", "second"), [("steps", [0.5] * 10), ("linear", [1 - n / 10 for n in range(10)])])
def test_a_rate_falls_where_its_schedule_says_so(
    schedule: str, second: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1])
    settings = TINY.model_copy(update={"epochs": 2, "schedule": schedule, "decay_after": 1, "decay_by": 0.5})
    model = LanguageModel(10, 4, "lstm", settings)
    tokens = torch.arange(4 * 81) % 10  # four streams: ten windows of eight
    trainer = LanguageModelTrainer(model, tokens, settings, device=CPU, seed=0)
    trainer.run_epoch()
    trainer.run_epoch()
    assert rates == pytest.approx([1.0] * 10 + second)


def test_streams_and_windows() -> None:
    streams = as_streams(torch.arange(11), 2)
    assert streams.t().tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    inputs, targets = zip(*windows(streams, 3), strict=True)
    assert torch.cat(inputs)[:, 0].tolist() == [0, 1, 2, 3]
    assert torch.cat(targets)[:, 1].tolist() == [6, 7, 8, 9]
    with pytest.raises(ValueError, match="at least 12 tokens for 6 streams, got 11"):
        as_streams(torch.arange(11), 6)


def test_loss_does_not_depend_on_where_windows_are_cut(alphabet: TextData) -> None:
    """Of weights so large that what was read before counts: were the state forgotten at each cut, it would show."""
    settings = TINY.model_copy(update={"dropout": 0.5, "init_scale": 1.0})
    generator = torch.Generator().manual_seed(0)
    model = LanguageModel(len(alphabet.vocabulary), 8, "nascell", settings, generator=generator)
    whole = mean_loss(model, alphabet.validation, TINY.model_copy(update={"steps": 1000}), device=CPU)
    cut = mean_loss(model, alphabet.validation, TINY.model_copy(update={"steps": 3}), device=CPU)
    assert cut == pytest.approx(whole, rel=1e-5)
    streams = as_streams(alphabet.validation, TINY.batch_size)
    with torch.inference_mode():
        losses = [(model.loss(inputs, targets)[0].item(), len(inputs)) for inputs, targets in windows(streams, 3)]
    forgetful = sum(loss * steps for loss, steps in losses) / (len(streams) - 1)
    assert forgetful != pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize(("steps", "blocks"), [(1, 100), (100, 3), (1000, 1)])
def test_the_mean_loss_is_that_of_all_blocks(alphabet: TextData, steps: int, blocks: int) -> None:
    """Of 260 tokens of each stream; the last block may be shorter."""
    settings = TINY.model_copy(update={"steps": steps, "batch_size": 1})
    tokens = alphabet.validation.repeat(5)[:261]
    model = LanguageModel(len(alphabet.vocabulary), 8, "nascell", settings)
    losses = losses_in_blocks(model, tokens, settings, device=CPU)
    assert len(losses) == blocks
    lengths = {100: [3] * 60 + [2] * 40, 3: [100, 100, 60], 1: [260]}[blocks]
    weighted = sum(loss * length for loss, length in zip(losses, lengths, strict=True)) / 260
    assert weighted == pytest.approx(mean_loss(model, tokens, settings, device=CPU), rel=1e-5)


@pytest.mark.parametrize("values", [1, 7 * 20, 1 << 15])
def test_softmax_loss_is_cross_entropy(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By 16 rows at a time, the fewest, by 20, and by all 40."""
    monkeypatch.setattr(softmax_loss_module, "VALUES", values)
    hidden, weight, bias = (torch.randn(size, dtype=torch.float64) for size in ((40, 3), (7, 3), (7,)))
    targets = torch.randint(7, (40,))
    inputs = [tensor.requires_grad_() for tensor in (hidden, weight, bias)]
    expected = nn.functional.cross_entropy(nn.functional.linear(*inputs), targets)
    torch.testing.assert_close(softmax_loss(*inputs, targets), expected)
    assert torch.autograd.gradcheck(lambda *given: 3 * softmax_loss(*given, targets), inputs)
    rough = softmax_loss(*(tensor.float() for tensor in inputs), targets, bfloat16=True)
    assert rough.item() == pytest.approx(expected.item(), rel=0.02)


def test_loss_is_that_of_the_logits() -> None:
    model = LanguageModel(30, 12, "nascell", TINY).eval()
    tokens, targets = torch.randint(30, (2, 5, 3))
    logits, _ = model(tokens)
    expected = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(model.loss(tokens, targets)[0], expected)


def test_scores() -> None:
    assert score(math.log(80), "word") == pytest.approx(80)
    assert score(math.log(2), "character") == pytest.approx(1)
    for nats in (math.nan, math.inf, 1000.0):
        with pytest.raises(DivergedError, match="nats"):
            score(nats, "word")


def test_divergence_ends_a_child(alphabet: TextData) -> None:
    settings = TINY.model_copy(update={"learning_rate": 1e30, "clip_norm": 1e30})
    with pytest.raises(DivergedError, match="epoch 1"):
        LanguageModelEvaluator(alphabet, settings).evaluate(published("nascell"), 0)


def test_what_is_refused(alphabet: TextData) -> None:
    layer = ConvLayer(filter_height=1, filter_width=1, filters=1)
    with pytest.raises(ArchitectureError, match="conv"):
        LanguageModelEvaluator(alphabet, TINY).evaluate(ConvArchitecture(layers=(layer,)), 0)
    with pytest.raises(OverBudgetError, match="max_parameters"):
        LanguageModelEvaluator(alphabet, TINY.model_copy(update={"max_parameters": 10})).evaluate(
            published("nascell"), 0
        )
    with pytest.raises(UsageError, match=r"child\.tied: expected .* as wide as a layer of this cell, 12, got 7"):
        LanguageModel(30, 12, "nascell", TINY.model_copy(update={"tied": True, "embedding": 7}))


def test_what_no_child_can_be_trained_with_is_refused_before_any_is() -> None:
    """Tried: said by the child alone, a search begins, and ends when some in a row have failed."""
    short = from_texts({"train": "a b c\n", "validation": "a b", "test": "a b"}, name="short.txt")
    with pytest.raises(DataError, match=r"short\.txt: expected at least 8 tokens .* got 4; .* child\.batch_size=2"):
        LanguageModelEvaluator(short, TINY)
    assert LanguageModelEvaluator(short, TINY.model_copy(update={"batch_size": 2})).evaluate(published("lstm"), 0)
    with pytest.raises(UsageError, match=r"--set child\.parameters="):
        LanguageModelEvaluator(short, TINY.model_copy(update={"batch_size": 2, "hidden": None, "parameters": 10}))


def test_tied_matrices_are_of_one_width() -> None:
    with pytest.raises(ValueError, match=r"tied: expected an embedding as wide as a layer, got embedding = 4"):
        LanguageModelTraining(tied=True, embedding=4, hidden=5)
    assert LanguageModelTraining(tied=True, embedding=5, hidden=5).tied


def test_embedding_dropout_drops_a_token_wherever_it_stands() -> None:
    model = LanguageModel(50, 8, "nascell", TINY.model_copy(update={"embedding_dropout": 0.5}))
    tokens = torch.randint(50, (40, 3))
    embedded = model._embed(tokens)
    dropped = (embedded == 0).all(-1)
    assert 0 < dropped.float().mean() < 1
    for token in range(50):
        assert len(set(dropped[tokens == token].tolist())) <= 1


def test_evaluator_can_be_sent_to_another_process(alphabet: TextData) -> None:
    evaluator = LanguageModelEvaluator(alphabet.share_memory(), TINY)
    copy = pickle.loads(pickle.dumps(evaluator))
    assert copy.evaluate(published("lstm"), 2) == evaluator.evaluate(published("lstm"), 2)


def test_the_loss_is_read_once_an_epoch_where_a_card_would_have_to_be_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tried: an ``isfinite`` in the step reads it at each step."""
    monkeypatch.setattr(language_training, "Glance", lambda device: lambda loss: 0.0)
    model = build_model(published("nascell"), 10, TINY, torch.Generator().manual_seed(0))
    trainer = LanguageModelTrainer(model, torch.arange(400) % 10, TINY, device=CPU, seed=0)
    trainer.run_epoch()
    with Reads() as reads:
        trainer.run_epoch()
    assert reads.count == 1


def test_on_a_card_whole_windows_are_taken_at_once_and_give_the_same_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No type of device has rows or factors of its own, as on a card; only the order of additions differs."""
    losses = []
    for as_on_a_card in (False, True):
        if as_on_a_card:
            monkeypatch.setattr(softmax_loss_module, "ROWS", {})
            monkeypatch.setattr(cell_kernels, "CHUNK", {})
        settings = TINY.model_copy(update={"precision": "float32", "batch_size": 20, "hidden": 200, "steps": 35})
        model = build_model(published("nascell"), 10, settings, torch.Generator().manual_seed(0))
        trainer = LanguageModelTrainer(model, torch.arange(1500) % 10, settings, device=CPU, seed=0)
        losses.append([trainer.run_epoch() for _ in range(2)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
