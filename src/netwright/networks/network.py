"""A network with all that it takes to build, train, draw and export it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netwright.config import ExperimentConfig, ImageTraining, LanguageModelTraining
from netwright.errors import DamagedWeightsError, StorageError, UsageError
from netwright.recipes import RECIPES, find_recipe
from netwright.settings_file import load_config
from netwright.spaces.architecture import (
    Architecture,
    ConvArchitecture,
    RecurrentCellArchitecture,
    parse_architecture,
)
from netwright.spaces.cost import Shape
from netwright.store.run_folder import weights_file

if TYPE_CHECKING:
    from torch import nn


RECIPES_BY_KIND = {"conv": "cifar10", "recurrent_cell": "penn-treebank"}
"""The experiment that gives data and training to an architecture without a run."""

CIFAR10_TASK = {"image": [3, 32, 32], "classes": list(range(10))}
"""What convolutional networks without a run are taken to be for, as the published ones are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """An architecture and what is known of it.

    Attributes:
        architecture: What it looks like.
        task: What it reads and writes; see :func:`netwright.experiment.describe_task`.
        config: How it is trained; None when nobody has said.
        weights: Trained ones as safetensors; None before.
        training: The folder where ``netwright train`` puts its training, unless told otherwise; None for a network that
            belongs to no run.
        seed: Of that training, the one that the weights are from.
    """

    architecture: Architecture
    task: Mapping[str, Any]
    config: ExperimentConfig | None = None
    weights: bytes | None = None
    training: Path | None = None
    seed: int = 0

    def build(self) -> nn.Module:
        """The network as an ordinary module: with its trained weights, set to evaluation, or else with fresh ones.

        A convolutional one takes images [N, C, H, W], as ``netwright.children.image_training`` prepares them, to
        logits; a cell becomes the language model that was trained.

        Raises:
            UsageError: Nothing here builds architectures of this kind.
            DamagedWeightsError: The weights are damaged.
        """
        from netwright.networks.tensor_file import load_tensors

        network = self._fresh()
        if self.weights is not None:
            training = self.training or Path("TRAINING")
            path = weights_file(training, self.seed)
            try:
                network.load_state_dict(load_tensors(self.weights, str(path)))
            except (StorageError, RuntimeError) as error:
                damage = str(error) if isinstance(error, StorageError) else f"{path}: of another network: {error}"
                raise DamagedWeightsError(damage, _retraining(training, self.seed)) from None
            network.eval()
        return network

    def _fresh(self) -> nn.Module:
        import torch

        from netwright.children.conv_net import ConvNet
        from netwright.children.language_model import build_model

        generator = torch.Generator().manual_seed(0)
        match self.architecture, None if self.config is None else self.config.child:
            case ConvArchitecture() as architecture, ImageTraining() as settings:
                image, classes = Shape(*self.task["image"]), len(self.task["classes"])
                eps = settings.batch_norm_eps
                return ConvNet(architecture, image, classes, batch_norm_eps=eps, generator=generator)
            case RecurrentCellArchitecture() as architecture, LanguageModelTraining() as settings:
                return build_model(architecture, len(self.task["vocabulary"]), settings, generator)
        raise UsageError(f"nothing here builds an architecture of kind {self.architecture.kind!r} for its task")

    def is_trained(self, seed: int = 0) -> bool:
        """Whether ``netwright train`` has finished a seed of it."""
        return self.training is not None and weights_file(self.training, seed).with_name("result.json").is_file()

    def trained(self, seed: int = 0) -> Network:
        """The same network as ``netwright train`` left it; as it is when no training was ever begun.

        Raises:
            UsageError: The training has not finished this seed.
            DamagedWeightsError: It has, and the weights cannot be read.
        """
        if self.training is None or not self.training.is_dir():
            return self
        if not self.is_trained(seed):
            raise UsageError(
                f"{self.training} has not finished seed {seed}; first: netwright train --resume {self.training}"
            )
        path = weights_file(self.training, seed)
        try:
            weights = path.read_bytes()
        except OSError as error:
            damage = f"{path}: cannot be read: {error.strerror}"
            raise DamagedWeightsError(damage, _retraining(self.training, seed)) from None
        return replace(training_network(self.training), weights=weights, seed=seed)


def training_network(folder: Path) -> Network:
    """The network of a folder of ``netwright train``, as it was before its first epoch."""
    return Network(
        architecture=parse_architecture((folder / "architecture.json").read_bytes(), str(folder)),
        task=json.loads((folder / "task.json").read_text(encoding="utf-8")),
        config=load_config(folder / "config.toml"),
        training=folder,
    )


def _retraining(training: Path, seed: int) -> str:
    """The command that trains a seed anew."""
    return shlex.join(["netwright", "export", str(training), "--seed", str(seed), "--to", "DIR", "--retrain"])


def network_without_run(architecture: Architecture) -> Network:
    """A network of which only the architecture is known; the rest is taken from the paper's experiment of its kind."""
    recipe = RECIPES_BY_KIND.get(architecture.kind)
    config = find_recipe(recipe) if recipe in RECIPES else None
    return Network(architecture=architecture, task=CIFAR10_TASK, config=config)
