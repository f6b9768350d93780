"""Training steps that a graphics card repeats by itself: recorded once, as a CUDA graph, and replayed.

A step of a small network is hundreds of kernels of a few microseconds each. Python starts them more slowly than they
end, so that the card mostly waits. A recorded step is started as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

FIRST = 3
"""Calls that run as they are written before one is recorded: they choose kernels and make the optimizer's state."""

Step = Callable[..., tuple[Tensor, ...]]
"""Tensors to tensors."""


class Replay:
    """Calls one function of tensors again and again: as it is, or from a recording where that is on a graphics card.

    What is recorded is which kernels ran on which memory. So the function must not wait for the card, must change
    what it changes in place, and takes everything that changes between calls as tensors: either as arguments or in
    memory of their own, such as a learning rate set by :func:`set_learning_rate`. Random numbers go on as they would.

    Only calls with arguments of the first call's sizes are recorded; others, such as the last batch of an epoch, run
    as they are written. So do all where recording needs more memory than there is.

    Args:
        device: Of all tensors.
        record: Whether to record at all, where that is a graphics card.

    Attributes:
        records: Whether calls are recorded.
    """

    # It does not keep the function, which often is a method of whoever keeps this: of a ring of two, the memory on the
    # card would be free only when Python looks for rings.

    def __init__(self, device: torch.device, *, record: bool = True) -> None:
        self.records = record and device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self.records else None
        self._sizes: list[torch.Size] | None = None
        self.forget()

    def forget(self) -> None:
        """Drops the recording: the function's memory has been replaced, as when a training is taken up again."""
        self._left = FIRST
        self._recording: tuple[torch.cuda.CUDAGraph, tuple[Tensor, ...], tuple[Tensor, ...]] | None = None

    def __call__(self, function: Step, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What ``function`` returns for ``inputs``; on a card it may still be at work then.

        Args:
            function: The same one each time. The tensors that a replayed call returns are written again by the next.
            inputs: Its arguments.
        """
        if self._stream is None:
            return function(*inputs)
        # All calls on one stream of their own, for autograd remembers the streams of what it differentiates, and only
        # a stream that is nobody else's can be recorded.
        here = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            outputs = self._run(function, inputs)
        here.wait_stream(self._stream)
        return outputs

    def _run(self, function: Step, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        sizes = [value.shape for value in inputs]
        self._sizes = self._sizes or sizes
        if sizes != self._sizes:
            return function(*inputs)
        if self._recording is None and self._left == 0:
            self._record(function, inputs)
        if self._recording is None:
            self._left -= 1
            return function(*inputs)
        graph, held, outputs = self._recording
        for there, value in zip(held, inputs, strict=True):
            there.copy_(value)
        graph.replay()
        return outputs

    def _record(self, function: Step, inputs: tuple[Tensor, ...]) -> None:
        """Records the function, which is not run by that; or gives it up for good where memory is short."""
        held = tuple(value.clone() for value in inputs)
        graph = torch.cuda.CUDAGraph()
        short = False
        try:
            # Other threads, such as that which listens for the driver, may go on meanwhile.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                try:
                    outputs = function(*held)
                except torch.OutOfMemoryError:
                    short = True
                    raise
        except RuntimeError:  # what ends a recording that failed can hide why it failed
            if not short:
                raise
            self._left = -1  # never zero again
        else:
            self._recording = graph, held, outputs


def learning_rate_on(device: torch.device, rate: float, *, recorded: bool) -> float | Tensor:
    """A learning rate for an optimizer whose steps are recorded or not: a tensor if so, which they read each time."""
    return torch.tensor(rate, device=device) if recorded else rate


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Changes the learning rate of all parameters; in place where it is a tensor, which a recording reads."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
