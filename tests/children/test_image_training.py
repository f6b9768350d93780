"""Training as the paper trains: the schedule, one learnt batch, and repeatability."""

import pytest
import torch

from helpers.reads import Reads
from netwright.children import image_training
from netwright.children.augment import draw_windows
from netwright.children.conv_net import ConvNet
from netwright.children.image_training import (
    ImageTrainer,
    accuracy,
    learning_rate_at,
    mean_recall,
    measured,
    measured_in_blocks,
)
from netwright.config import ImageTraining
from netwright.data.images import ImageSplit
from netwright.errors import DivergedError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.spaces.cost import Shape

CPU = torch.device("cpu")
ARCHITECTURE = ConvArchitecture(
    layers=(
        ConvLayer(filter_height=3, filter_width=3, filters=16),
        ConvLayer(filter_height=3, filter_width=3, filters=16, inputs=(0,)),
    )
)
PLAIN = ImageTraining(epochs=40, batch_size=32, upsample=1.0, flip=False, precision="float32")


def network(seed=0):
    made = ConvNet(ARCHITECTURE, Shape(1, 8, 8), 4, generator=torch.Generator().manual_seed(seed))
    return made.to(memory_format=torch.channels_last)  # as the evaluator does


def noise(count=32, seed=0):
    """Images without any pattern, so that what is learnt is learnt by heart."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSplit(images, torch.arange(count) % 4)


def train(split, settings, seed=0):
    child = network(seed)
    trainer = ImageTrainer(child, split, settings, device=CPU, seed=seed)
    return child, [trainer.run_epoch() for _ in range(settings.epochs)]


def test_the_learning_rate_falls_tenfold_at_half_and_three_quarters():
    # paper.md 6-A23: /10 at epochs 25 and 37 (from 0) of 50.
    rates = [learning_rate_at(epoch, ImageTraining()) for epoch in range(50)]
    assert rates[:25] == [0.1] * 25
    assert rates[25:37] == pytest.approx([0.01] * 12)
    assert rates[37:] == pytest.approx([0.001] * 13)
    assert learning_rate_at(0, ImageTraining(epochs=1)) == 0.1, "a training of one epoch has its full rate"


def test_a_cosine_falls_from_the_full_rate_to_zero():
    settings = ImageTraining(schedule="cosine", epochs=8, learning_rate=0.2)
    rates = [learning_rate_at(epochs, settings) for epochs in (0, 2, 4, 6, 8)]
    assert rates == pytest.approx([0.2, 0.2 * (0.5 + 0.125**0.5), 0.1, 0.2 * (0.5 - 0.125**0.5), 0.0])


def test_one_cycle_rises_for_a_quarter_and_then_falls_to_zero():
    settings = ImageTraining(schedule="one-cycle", epochs=8, learning_rate=0.2)
    rates = [learning_rate_at(epochs, settings) for epochs in (0, 1, 2, 5, 8)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.1, 0.0])


def test_the_rate_of_a_schedule_changes_within_an_epoch_and_steps_do_not():
    """Tried: with the rate set once an epoch, both are equal."""
    cosine, steps = (ImageTraining(schedule=name, epochs=4) for name in ("cosine", "steps"))
    assert learning_rate_at(1.0, cosine) != learning_rate_at(1.5, cosine)
    assert learning_rate_at(1.0, steps) == learning_rate_at(1.5, steps)


def test_the_papers_settings_are_the_defaults():
    settings = ImageTraining()
    assert (settings.epochs, settings.batch_size, settings.learning_rate, settings.momentum) == (50, 64, 0.1, 0.9)
    assert (settings.weight_decay, settings.upsample, settings.flip, settings.reward_epochs) == (1e-4, 1.25, True, 5)


def test_one_batch_is_learnt_by_heart():
    split = noise(12)
    child, losses = train(split, PLAIN.model_copy(update={"epochs": 80, "decay_at": ()}))
    assert losses[0] > 1
    assert losses[-1] < 0.1
    assert accuracy(child, split, PLAIN, device=CPU) == 1.0


def test_an_untrained_network_guesses():
    assert accuracy(network(), noise(2000), PLAIN, device=CPU) == pytest.approx(0.25, abs=0.06)


class AlwaysZero(torch.nn.Module):
    def forward(self, images):
        return torch.eye(4)[torch.zeros(len(images), dtype=torch.int64)]


def test_accuracy_is_the_fraction_that_is_right_over_all_batches():
    """1,201 images are three batches of different sizes; a mean of means would differ."""
    split = noise(1201)
    assert accuracy(AlwaysZero(), split, PLAIN, device=CPU) == 301 / 1201


def test_what_is_measured_in_float32_keeps_its_digits_on_a_card():
    """cuDNN rounds the factors of convolutions to ten bits as it comes, and a CPU does not."""

    class Asking(AlwaysZero):
        def forward(self, images):
            asked.append(torch.backends.cudnn.allow_tf32)
            return super().forward(images)

    asked, before = [], torch.backends.cudnn.allow_tf32
    for precision in ("float32", "auto"):
        accuracy(Asking(), noise(8), PLAIN.model_copy(update={"precision": precision}), device=CPU)
    assert asked == [False, before]
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.parametrize(
    ("counts", "mean"),
    [
        ([[8, 2], [1, 1]], (0.8 + 0.5) / 2),
        ([[98, 0, 0], [1, 1, 0], [4, 0, 0]], (1.0 + 0.5 + 0.0) / 3),
        ([[0, 0], [3, 1]], 0.25),
    ],
    ids=["two classes", "a class that is never right", "a class without images"],
)
def test_the_mean_of_the_recalls(counts, mean):
    """By hand. Tried: with classes without images counted as 0, the last one fails."""
    assert mean_recall(counts) == pytest.approx(mean)


def test_a_network_that_always_names_the_majority_is_worth_a_share_of_the_classes():
    """Three classes, of which a part has two. Tried: with the accuracy whatever the settings say, it is 0.9."""
    split = ImageSplit(torch.zeros(1200, 1, 4, 4, dtype=torch.uint8), (torch.arange(1200) % 10 == 0).long())
    balanced = PLAIN.model_copy(update={"measure": "balanced-accuracy"})
    assert measured(AlwaysZero(), split, PLAIN, classes=3, device=CPU) == 0.9
    assert measured(AlwaysZero(), split, balanced, classes=3, device=CPU) == 0.5


@pytest.mark.parametrize("count", [7, 180, 1200])
def test_blocks_are_parts_of_all_images_chosen_by_chance(count):
    """Tried: of images that lie class by class, blocks that lie together are all right or all wrong."""
    split = ImageSplit(torch.zeros(count, 1, 4, 4, dtype=torch.uint8), torch.arange(count) * 4 // count)
    blocks = measured_in_blocks(AlwaysZero(), split, PLAIN, device=CPU)
    assert len(blocks) == min(count, 100)
    assert sum(blocks) / len(blocks) == pytest.approx(accuracy(AlwaysZero(), split, PLAIN, device=CPU))
    assert measured_in_blocks(AlwaysZero(), split, PLAIN, device=CPU) == blocks
    assert count < 1000 or (min(blocks) < 0.25 < max(blocks) < 0.9)


def test_blocks_of_the_balanced_accuracy_give_rare_classes_their_weight():
    """One image in ten is of the rare class. Tried: by the images alone they are around 0.9."""
    split = ImageSplit(torch.zeros(1200, 1, 4, 4, dtype=torch.uint8), (torch.arange(1200) % 10 == 0).long())
    balanced = PLAIN.model_copy(update={"measure": "balanced-accuracy"})
    blocks = measured_in_blocks(AlwaysZero(), split, balanced, device=CPU)
    assert sum(blocks) / len(blocks) == pytest.approx(0.5)


def test_the_seed_decides_all():
    settings = PLAIN.model_copy(update={"epochs": 2, "upsample": 1.25, "flip": True})
    (one, losses), (same, again) = train(noise(), settings), train(noise(), settings)
    assert losses == again
    for p, q in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(p, q)
    assert train(noise(), settings, seed=1)[1] != losses


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(DivergedError, match="epoch"):
        train(noise(), PLAIN.model_copy(update={"learning_rate": 1e9, "epochs": 20}))


def test_a_last_batch_of_one_image_is_left_out():
    train(noise(33), PLAIN.model_copy(update={"epochs": 1}))


def test_epochs_of_a_few_images_come_to_all_before_one_comes_again():
    """32 images in epochs of 12: with whole ones drawn anew each time, some come thrice in three and others never."""
    trainer = ImageTrainer(network(), noise(), PLAIN.model_copy(update={"epoch_limit": 12}), device=CPU, seed=0)
    seen = [trainer._plan()[0].tolist() for _ in range(8)]
    assert [len(epoch) for epoch in seen] == [12] * 8
    in_a_row = [image for epoch in seen for image in epoch]
    assert [sorted(in_a_row[start : start + 32]) for start in (0, 32, 64)] == [list(range(32))] * 3
    assert in_a_row[:32] != in_a_row[32:64]


def test_a_limit_above_the_number_of_images_changes_nothing():
    settings = PLAIN.model_copy(update={"epochs": 2})
    assert train(noise(), settings)[1] == train(noise(), settings.model_copy(update={"epoch_limit": 33}))[1]


@pytest.mark.parametrize("more", [{}, {"epoch_limit": 20}, {"optimizer": "muon"}], ids=str)
def test_stopped_between_epochs_and_taken_up_again_it_ends_the_same(more):
    """A file keeps no layout. Fails when the momentum that comes out of it keeps the file's instead of its weights'."""
    settings = PLAIN.model_copy(update={"epochs": 4, "flip": True, "upsample": 1.5, **more})
    whole, losses = train(noise(), settings)
    first = ImageTrainer(network(), noise(), settings, device=CPU, seed=0)
    begun = [first.run_epoch() for _ in range(2)]
    state = {name: value.clone(memory_format=torch.contiguous_format) for name, value in first.state().items()}
    child = network(seed=5)
    second = ImageTrainer(child, noise(), settings, device=CPU, seed=6)
    second.load_state(state)
    assert begun + [second.run_epoch() for _ in range(2)] == losses
    for p, q in zip(whole.parameters(), child.parameters(), strict=True):
        assert torch.equal(p, q)


def test_one_step_is_nesterov_momentum_with_weight_decay():
    """Against the update written out, Nesterov as DenseNet has it: v <- m v + g; w <- w - lr (g + m v)."""
    settings = PLAIN.model_copy(update={"epochs": 8, "weight_decay": 0.01, "learning_rate": 0.05})
    split = noise()
    child, mirror = network(), network()
    trainer = ImageTrainer(child, split, settings, device=CPU, seed=0)
    velocity = [torch.zeros_like(p) for p in mirror.parameters()]
    from netwright.children.augment import whiten

    order = torch.Generator().manual_seed(0)
    for epoch in range(2):
        trainer.run_epoch()
        batch = torch.randperm(32, generator=order)
        torch.randint(1, (32, 1), generator=order), torch.randint(1, (32, 1), generator=order)  # the crops
        mirror.train()
        loss = torch.nn.functional.cross_entropy(mirror(whiten(split.images[batch])), split.labels[batch])
        grads = torch.autograd.grad(loss, list(mirror.parameters()))
        with torch.no_grad():
            for p, v, g in zip(mirror.parameters(), velocity, grads, strict=True):
                g = g + 0.01 * p
                v.mul_(0.9).add_(g)
                p -= 0.05 * (g + 0.9 * v)
        for p, q in zip(child.parameters(), mirror.parameters(), strict=True):
            torch.testing.assert_close(p, q, atol=1e-4, rtol=1e-3, msg=f"epoch {epoch}")


def test_an_epoch_is_planned_with_the_draws_that_its_batches_would_make():
    """Results of older versions, which drew before each step, stay as they were."""
    settings = PLAIN.model_copy(update={"flip": True, "upsample": 1.5})
    plan = ImageTrainer(network(), noise(65), settings, device=CPU, seed=3)._plan()
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(plan[0], torch.randperm(65, generator=generator))
    for batch in (plan[1:, :32], plan[1:, 32:64]):
        drawn = draw_windows(32, 4, 4, flip=True, generator=generator)
        assert torch.equal(batch, torch.stack([drawn.top, drawn.left, drawn.mirrored.long()]))
    assert plan[1:, 64].tolist() == [0, 0, 0], "the last image alone is no batch"


def test_the_loss_is_read_once_an_epoch_where_a_card_would_have_to_be_waited_for(monkeypatch):
    """Tried: an ``isfinite`` in the step reads it at each step."""
    monkeypatch.setattr(image_training, "Glance", lambda device: lambda total: 0.0)
    with Reads() as reads:
        train(noise(240), PLAIN.model_copy(update={"epochs": 1, "batch_size": 4}))
    assert reads.count == 1


@pytest.fixture
def in_float16(monkeypatch):
    """The CPU stands in for a card from before bfloat16."""
    monkeypatch.setattr(image_training, "fast_half", lambda device: torch.float16)
    return PLAIN.model_copy(update={"precision": "auto", "epochs": 40, "decay_at": ()})


def test_in_float16_with_a_scaled_loss_one_batch_is_learnt_by_heart(in_float16):
    split = noise(12)
    child, losses = train(split, in_float16.model_copy(update={"epochs": 80}))
    assert losses[-1] < 0.1
    assert accuracy(child, split, in_float16, device=CPU) == 1.0


def test_in_float16_the_scale_of_the_loss_is_part_of_the_state(in_float16):
    """Fails when the scale begins anew, or is left out of the state."""
    first = ImageTrainer(network(), noise(), in_float16, device=CPU, seed=0)
    first._scaler.load_state_dict(first._scaler.state_dict() | {"scale": 2.0**22})
    for _ in range(2):
        first.run_epoch()
    state = {name: value.clone() for name, value in first.state().items()}
    assert state["scaler.scale"].item() < 2.0**22, "gradients of this scale are beyond float16's range"
    second = ImageTrainer(network(5), noise(), in_float16, device=CPU, seed=6)
    second.load_state(state)
    assert second.run_epoch() == first.run_epoch()
    assert second._scaler.state_dict() == first._scaler.state_dict()


def test_without_float16_there_is_no_scale_in_the_state():
    trainer = ImageTrainer(network(), noise(), PLAIN, device=CPU, seed=0)
    trainer.run_epoch()
    assert not [name for name in trainer.state() if name.startswith("scaler")]
