"""Children on a graphics card: no waiting within an epoch, the CPU's numbers but for rounding, repeatability.

docs/how-to/graphics-card.md says on which cards they have passed.
"""

import copy

import pytest
import torch

from netwright.children import cell_kernels, replay
from netwright.children.conv_net import ConvNet
from netwright.children.devices import Glance, limit_memory
from netwright.children.image_training import ImageTrainer, accuracy
from netwright.children.language_model import build_model
from netwright.children.language_training import LanguageModelTrainer, mean_loss, start, windows
from netwright.children.recurrent_cell import NASCell
from netwright.children.replay import Replay
from netwright.config import ImageTraining, LanguageModelTraining
from netwright.data.images import ImageSplit
from netwright.export.cell import cell_source
from netwright.spaces.cost import Shape
from netwright.spaces.published import published
from netwright.spaces.references import reference

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")
TEXT = LanguageModelTraining(hidden=32, layers=2, epochs=2, batch_size=4, steps=8, dropout=0.2)


def split():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (128, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSplit(images, torch.arange(128) % 10)


def image_trainer(device, precision="float32", architecture=None, optimizer="sgd"):
    network = ConvNet(
        architecture or published("figure7"), Shape(3, 8, 8), 10, generator=torch.Generator().manual_seed(0)
    )
    network.to(device).to(memory_format=torch.channels_last)
    settings = ImageTraining(epochs=2, batch_size=16, precision=precision, optimizer=optimizer)
    return ImageTrainer(network, split(), settings, device=device, seed=0)


def separable_trainer(device):
    return image_trainer(device, architecture=reference("separable"))


def muon_trainer(device):
    return image_trainer(device, architecture=reference("separable"), optimizer="muon")


def text_trainer(device):
    tokens = torch.randint(0, 50, (800,), generator=torch.Generator().manual_seed(0))
    model = build_model(published("nascell"), 50, TEXT, torch.Generator().manual_seed(0)).to(device)
    return LanguageModelTrainer(model, tokens, TEXT, device=device, seed=0)


@pytest.fixture(params=["as written", "recorded"])
def recording(request, monkeypatch):
    """Whether steps are recorded, after the first ones."""
    if request.param == "as written":
        monkeypatch.setattr(replay, "FIRST", 1 << 30)
    return request.param == "recorded"


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_no_step_on_images_waits_for_the_card(card, recording, optimizer, request):
    trainer = image_trainer(card, "auto", optimizer=optimizer)
    for _ in range(2):  # the first steps allocate, choose kernels and are recorded
        trainer.run_epoch()
    assert (trainer._replay._recording is not None) == recording
    plan = trainer._plan()
    request.getfixturevalue("never_waiting")
    for batch in plan.split(16, dim=1):
        trainer._replay(trainer._learn, batch)


def test_no_step_on_text_waits_for_the_card(card, recording, request):
    trainer, glance = text_trainer(card), Glance(card)
    trainer.run_epoch()
    assert (trainer._replay._recording is not None) == recording
    h, c = start(trainer.model, TEXT.batch_size)
    request.getfixturevalue("never_waiting")
    for inputs, targets in windows(trainer._streams, TEXT.steps):
        loss, h, c = trainer._replay(trainer._learn, inputs, targets, h, c)
        glance(loss)


@pytest.mark.parametrize("make", [image_trainer, separable_trainer, muon_trainer, text_trainer])
def test_recorded_steps_are_the_steps_as_written_also_in_what_they_draw(card, make, monkeypatch):
    recorded = make(card)
    losses = [recorded.run_epoch() for _ in range(3)]
    assert recorded._replay._recording is not None
    monkeypatch.setattr(replay, "FIRST", 1 << 30)
    written = make(card)
    assert losses == pytest.approx([written.run_epoch() for _ in range(3)], rel=5e-3)


@pytest.mark.parametrize("make", [image_trainer, muon_trainer, text_trainer])
def test_a_training_taken_up_again_goes_on_from_its_state(card, make):
    trainer, other = make(card), make(card)
    for _ in range(2):
        trainer.run_epoch()
        other.run_epoch()
    state = {name: value.clone() for name, value in trainer.state().items()}
    expected = trainer.run_epoch()
    other.run_epoch()  # has recorded its steps, and other weights by now
    other.load_state(state)
    assert other.run_epoch() == pytest.approx(expected, rel=5e-3)


def test_a_recording_that_finds_no_memory_leaves_the_function_as_it_is_written(card):
    calls = []

    def short_when_recorded(value):
        calls.append(torch.cuda.is_current_stream_capturing())
        more = value + 1  # PyTorch warns of a recording without any kernel
        if calls[-1]:
            torch.empty(1 << 50, dtype=torch.uint8, device=card)
        return (more,)

    replayed = Replay(card)
    for _ in range(replay.FIRST + 3):
        (result,) = replayed(short_when_recorded, torch.ones(3, device=card))
        assert result.tolist() == [2, 2, 2]
    assert calls.count(True) == 1


def test_a_learning_rate_reaches_what_was_recorded(card):
    weight = torch.ones((), device=card, requires_grad=True)
    optimizer = torch.optim.SGD([weight], replay.learning_rate_on(card, 0.0, recorded=True), fused=True)

    def learn(factor):
        optimizer.zero_grad()
        (weight * factor).backward()
        optimizer.step()
        return (weight.detach(),)

    replayed = Replay(card)
    for rate in (0.0, 0.0, 0.0, 0.0, 0.25, 0.5):
        replay.set_learning_rate(optimizer, rate)
        replayed(learn, torch.ones((), device=card))
    assert weight.item() == pytest.approx(1 - 0.25 - 0.5)


def test_the_loss_of_a_text_is_that_of_the_cpu(card):
    tokens = torch.randint(0, 50, (800,), generator=torch.Generator().manual_seed(1))
    model = text_trainer(CPU).model
    there = copy.deepcopy(model).to(card)
    expected = mean_loss(model, tokens, TEXT, device=CPU)
    assert mean_loss(there, tokens, TEXT, device=card) == pytest.approx(expected, rel=1e-5)
    assert mean_loss(there.double(), tokens, TEXT, device=card) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", [image_trainer, separable_trainer])
def test_a_first_epoch_on_images_has_the_loss_of_the_cpu_but_for_rounding(card, make):
    assert make(card).run_epoch() == pytest.approx(make(CPU).run_epoch(), rel=0.02)


def test_accuracy_is_that_of_the_cpu(card):
    trainer = image_trainer(card)
    network = copy.deepcopy(trainer.network).cpu()
    settings = trainer.settings
    assert abs(
        accuracy(trainer.network, split(), settings, device=card) - accuracy(network, split(), settings, device=CPU)
    ) <= 2 / len(split())


@pytest.mark.parametrize(
    ("kernels", "dtype", "tolerance"),
    [
        ("of Triton", torch.float32, 1e-4),
        ("of PyTorch", torch.float32, 1e-4),
        ("of PyTorch", torch.float64, 1e-9),
    ],
)
@pytest.mark.parametrize("name", ["nascell", "lstm", "open-lstm"])
def test_a_cell_gives_the_values_and_gradients_of_the_cpu(card, name, kernels, dtype, tolerance, monkeypatch):
    if kernels == "of Triton":
        pytest.importorskip("triton", reason="no triton here")
        assert cell_kernels.can_fuse(card, dtype)
    else:
        monkeypatch.setattr(cell_kernels, "can_fuse", lambda device, dtype: False)
    torch.manual_seed(0)
    cell = NASCell(24, 40, name, bias=True, merge_sums=True).to(dtype)
    x = torch.randn(12, 5, 24, dtype=dtype)
    there = copy.deepcopy(cell).to(card)
    results = []
    for layer, inputs in ((cell, x), (there, x.to(card))):
        outputs, memories = layer.run(inputs)
        (outputs.sum() + memories.sum()).backward()
        results.append([value.detach().cpu() for value in (outputs, memories, *(p.grad for p in layer.parameters()))])
    if dtype is torch.float64:
        torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)
    for here, there in zip(*results, strict=True):
        assert (here - there).norm() <= tolerance * here.norm()


def test_dropout_does_not_depend_on_what_was_drawn_before(card):
    losses = []
    for _ in range(2):
        trainer = text_trainer(card)
        torch.rand(7, device=card)
        losses.append(trainer.run_epoch())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_share_of_the_memory_is_all_that_a_process_gets(card):
    total = torch.cuda.get_device_properties(card).total_memory
    try:
        limit_memory(card, 0.25)
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(total * 0.3), dtype=torch.uint8, device=card)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, card)


def test_an_exported_language_model_on_a_card_writes_and_measures_as_on_the_cpu(card):
    sizes = {"vocabulary": 5, "embedding": 6, "hidden": 6, "layers": 1, "streams": 2, "init_scale": 0.5}
    names = {"__name__": "model"}
    exec(cell_source(published("lstm"), unit="word", **sizes), names)
    model, vocabulary = names["LanguageModel"](), ["<unk>", "<eos>", "a", "b", "c"]
    written = names["generate"](model, "a b", 20, vocabulary=vocabulary)
    tokens = torch.arange(40) % 5
    measured = names["measure"](model, tokens)
    model.to(card)
    assert names["generate"](model, "a b", 20, vocabulary=vocabulary) == written
    assert names["measure"](model, tokens) == pytest.approx(measured, rel=1e-9)
    assert model.softmax.weight.device == card
