"""How large the proposed architectures are as the search proceeds: a depth schedule, or full size throughout."""

from __future__ import annotations


def full_size(trial_id: int) -> int | None:
    """No curriculum: every architecture has the space's full size."""
    return None
