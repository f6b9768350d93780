"""Many workers with few threads, or few with many: measured, because it depends on the machine and on the children.

On graphics cards, how many workers share each.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

from netwright.search.executor import Executor, Job
from netwright.spaces.architecture import Architecture
from netwright.trial import Failure

_log = logging.getLogger(__name__)

SECONDS = 4.0
"""How long each layout is watched, once its workers are warm."""


class Layout(NamedTuple):
    """How the cores are shared out."""

    workers: int
    threads: int


def layouts(cores: int) -> list[Layout]:
    """All ways to give every worker the same power of two of threads, most workers first."""
    return [Layout(cores // threads, threads) for threads in (1 << k for k in range(cores.bit_length()))]


PER_CARD = (1, 2, 4, 8)
"""Workers per graphics card that are tried. Under MPS they run at the same time; without it they take turns, and more
than one seldom pays."""

CARD_GAIN = 0.05
"""More workers on a card are tried as long as the last ones were so much faster; each has a copy of the data there."""


def batches_of(cards: int) -> int:
    """How many batches a child learns from that is trained over and over.

    Two on processors: long enough to see threads at work, short enough for the largest networks. On a card so many that
    its steps are recorded (``children.replay``) and mostly replayed, as those of a real child are.
    """
    return 200 if cards else 2


def card_layouts(cards: int, cores: int) -> list[Layout]:
    """So many workers on each graphics card, fewest first, as long as every worker has a core to feed its card from."""
    counts = [cards * each for each in PER_CARD if each == 1 or cards * each <= cores]
    return [Layout(workers, max(cores // workers, 1)) for workers in counts]


def calibrate(
    start: Callable[[Layout], Executor],
    architecture: Architecture,
    candidates: Sequence[Layout],
    seconds: float = SECONDS,
    *,
    gain: float | None = None,
) -> dict[Layout, float]:
    """Measures layouts with the same small job over and over on all of its workers.

    Args:
        start: Makes an executor with the workers and threads of a layout.
        architecture: Of the jobs.
        candidates: The layouts, those most likely to work first.
        seconds: To watch each layout.
        gain: Where it is given, a layout that is not faster by that share than all before it is the last.

    Returns:
        Jobs per second of each layout, up to the first in which a job fails, which has 0.0.
    """
    found: dict[Layout, float] = {}
    for layout in candidates:
        with closing(start(layout)) as executor:
            rate = _rate(executor, architecture, layout.workers, seconds)
        enough = gain is not None and bool(found) and rate < (1 + gain) * max(found.values())
        found[layout] = rate
        if not rate or enough:
            break
    return found


def _rate(executor: Executor, architecture: Architecture, workers: int, seconds: float) -> float:
    """Jobs per second with all workers busy; 0.0 when one fails."""
    for number in range(workers):
        executor.submit(Job(id=number, architecture=architecture, seed=0))
    warm: set[int] = set()
    finished, started, number = 0, 0.0, workers
    while True:
        for outcome in executor.wait():
            if isinstance(outcome.result, Failure):
                _log.warning("the child to measure by could not be trained: %s", outcome.result.message)
                return 0.0
            if len(warm) == workers:
                finished += 1
            warm.add(outcome.worker)
            if len(warm) == workers and not started:
                started = time.monotonic()
            executor.submit(Job(id=number, architecture=architecture, seed=0))
            number += 1
        passed = time.monotonic() - started
        if started and finished >= workers and passed >= seconds:
            return finished / passed
