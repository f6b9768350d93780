"""As much of ``triton.language`` as the kernels of cells need, in PyTorch, so that they are tested without Triton."""

from __future__ import annotations

import torch

float32 = torch.float32
constexpr = int


class PropagateNan:
    ALL = "all"


class Pointer:
    """Where a tensor begins in memory, or places after it."""

    def __init__(self, tensor, places=0):
        assert tensor.is_contiguous()
        self.memory, self.places = tensor.view(-1), places

    def __add__(self, places):
        return Pointer(self.memory, self.places + places)


class Kernel:
    """Runs a program for all places of a grid, as ``kernel[grid](...)``."""

    def __init__(self, program):
        self.program = program

    def __getitem__(self, grid):
        def run(*arguments, **constants):
            given = [Pointer(value) if isinstance(value, torch.Tensor) else value for value in arguments]
            for place in torch.cartesian_prod(*map(torch.arange, grid)):
                global _place
                _place = place.tolist()
                self.program(*given, **constants)

        return run


_place = [0, 0]


def program_id(axis):
    return _place[axis]


def arange(start, stop):
    return torch.arange(start, stop)


def load(pointer, mask):
    values = pointer.memory[pointer.places.where(mask, 0)]
    return values.where(mask, torch.nan)


def store(pointer, values, mask):
    pointer.memory[pointer.places[mask]] = values.expand_as(mask)[mask].to(pointer.memory.dtype)


def maximum(one, other, propagate_nan):
    return torch.maximum(one, torch.as_tensor(other))


def where(condition, one, other):
    return torch.where(condition, torch.as_tensor(one), torch.as_tensor(other))


sigmoid, sin, cos = torch.sigmoid, torch.sin, torch.cos
