"""The curriculum of a search without one; that which grows is :class:`netwright.config.DepthSchedule`."""

from __future__ import annotations


def full_size(trial_id: int) -> int | None:
    """No curriculum: every architecture has the space's full size."""
    return None
