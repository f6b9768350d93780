"""Training steps of convolutional children on a CPU: PyTorch's operations on maps and ours, in turns.

    python benchmarks/maps.py [RUN] [--images 64] [--rounds 5]

First single operations, forward and back, on maps as networks of half a million multiply-adds have them; then whole
steps of training of a finished search's found network and of its references, with its settings. Printed are
microseconds of the processor, the least of the rounds, and the ratio; bfloat16 where the processor has it, one thread.
"Ours" is what a search runs, which leaves to PyTorch what it is quick at. Both keep freed memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from netwright.answer import references_in
from netwright.children import map_operations
from netwright.children.conv_net import ConvNet
from netwright.children.devices import fast_half
from netwright.children.image_training import ImageTrainer
from netwright.children.map_operations import average_pool, convolution, normalised_gelu
from netwright.config import ImageTraining
from netwright.data.images import ImageSplit
from netwright.machine import keep_freed_memory
from netwright.spaces.architecture import ConvArchitecture
from netwright.spaces.cost import Shape
from rewards import opened

SHAPES = [(16, 16), (32, 8), (48, 4), (128, 2)]
"""Channels and side of the maps."""

STEPS = 40
IMAGE = Shape(3, 16, 16)
CPU = torch.device("cpu")


@contextmanager
def pytorch_alone() -> Iterator[None]:
    """Leaves all operations on maps to PyTorch."""
    ours = map_operations._is_laid_out
    map_operations._is_laid_out = lambda maps: False
    try:
        yield
    finally:
        map_operations._is_laid_out = ours


def operations(channels: int, dtype: torch.dtype) -> dict[str, tuple[Callable[[Tensor], Tensor], nn.Module, int]]:
    """Each operation, what has its weights, and how many pixels of a side become one."""

    def conv(side: int, groups: int = 1) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, side, padding=side // 2, groups=groups, bias=False).to(dtype)

    convolutions = {
        "1x1 convolution": conv(1),
        "3x3 for each channel": conv(3, channels),
        "5x5 for each channel": conv(5, channels),
    }
    norm = nn.BatchNorm2d(channels)
    return {
        **{name: (partial(convolution, made), made, 1) for name, made in convolutions.items()},
        "normalisation, GELU": (partial(normalised_gelu, norm), norm, 1),
        "average pooling": (average_pool, nn.Identity(), 2),
    }


def through(operation: Callable[[Tensor], Tensor], weights: Sequence[Tensor], maps: Tensor, gradient: Tensor) -> None:
    """Forward and back, some times."""
    for _ in range(STEPS):
        torch.autograd.grad(operation(maps), (maps, *weights), gradient)


def trainer_of(architecture: ConvArchitecture, settings: ImageTraining) -> ImageTrainer:
    """Of a network, on images of noise, with epochs of some steps."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (STEPS * settings.batch_size, *IMAGE), dtype=torch.uint8, generator=generator)
    split = ImageSplit(images, torch.randint(0, 10, (len(images),), generator=generator))
    network = ConvNet(architecture, IMAGE, 10, generator=generator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ImageTrainer(network, split, settings.model_copy(update={"epoch_limit": None}), device=CPU, seed=0)


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(name: str, work: Callable[[], object], rounds: int) -> None:
    theirs, ours = [], []
    work()
    for _ in range(rounds):
        with pytorch_alone():
            theirs.append(seconds(work))
        ours.append(seconds(work))
    each = 1e6 / STEPS
    one, other = each * min(theirs), each * min(ours)
    print(f"{name:45} PyTorch {one:6.0f} us, ours {other:6.0f} us, {other / one:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    dtype = fast_half(CPU) or torch.float32
    print(dtype)
    for channels, side in SHAPES:
        for name, (operation, module, shrinks) in operations(channels, dtype).items():
            maps, gradient = (
                torch.randn(options.images, channels, size, size)
                .to(dtype)
                .contiguous(memory_format=torch.channels_last)
                for size in (side, side // shrinks)
            )
            work = partial(through, operation, [*module.parameters()], maps.requires_grad_(), gradient)
            compare(f"{name}, {channels} channels of {side}x{side}", work, options.rounds)
    if options.run is not None:
        run = opened(options.run)
        networks = {"found": run.best.architecture}
        networks |= {name: architecture for name, (architecture, _) in references_in(run.folder.task()).items()}
        settings = run.config.child
        assert isinstance(settings, ImageTraining)
        for name, architecture in networks.items():
            assert isinstance(architecture, ConvArchitecture)
            compare(f"a step of {name}", trainer_of(architecture, settings).run_epoch, options.rounds)


if __name__ == "__main__":
    main()
