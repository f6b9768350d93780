"""Requests to end, Ctrl-C and a scheduler's SIGTERM, as one ``KeyboardInterrupt``, raised only where it is safe.

Python raises it between any two instructions. In most of a search that is wanted: it waits, or computes what is begun
again on resumption. Where it is not, as between the start of a process and the note that it is ours, or while a library
holds a lock of its own, :func:`held_back` puts it off to the end of the block. In a program that called :func:`listen`,
a request that was swallowed, as Python does in a destructor, is raised again there.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

_held = 0
"""How many blocks that hold requests back are open."""

_requests = 0
"""Signals that came since :func:`listen`, or since the outermost block began in a program that has not called it."""


def listen() -> None:
    """From now on answers SIGINT and SIGTERM in this process; for programs, since a library leaves signals alone.

    A process that was told to ignore Ctrl-C, as a shell tells those in the background, keeps ignoring it. Where Python
    swallows a request, it would print a traceback; since the request is raised again, that is left out.
    """
    global _requests
    _requests = 0
    sys.unraisablehook = partial(_but_requests, sys.unraisablehook)
    signal.signal(signal.SIGTERM, _request)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _request)


@contextmanager
def held_back() -> Iterator[None]:
    """Nothing in the block is interrupted by a first request, which is raised at its end; by a second one it is.

    Ctrl-C is held back in any program that leaves it to Python, SIGTERM where :func:`listen` was called. Threads other
    than the main one are never interrupted, so in them nothing is done.

    Raises:
        KeyboardInterrupt: At the end of the block, when there was a request in it, or one before it that was swallowed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _held, _requests
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # in scripts and notebooks
    _held += 1
    try:
        if ours:
            _requests = 0
            signal.signal(signal.SIGINT, _request)
        yield
    finally:
        _held -= 1
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    if _requests and not _held:
        if ours:
            _requests = 0
        raise KeyboardInterrupt


def _but_requests(report: Callable[[sys.UnraisableHookArgs], object], swallowed: sys.UnraisableHookArgs) -> None:
    if not issubclass(swallowed.exc_type, KeyboardInterrupt):
        report(swallowed)


def _request(number: int, frame: FrameType | None) -> None:
    global _requests
    _requests += 1
    if not _held or _requests > 1:
        raise KeyboardInterrupt
