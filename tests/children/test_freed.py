"""A child that is over is gone at once, not when Python next looks for rings: its memory may be all that a card has."""

import gc
import weakref

import pytest
import torch

from netwright.children.image_evaluator import ImageEvaluator
from netwright.children.language_evaluator import LanguageModelEvaluator
from netwright.config import ImageTraining, LanguageModelTraining
from netwright.data.images import ImageData, ImageSplit
from netwright.data.text import from_texts
from netwright.spaces.architecture import ConvArchitecture, ConvLayer
from netwright.spaces.published import published


def of_images():
    split = ImageSplit(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.arange(8) % 2)
    data = ImageData(name="blank", classes=("a", "b"), train=split, validation=split, test=None)
    layer = ConvLayer(filter_height=1, filter_width=1, filters=2, inputs=())
    return ImageEvaluator(data, ImageTraining(epochs=1, batch_size=4)), ConvArchitecture(layers=(layer,))


def of_text():
    data = from_texts({"train": "one two three two one " * 20})
    settings = LanguageModelTraining(hidden=4, epochs=1, batch_size=2, steps=4)
    return LanguageModelEvaluator(data, settings), published("lstm")


@pytest.mark.parametrize("kind", [of_images, of_text])
def test_nothing_of_a_child_is_left_when_it_is_let_go(kind):
    """Tried: with a trainer that its recorded step refers to, all of it is left."""
    evaluator, architecture = kind()
    child = evaluator.begin(architecture, 0)
    gc.collect()
    gc.disable()
    try:
        child.train(1, lambda epoch, valid: None)
        left = [weakref.ref(child.trainer), weakref.ref(child.network), weakref.ref(next(child.network.parameters()))]
        del child
        assert [reference() for reference in left] == [None] * len(left)
    finally:
        gc.enable()
