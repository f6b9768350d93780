"""A run of one trial that nobody trained, in which networks are found."""

from __future__ import annotations

import numpy as np
import pytest

import netwright
from netwright.recipes import find_recipe
from netwright.settings_file import override
from netwright.spaces.conv import ConvSpace
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation, Outcome, Proposal, State, Trial

TASK = {"image": [1, 8, 8], "classes": ["even", "odd"]}


@pytest.fixture
def run(tmp_path):
    """Its folder; two small layers, for images of 8 x 8 pixels and two classes."""
    space = ConvSpace(depth=2, filter_heights=(3,), filter_widths=(3,), filters=(4,), anchors=False)
    changes = {"child.epochs": 1, "child.batch_size": 10, "data.validation": 10}
    config = override(find_recipe("digits"), changes).model_copy(
        update={"space": space, "depth": None, "verdict": None}
    )
    folder = RunFolder.create(tmp_path / "run", config, TASK)
    tokens = (0,) * len(space.plan())
    folder.start([(Proposal(id=0, tokens=tokens), space.decode(tokens))])
    trial = Trial(id=0, tokens=tokens, state=State.COMPLETE, reward=0.125)
    folder.finish(trial, Outcome(id=0, result=Evaluation(valid=0.5), seconds=1.0), None, None)
    folder.store.close()
    return folder.path


@pytest.fixture
def data():
    """Sixty pictures of two kinds."""
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (random.random((60, 8, 8)) + labels[:, None, None]) / 2
    return netwright.from_tensors(
        images[:40], labels[:40], validation=10, test=(images[40:], labels[40:]), classes=["even", "odd"]
    )
