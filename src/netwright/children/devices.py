"""The devices that children can be trained on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from netwright.errors import UsageError
from netwright.machine import cores, keep_freed_memory

__all__ = ["cores", "find_devices", "multiplies_bfloat16", "torch_threads"]


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Lets PyTorch work with so many threads in this process, and afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_devices(wanted: str) -> list[str]:
    """The devices that ``wanted`` means here, for workers to take in turn.

    Args:
        wanted: ``auto`` (all CUDA devices, else MPS, else the CPU), ``cpu``, ``mps``, ``cuda`` (all of them),
            ``cuda:1``.

    Raises:
        UsageError: The device is not there; names those that are.
    """
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    found = {"cpu": ["cpu"], "cuda": cuda, "mps": mps, "auto": cuda or mps or ["cpu"]} | {name: [name] for name in cuda}
    if not found.get(wanted):
        raise UsageError(f"device {wanted}: not on this machine, which has {', '.join(['cpu', *mps, *cuda])}")
    return found[wanted]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 natively, so that it is faster than float32."""
    if device.type != "cpu":
        return device.type == "cuda" and bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older releases of PyTorch do not tell; float32 is then the safe answer.
    capability: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capability.get("avx512_bf16") or capability.get("amx_bf16") or capability.get("bf16"))


def fast_half(device: torch.device) -> torch.dtype | None:
    """The type of 16 bits in which the device multiplies faster than in float32; None where there is none.

    Graphics cards from before bfloat16 multiply float16, whose small range takes a scaled loss.
    """
    if multiplies_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None


FOR_TENSORS = 0.9
"""Of a graphics card's memory, what workers share out among them; the rest is for CUDA itself, in each of them."""


def limit_memory(device: torch.device, share: float) -> None:
    """Lets the tensors of this process take that share of a graphics card at most; elsewhere, or of 1, nothing.

    A child that wants more ends out of memory, and those of the card's other workers train on.
    """
    if device.type == "cuda" and share < 1:
        torch.cuda.set_per_process_memory_fraction(FOR_TENSORS * share, device.index or 0)


def use(device: torch.device, share: float) -> None:
    """Readies a device for a child of this process.

    A graphics card becomes the one that is meant where none is named: for events, streams and questions. On the CPU,
    memory that a step frees is kept for the next.

    Args:
        device: Where the child is trained.
        share: Of the memory of a card; see :func:`limit_memory`.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)
    if device.type == "cpu":
        keep_freed_memory()
    limit_memory(device, share)


_resident: WeakIdKeyDictionary = WeakIdKeyDictionary()
"""Copies of data sets by the tensor that they are copies of, and by device; they go when the tensor goes."""


def resident(data: Tensor, device: torch.device) -> Tensor:
    """``data`` on the device, copied there once per process and not again for every child.

    Only for data sets, which nobody writes to: a later change of ``data`` would not reach the copy. A part of a data
    set that begins where the set begins is a part of the set's copy.
    """
    if data.device == device:
        return data
    whole = data._base
    if whole is None or not (whole.is_contiguous() and data.is_contiguous() and data.storage_offset() == 0):
        whole = data
    copies = _resident.setdefault(whole, {})
    key = str(device)
    if key not in copies:
        with torch.inference_mode(False):  # else a copy that a measurement makes first is of no use for training
            copies[key] = whole.to(device)
    copy: Tensor = copies[key]
    return copy if whole is data else copy.view(-1)[: data.numel()].view(data.shape)


class Glance:
    """Reads a number that a device computes over and over, without waiting for a graphics card.

    There, each glance tells the last number whose copy has arrived by now, which is some steps old, and 0.0 before the
    first. Elsewhere it tells the number itself.

    Args:
        device: Where the numbers are.
        arrival: An event of that device, for tests; made where the device is a graphics card.
    """

    def __init__(self, device: torch.device, arrival: torch.cuda.Event | None = None) -> None:
        self._arrival = torch.cuda.Event() if arrival is None and device.type == "cuda" else arrival
        # Only into pinned memory does a copy run beside the host.
        self._copy = torch.zeros((), pin_memory=device.type == "cuda")
        self._last, self._sent = 0.0, False

    def __call__(self, number: Tensor) -> float:
        """The newest number known, after ``number`` (no dimensions, without gradient) is on its way."""
        if self._arrival is None:
            return number.item()
        if not self._sent or self._arrival.query():
            self._last = self._copy.item()
            self._copy.copy_(number, non_blocking=True)
            self._arrival.record()
            self._sent = True
        return self._last
