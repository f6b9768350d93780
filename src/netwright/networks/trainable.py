"""What a training needs to know of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from netwright.config import ExperimentConfig
from netwright.spaces.architecture import Architecture
from netwright.tasks import Kind, Task


class Trainable(Protocol):
    """What a training needs to know of a :class:`netwright.networks.network.Network`."""

    @property
    def architecture(self) -> Architecture:
        """What it looks like."""
        ...

    @property
    def task(self) -> Task:
        """What it reads and writes."""
        ...

    @property
    def config(self) -> ExperimentConfig | None:
        """How it is trained."""
        ...

    @property
    def kind(self) -> Kind | None:
        """What kind of task it is for."""
        ...

    @property
    def training(self) -> Path | None:
        """The folder of its training."""
        ...

    @property
    def final(self) -> bool:
        """Whether ``config`` is that of a final training already."""
        ...
