"""A training step through a convolution of each channel by itself: PyTorch's way back and ours, in turns.

python benchmarks/depthwise.py [--images 64] [--rounds 4]

Printed are microseconds forward and back, the best of the rounds, and the ratio; bfloat16 where the processor has it,
one thread. Where both are the same, PyTorch is quick and does it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from netwright.children.depthwise import depthwise
from netwright.children.devices import fast_half

SHAPES = [
    (16, (3, 3), 16),
    (16, (5, 5), 16),
    (16, (1, 5), 16),
    (40, (5, 5), 8),
    (96, (5, 3), 4),
    (48, (5, 5), 4),
    (120, (3, 3), 2),
    (200, (3, 5), 2),
]
"""Channels, filter, and side of the maps: as in networks that searches for half a million multiply-adds find."""

REPEATS = 20


def microseconds(through: Callable[[Tensor], Tensor], maps: Tensor, gradient: Tensor) -> float:
    """Of a step forward and back."""
    through(maps).backward(gradient)
    started = time.perf_counter()
    for _ in range(REPEATS):
        maps.grad = None
        through(maps).backward(gradient)
    return 1e6 * (time.perf_counter() - started) / REPEATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    dtype = fast_half(torch.device("cpu")) or torch.float32
    for channels, size, side in SHAPES:
        padding = size[0] // 2, size[1] // 2
        conv = nn.Conv2d(channels, channels, size, padding=padding, groups=channels, bias=False).to(dtype)
        shape = options.images, channels, side, side
        maps, gradient = (torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last) for _ in range(2))
        maps.requires_grad_()
        ways = conv, partial(depthwise, conv)
        rounds = [[microseconds(way, maps, gradient) for way in ways] for _ in range(options.rounds)]
        theirs, ours = map(min, zip(*rounds, strict=True))
        name = f"{channels} channels, {size[0]}x{size[1]} on {side}x{side}"
        print(f"{name:30} {dtype}: PyTorch {theirs:5.0f} us, here {ours:5.0f} us, {ours / theirs:.2f}", flush=True)


if __name__ == "__main__":
    main()
