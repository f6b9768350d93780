"""The progress of a final training: a line per epoch."""

from __future__ import annotations

import sys
import time
from datetime import timedelta


class EpochLines:
    """A line per epoch, with the time that is left.

    Args:
        epochs: In all, of all seeds.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._seen = 0
        self._started = time.monotonic()

    def show(self, seed: int, epoch: int, loss: float, valid: float) -> None:
        """See :data:`netwright.networks.training.OnEpoch`."""
        self._seen += 1
        left = (time.monotonic() - self._started) / self._seen * (self._epochs - self._seen)
        print(
            f"seed {seed}  epoch {epoch}  train loss {loss:.4f}  valid {valid:.4f}"
            f"  ETA {timedelta(seconds=round(left))}",
            file=sys.stderr,
            flush=True,
        )
