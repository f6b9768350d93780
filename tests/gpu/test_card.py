"""Children on a graphics card: no waiting within an epoch, the CPU's numbers but for rounding, repeatability.

None of these tests has run yet: no card was at hand when they were written.
"""

import copy

import pytest
import torch

from netwright.children.conv_net import ConvNet
from netwright.children.devices import limit_memory
from netwright.children.image_training import ImageTrainer, accuracy
from netwright.children.language_model import build_model
from netwright.children.language_training import LanguageModelTrainer, windows
from netwright.children.recurrent_cell import NASCell
from netwright.config import ImageTraining, LanguageModelTraining
from netwright.data.images import ImageSplit
from netwright.spaces.cost import Shape
from netwright.spaces.published import published

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")
TEXT = LanguageModelTraining(hidden=32, layers=2, epochs=2, batch_size=4, steps=8, dropout=0.2)


def split():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (256, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return ImageSplit(images, torch.arange(256) % 10)


def image_trainer(device, precision="float32"):
    network = ConvNet(published("figure7"), Shape(3, 32, 32), 10, generator=torch.Generator().manual_seed(0))
    network.to(device).to(memory_format=torch.channels_last)
    return ImageTrainer(network, split(), ImageTraining(epochs=2, precision=precision), device=device, seed=0)


def text_trainer(device):
    tokens = torch.randint(0, 50, (800,), generator=torch.Generator().manual_seed(0))
    model = build_model(published("nascell"), 50, TEXT, torch.Generator().manual_seed(0)).to(device)
    return LanguageModelTrainer(model, tokens, TEXT, device=device, seed=0)


def test_no_step_on_images_waits_for_the_card(card, request):
    trainer = image_trainer(card, "auto")
    trainer.run_epoch()  # the first step allocates and chooses kernels
    plan = trainer._plan()
    request.getfixturevalue("never_waiting")
    for batch in plan.split(64, dim=1):
        trainer._step(batch)


def test_no_step_on_text_waits_for_the_card(card, request):
    from netwright.children.devices import Glance

    trainer, glance, state = text_trainer(card), Glance(card), None
    trainer.run_epoch()
    request.getfixturevalue("never_waiting")
    for inputs, targets in windows(trainer._streams, TEXT.steps):
        _, state = trainer._step(inputs, targets, state, glance)


def test_a_first_epoch_on_images_has_the_loss_of_the_cpu_but_for_rounding(card):
    assert image_trainer(card).run_epoch() == pytest.approx(image_trainer(CPU).run_epoch(), rel=0.02)


def test_accuracy_is_that_of_the_cpu(card):
    trainer = image_trainer(card)
    network = copy.deepcopy(trainer.network).cpu()
    settings = trainer.settings
    assert abs(
        accuracy(trainer.network, split(), settings, device=card) - accuracy(network, split(), settings, device=CPU)
    ) <= 2 / len(split())


def test_a_cell_gives_the_values_and_gradients_of_the_cpu(card):
    torch.manual_seed(0)
    cell = NASCell(24, 24, "nascell").double()
    x = torch.randn(12, 5, 24, dtype=torch.float64)
    there = copy.deepcopy(cell).to(card)
    results = []
    for layer, inputs in ((cell, x), (there, x.to(card))):
        outputs, memories = layer.run(inputs)
        (outputs.sum() + memories.sum()).backward()
        results.append([value.detach().cpu() for value in (outputs, memories, *(p.grad for p in layer.parameters()))])
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


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
