"""The progress of a final training: a line per epoch."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

from netwright.measure import Measure
from netwright.networks.network import training_network


class EpochLines:
    """A line per epoch, with the time that is left.

    Args:
        epochs: In all, of all seeds.
        folder: That of the training. What is measured stands there by the end of the first epoch.
    """

    def __init__(self, epochs: int, folder: Path) -> None:
        self._folder = folder
        self._measure: Measure | None = None
        self._epochs = epochs
        self._seen = 0
        self._started = time.monotonic()

    def show(self, seed: int, epoch: int, loss: float, valid: float) -> None:
        """See :data:`netwright.networks.training.OnEpoch`."""
        self._seen += 1
        self._measure = self._measure or training_network(self._folder).measure
        left = (time.monotonic() - self._started) / self._seen * (self._epochs - self._seen)
        print(
            f"seed {seed}  epoch {epoch}  train loss {loss:.4f}  {self._measure.on_validation} {valid:.4f}"
            f"  ETA {timedelta(seconds=round(left))}",
            file=sys.stderr,
            flush=True,
        )
