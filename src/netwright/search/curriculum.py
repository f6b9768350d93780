"""How large the proposed architectures are as the search goes on."""

from __future__ import annotations

from dataclasses import dataclass


def full_size(trial_id: int) -> int | None:
    """No curriculum: every architecture has the space's full size."""
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthSchedule:
    """Depth that grows by steps with the number of architectures sampled so far (Zoph & Le 2017, sec. 4.1).

    Attributes:
        start: Depth of the first architectures.
        step: Layers added at a time.
        interval: Architectures between two additions.
        cap: Largest depth.
    """

    start: int = 6
    step: int = 2
    interval: int = 1600
    cap: int = 20

    def __call__(self, trial_id: int) -> int:
        """The depth of trial ``trial_id``."""
        return min(self.start + self.step * (trial_id // self.interval), self.cap)
