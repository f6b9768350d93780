"""``task.json`` of whoever wrote it: what no task can say is refused by name, before anything is made of it."""

import json

import pytest

from netwright.config import (
    ExperimentConfig,
    LanguageModelTraining,
    PerplexityReward,
    TextDataSettings,
    TuningSettings,
)
from netwright.errors import StorageError
from netwright.store.task_file import read_task

IMAGES = {"image": [1, 8, 8], "classes": ["a", "b"]}
TEXT = {"unit": "word", "vocabulary": ["<unk>", "a"]}
OF_IMAGES = ExperimentConfig(name="x")
OF_TEXT = ExperimentConfig(name="x", data=TextDataSettings(), child=LanguageModelTraining(), reward=PerplexityReward())
OF_TUNING = ExperimentConfig(name="x", tuning=TuningSettings(grid={"epochs": (1, 2)}))

WRONG = {
    "of another file": (OF_IMAGES, {"versions": {}, "host": "h"}, "expected classes, image, got 'versions', 'host'"),
    "two sides": (OF_IMAGES, IMAGES | {"image": [8, 8]}, "image: expected channels, height and width"),
    "a side of 0": (OF_IMAGES, IMAGES | {"image": [1, 0, 8]}, "image: expected"),
    "a huge side": (OF_IMAGES, IMAGES | {"image": [1, 10**30, 8]}, "image: expected"),
    "a true side": (OF_IMAGES, IMAGES | {"image": [True, 8, 8]}, "image: expected"),
    "no classes": (OF_IMAGES, IMAGES | {"classes": []}, "classes: expected names"),
    "classes that are lists": (OF_IMAGES, IMAGES | {"classes": [[]]}, "classes: expected names"),
    "bits": (OF_IMAGES, IMAGES | {"bits": "8"}, "bits: expected"),
    "a fingerprint": (OF_IMAGES, IMAGES | {"fingerprint": 3}, "fingerprint: expected a text"),
    "references": (OF_IMAGES, IMAGES | {"references": {"vgg": {"architecture": {}}}}, "references: expected networks"),
    "no vocabulary": (OF_TEXT, {"unit": "word"}, "expected vocabulary, got 'unit'"),
    "a vocabulary of numbers": (OF_TEXT, TEXT | {"vocabulary": [1]}, "vocabulary: expected"),
    "a unit that is none": (OF_TEXT, TEXT | {"unit": ["word"]}, "unit: expected 'word' or"),
    "no candidates": (OF_TUNING, IMAGES, "expected candidates, got 'image'"),
    "candidates that are none": (OF_TUNING, IMAGES | {"candidates": {"a": 3}}, "candidates: expected networks"),
    "nothing to tune": (OF_TUNING, {}, "expected candidates, got nothing"),
}


@pytest.mark.parametrize(("config", "task", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_no_task_can_say_is_refused_by_name(tmp_path, config, task, message):
    """Tried: without the checks, all of them are read, and a command ends later in a traceback."""
    (tmp_path / "task.json").write_text(json.dumps(task))
    with pytest.raises(StorageError) as error:
        read_task(tmp_path, config)
    assert f"{tmp_path}/task.json: cannot be read: " in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("config", "task"),
    [(OF_IMAGES, {}), (OF_IMAGES, IMAGES), (OF_TEXT, TEXT), (OF_TUNING, IMAGES | {"candidates": {"a": {}}})],
    ids=["an evaluator from Python", "images", "text", "a tuning"],
)
def test_what_a_task_says_is_read(tmp_path, config, task):
    (tmp_path / "task.json").write_text(json.dumps(task))
    assert read_task(tmp_path, config) == task
