"""The evaluator of convolutional children."""

import pytest
import torch

from netwright.children.image_evaluator import ImageEvaluator, watched
from netwright.config import ImageTraining
from netwright.data.images import ImageData, ImageSplit
from netwright.errors import ArchitectureError, OverBudgetError
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.spaces.cost import Shape, cost
from netwright.spaces.published import published

ARCHITECTURE = ConvArchitecture(layers=(ConvLayer(filter_height=3, filter_width=3, filters=8),))
SETTINGS = ImageTraining(epochs=6, batch_size=32, reward_epochs=2, learning_rate=0.05)


def bright_or_dark(count, seed, channels=1):
    """Two classes: the left half is brighter, or the right."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 120, (count, channels, 6, 10), dtype=torch.uint8, generator=generator)
    images[labels == 0, :, :3] += 120
    images[labels == 1, :, 3:] += 120
    return ImageSplit(images, labels)


def data(test=None, channels=1):
    return ImageData(
        name="halves",
        classes=("upper", "lower"),
        train=bright_or_dark(128, 0, channels),
        validation=bright_or_dark(64, 1, channels),
        test=test,
    )


def test_it_measures_what_it_says():
    told = []
    settings = SETTINGS.model_copy(update={"flip": False})
    evaluation = ImageEvaluator(data(), settings).evaluate(ARCHITECTURE, 7, lambda *what: told.append(what))
    assert len(evaluation.curve) == 6
    assert told == list(enumerate(evaluation.curve, 1))
    assert evaluation.valid == max(evaluation.curve[-2:])
    price = cost(ARCHITECTURE, Shape(1, 6, 10), 2)
    assert evaluation.metrics["parameters"] == price.parameters
    assert evaluation.metrics["multiply_adds"] == price.multiply_adds
    assert evaluation.metrics["train_loss"] > 0


def test_epochs_that_decide_nothing_are_measured_on_fewer_images():
    """The last two decide. On 8 images accuracies are eighths; tried: with ``watch`` for all, so are these."""
    whole = ImageEvaluator(data(), SETTINGS).evaluate(ARCHITECTURE, 7)
    watched = ImageEvaluator(data(), SETTINGS.model_copy(update={"watch_limit": 8})).evaluate(ARCHITECTURE, 7)
    assert all((8 * accuracy).is_integer() for accuracy in watched.curve[:-2])
    assert watched.curve[-2:] == whole.curve[-2:] != whole.curve[:2]
    assert (watched.valid, watched.metrics) == (whole.valid, whole.metrics)


def test_the_test_part_is_also_measured_block_by_block():
    evaluator = ImageEvaluator(data(test=bright_or_dark(200, 2)), SETTINGS.model_copy(update={"epochs": 1}))
    examined = evaluator.evaluate_and_test(ARCHITECTURE, 7)
    assert len(examined.blocks) == 100
    assert sum(examined.blocks) / 100 == pytest.approx(examined.metrics["test"])
    assert evaluator.evaluate(ARCHITECTURE, 7).blocks == ()
    assert ImageEvaluator(data(), SETTINGS).evaluate_and_test(ARCHITECTURE, 7).blocks == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_child_learns_images_of_any_shape(channels):
    deep = ConvArchitecture(
        layers=(
            ConvLayer(filter_height=3, filter_width=3, filters=8, stride_height=3),
            ConvLayer(filter_height=1, filter_width=5, filters=8, inputs=(0,)),
        )
    )
    evaluation = ImageEvaluator(data(channels=channels), SETTINGS.model_copy(update={"epochs": 15})).evaluate(deep, 1)
    assert evaluation.valid > 0.9


def test_the_seed_decides_and_nothing_else():
    evaluator = ImageEvaluator(data(), SETTINGS)
    torch.manual_seed(1)
    first = evaluator.evaluate(ARCHITECTURE, 3)
    torch.manual_seed(2)
    assert evaluator.evaluate(ARCHITECTURE, 3) == first
    assert evaluator.evaluate(ARCHITECTURE, 4) != first


def test_the_test_part_is_never_looked_at():
    class Forbidden:
        def __getattribute__(self, name):
            raise AssertionError("the test part was looked at")

    ImageEvaluator(data(test=Forbidden()), SETTINGS.model_copy(update={"epochs": 1})).evaluate(ARCHITECTURE, 1)


@pytest.mark.parametrize("limit", ["max_parameters", "max_multiply_adds", "max_activation_bytes"])
def test_a_child_over_budget_is_refused_before_it_is_built(limit, monkeypatch):
    """Tried: without the check of the parameters, the child is built."""
    price = cost(ARCHITECTURE, Shape(1, 6, 10), 2)
    value = getattr(price, limit.removeprefix("max_"))
    settings = SETTINGS.model_copy(update={"epochs": 1})
    ImageEvaluator(data(), settings.model_copy(update={limit: value})).evaluate(ARCHITECTURE, 1)
    monkeypatch.setattr("netwright.children.image_evaluator.ConvNet", None)
    with pytest.raises(OverBudgetError, match=f"child.{limit}"):
        ImageEvaluator(data(), settings.model_copy(update={limit: value - 1})).evaluate(ARCHITECTURE, 1)


def test_a_recurrent_cell_is_refused():
    with pytest.raises(ArchitectureError, match="recurrent_cell"):
        ImageEvaluator(data(), SETTINGS).evaluate(published("nascell"), 1)


def test_compiling_changes_neither_the_names_of_the_weights_nor_the_result(monkeypatch):
    """With PyTorch's own tracing but no generated code, so that no compiler is needed; not timed on any machine yet."""
    compiled = torch.compile
    used = []

    def without_code(function, **options):
        used.append(function)
        return compiled(function, backend="eager")

    monkeypatch.setattr(torch, "compile", without_code)
    settings = SETTINGS.model_copy(update={"epochs": 2})
    plain, fast = (ImageEvaluator(data(), settings.model_copy(update={"compile": on})) for on in (False, True))
    assert fast.evaluate(ARCHITECTURE, seed=3) == plain.evaluate(ARCHITECTURE, seed=3)
    assert used
    names = [list(evaluator.begin(ARCHITECTURE, 3).network.state_dict()) for evaluator in (plain, fast)]
    assert names[0] == names[1]


def test_all_classes_are_watched_also_where_they_lie_one_after_the_other():
    """Tried: the first hundred are of one class, and a network that always names it has an accuracy of 1."""
    images = torch.arange(400, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    sorted_ = ImageSplit(images, torch.arange(400) // 100)
    assert watched(sorted_, 100).labels.bincount().tolist() == [25] * 4
    skewed = ImageSplit(images[:200], torch.arange(200) // 95)  # of two classes, and a few of a third
    assert watched(skewed, 100).labels.bincount().tolist() == [47, 48, 5]
    mixed = ImageSplit(images, torch.arange(400) % 4)
    assert watched(mixed, 100).images.data_ptr() == mixed.images.data_ptr(), "the beginning, and no copy"
    assert watched(sorted_, None) is sorted_
