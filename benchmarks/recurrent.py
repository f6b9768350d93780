"""How fast any recurrent cell runs: ratios to plain PyTorch and to ``nn.LSTM``, measured in one run on one thread.

    python benchmarks/recurrent.py [--hidden 200 650] [--cells 11] [--repeats 5]

A pass is forward and backward over 35 steps of 20 sequences. Times are processor time, the rivals take turns and the
best time of each counts, so that other programs on the machine disturb little, and all rivals alike. Columns: times
of a pass in milliseconds; how many times as fast as the plain implementation; the share of nn.LSTM's FLOP/s (a cell
of base 8 has twice its products); bfloat16 products against float32; the first pass of a cell never seen before, in
seconds.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from random import Random
from statistics import geometric_mean

import torch
from torch import Tensor, nn

from netwright.children.recurrent_cell import NASCell
from netwright.spaces.architecture import Architecture
from netwright.spaces.grammar import uniform_tokens
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace

STEPS, SEQUENCES = 35, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, nargs="+", default=[200, 650])
    parser.add_argument("--cells", type=int, default=11, help="the published cell and random ones")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    space = RecurrentCellSpace()
    cells: list[tuple[str, Architecture]] = [("nascell", published("nascell"))]
    for seed in range(options.cells - 1):
        cells.append((f"random {seed}", space.decode(uniform_tokens(space.plan(), Random(seed)))))
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, one thread")
    print(f"{'hidden cell':16}{'plain':>8}{'ours':>8}{'bf16':>8}{'LSTM':>8}  ours/plain  of LSTM  bf16/ours  first use")
    for hidden in options.hidden:
        ratios = [measure(name, cell, hidden, options.repeats) for name, cell in cells]
        means = [geometric_mean(column) for column in zip(*ratios, strict=True)]
        print(f"{hidden:<5} mean of {len(cells)}{'':30}  {means[0]:9.2f}x {means[1]:8.2f} {means[2]:9.2f}x", flush=True)


def measure(name: str, architecture: Architecture, hidden: int, repeats: int) -> tuple[float, float, float]:
    """Times one cell, checks that the results are equal, prints a line and returns its three ratios."""
    x = torch.randn(STEPS, SEQUENCES, hidden, requires_grad=True)
    upstream = torch.randn(STEPS, SEQUENCES, hidden)
    cell = NASCell(hidden, hidden, architecture)
    lstm = nn.LSTM(hidden, hidden, bias=False)
    rivals: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: cell.run(x, plain=True)[0],
        "ours": lambda: cell.run(x)[0],
        "bf16": lambda: cell.run(x, bfloat16=True)[0],
        "lstm": lambda: lstm(x)[0],
    }
    start = time.process_time()
    rivals["ours"]().backward(upstream)
    first = time.process_time() - start
    check_equal(cell, x, upstream)
    seconds: dict[str, list[float]] = {rival: [] for rival in rivals}
    for _ in range(repeats):
        for rival, run in rivals.items():
            seconds[rival].append(_timed(run, upstream))
    plain, ours, bf16, of_lstm = (min(times) for times in seconds.values())
    ratios = plain / ours, 2 * of_lstm / ours, ours / bf16
    times = "".join(f"{1e3 * value:8.1f}" for value in (plain, ours, bf16, of_lstm))
    print(
        f"{hidden:<5} {name:10}{times}  {ratios[0]:9.2f}x {ratios[1]:8.2f} {ratios[2]:9.2f}x {first:9.2f}s", flush=True
    )
    return ratios


def check_equal(cell: NASCell, x: Tensor, upstream: Tensor) -> None:
    """Fails unless both implementations give the same values and gradients, but for rounding.

    In float32 the derivative of a ReLU jumps where its argument is rounded to either side of zero, so gradients are
    compared as vectors there, and element by element in float64.
    """
    for dtype in (torch.float32, torch.float64):
        exact = copy.deepcopy(cell).to(dtype)
        inputs = (x.detach().to(dtype).requires_grad_(), *exact.parameters())
        plain, ours = exact.run(inputs[0], plain=True)[0], exact.run(inputs[0])[0]
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
        gradients = (torch.autograd.grad(output, inputs, upstream.to(dtype)) for output in (ours, plain))
        for own, expected in zip(*gradients, strict=True):
            if dtype == torch.float64:
                torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-9 * expected.abs().max().item())
            assert (own - expected).norm() <= 1e-2 * expected.norm()  # both are 0 in a cell that lets nothing through


def _timed(run: Callable[[], Tensor], upstream: Tensor) -> float:
    start = time.process_time()
    run().backward(upstream)
    return time.process_time() - start


if __name__ == "__main__":
    main()
