"""A child is the network built from an architecture: an ordinary ``torch.nn.Module``, trained from scratch.

An evaluator builds it, trains it and measures it on the validation part; the test part only where that chooses nothing.

Public names: ``Child``, ``ConvNet``, ``ImageEvaluator``, ``ImageTrainer``, ``LanguageModel``,
``LanguageModelEvaluator``, ``NASCell``, ``NASRNN``, ``Trainer``, ``accuracy``, ``cores``, ``find_devices``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.children.child import Child, Trainer
    from netwright.children.conv_net import ConvNet
    from netwright.children.devices import cores, find_devices
    from netwright.children.image_evaluator import ImageEvaluator
    from netwright.children.image_training import ImageTrainer, accuracy
    from netwright.children.language_evaluator import LanguageModelEvaluator
    from netwright.children.language_model import LanguageModel
    from netwright.children.recurrent_cell import NASRNN, NASCell

__all__ = [
    "NASRNN",
    "Child",
    "ConvNet",
    "ImageEvaluator",
    "ImageTrainer",
    "LanguageModel",
    "LanguageModelEvaluator",
    "NASCell",
    "Trainer",
    "accuracy",
    "cores",
    "find_devices",
]

__getattr__ = lazily(
    __name__,
    {
        "child": ("Child", "Trainer"),
        "conv_net": ("ConvNet",),
        "devices": ("cores", "find_devices"),
        "image_evaluator": ("ImageEvaluator",),
        "image_training": ("ImageTrainer", "accuracy"),
        "language_evaluator": ("LanguageModelEvaluator",),
        "language_model": ("LanguageModel",),
        "recurrent_cell": ("NASCell", "NASRNN"),
    },
)
