"""The devices that children can be trained on."""

from __future__ import annotations

import torch

from netwright.errors import UsageError
from netwright.machine import cores

__all__ = ["cores", "find_devices", "multiplies_bfloat16"]


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
