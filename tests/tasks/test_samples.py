"""A little of what children learn from, for the report."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import netwright
from helpers.own import ByDigest
from netwright.tasks import IMAGES, TEXT
from netwright.tasks.images import SAMPLES_OF_EACH, THUMBNAIL


def test_of_images_that_no_picture_can_show_there_are_none():
    """Of five channels. Tried: Pillow's TypeError ends the search before it begins."""
    data = netwright.from_tensors(torch.zeros(12, 5, 8, 8, dtype=torch.uint8), [0, 1] * 6, validation=0.3)
    assert IMAGES.samples(data) == ()
    assert "5 channels" in "\n".join(data.report.lines())


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_each_class_are_the_training_part_s_own(channels):
    images = torch.arange(12 * channels * 64, dtype=torch.int64).remainder(251).to(torch.uint8).view(12, channels, 8, 8)
    labels = [0, 1] * 6
    data = netwright.from_tensors(images, labels, validation=0.3, classes=["even", "odd"])
    samples = IMAGES.samples(data)
    assert [sample["label"] for sample in samples] == ["even", "odd"]
    for label, sample in enumerate(samples):
        own = data.train.images[data.train.labels == label][:SAMPLES_OF_EACH]
        assert len(sample["pictures"]) == len(own)
        for picture, image in zip(sample["pictures"], own, strict=True):
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
            assert (pixels.reshape(8, 8, channels) == image.permute(1, 2, 0).numpy()).all()
    json.dumps(samples)


def test_large_pictures_become_thumbnails():
    data = netwright.from_tensors(torch.zeros(8, 3, 100, 50, dtype=torch.uint8), [0, 1] * 4, validation=0.5)
    picture = IMAGES.samples(data)[0]["pictures"][0]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (THUMBNAIL // 2, THUMBNAIL)


def test_a_text_shows_its_beginning():
    data = netwright.from_texts({"train": "one two\nthree " * 60})
    assert TEXT.samples(data)[0]["text"].startswith("one two\nthree one two\n")
    data = netwright.from_texts({"train": "one two\nthree " * 60}, unit="character")
    assert TEXT.samples(data)[0]["text"].startswith("one two\nthree one two\n")


@pytest.mark.slow
def test_a_search_leaves_them_in_its_folder(tmp_path):
    """Tried: without them in ``Parts``, the report has no pictures."""
    images = torch.zeros(40, 1, 8, 8, dtype=torch.uint8)
    data = netwright.from_tensors(images, [0, 1] * 20, validation=0.5, classes=["a", "b"])
    settings = {"search.workers": 1, "child.epochs": 1}
    run = netwright.run_search("digits", tmp_path / "a", data=data, trials=1, verdict=False, settings=settings)
    assert [sample["label"] for sample in run.folder.samples()] == ["a", "b"]
    other = netwright.run_search("digits", tmp_path / "b", evaluator=ByDigest(), trials=1, settings=settings)
    assert other.folder.samples() == []
