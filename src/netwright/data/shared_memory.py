"""Tensors in shared memory, where all worker processes map one copy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from torch import Tensor

from netwright.errors import DataError


def share(name: str, tensors: Sequence[Tensor], fix: str) -> None:
    """Moves tensors to shared memory.

    Args:
        name: Of the data, for the error.
        tensors: Changed in place.
        fix: What else to do than give a container more of it.

    Raises:
        DataError: The shared memory of this machine or container is too small.
    """
    if sys.platform == "linux":
        # The kernel hands out shared memory that it does not have, and kills whoever then writes to it.
        needed = sum(tensor.nbytes for tensor in tensors)
        free = shutil.disk_usage("/dev/shm").free
        if needed > free:
            raise DataError(
                f"{name}: expected {needed / 2**20:.0f} MiB of shared memory for the workers, got "
                f"{free / 2**20:.0f} MiB in /dev/shm; give a container more (docker run --shm-size=2g), or {fix}"
            )
    for tensor in tensors:
        tensor.share_memory_()
