"""Tensors in shared memory, where all worker processes map one copy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from netwright.errors import DataError

FOLDER = "/dev/shm"
"""Where Linux has shared memory."""

SPARE = 2**20
"""Bytes of shared memory that are left to others."""

LARGE = 2**24
"""Bytes from which on a tensor is made in shared memory at once; a smaller one is copied there in no time."""


def share(name: str, tensors: Sequence[Tensor], fix: str) -> None:
    """Moves tensors to shared memory; those that are there already stay.

    Args:
        name: Of the data, for the error.
        tensors: Changed in place.
        fix: What else to do than give a container more of it.

    Raises:
        DataError: The shared memory of this machine or container is too small, or there is none.
    """
    private = [tensor for tensor in tensors if not tensor.is_shared()]
    # The kernel hands out shared memory that it does not have, and kills whoever then writes to it.
    needed, free = sum(tensor.nbytes for tensor in private), _free()
    if free is not None and needed > free:
        raise DataError(
            f"{name}: expected {needed / 2**20:.0f} MiB of shared memory for the workers, got "
            f"{free / 2**20:.0f} MiB in {FOLDER}; give a container more (docker run --shm-size=2g), or {fix}"
        )
    try:
        for tensor in private:
            tensor.share_memory_()
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{name}: this machine gives no shared memory for the workers ({str(error).splitlines()[0]}); mount a "
            f"tmpfs at {FOLDER} (docker run --shm-size=2g does)"
        ) from None


def empty_shared(*shape: int) -> Tensor:
    """A tensor of uint8 that is not yet filled: in shared memory where there is room, so that it need not move there.

    Where images are of the size of all memory, a second copy of them has no place.
    """
    size, free = torch.Size(shape).numel(), _free()
    if free is not None and LARGE <= size <= free - SPARE:
        try:
            # Given out by the page as it is written to, which share_memory_() would do at once, beside the original.
            storage = torch.UntypedStorage._new_shared(size)
        except (OSError, RuntimeError, AttributeError):  # of another PyTorch, or a system that gives none
            pass
        else:
            return torch.empty(0, dtype=torch.uint8).set_(storage, 0, shape)  # type: ignore[call-overload,no-any-return]
    return torch.empty(shape, dtype=torch.uint8)


def _free() -> int | None:
    """Bytes of shared memory that can be had; 0 where there is none, None where the system does not tell."""
    if sys.platform != "linux":
        return None
    try:
        return shutil.disk_usage(FOLDER).free
    except OSError:
        return 0
