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
from types import FrameType, TracebackType

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


@contextmanager
def resumable(how: str) -> Iterator[None]:
    """A request to end that comes in the block says how to resume what is done in it.

    For scripts and notebooks. A script that does not catch it ends as Python's own do after Ctrl-C, but with the
    sentence in place of a traceback.

    Args:
        how: What resumes it, as an imperative.

    Raises:
        KeyboardInterrupt: With the sentence as its message.
    """
    try:
        yield
    except KeyboardInterrupt:
        if sys.excepthook is sys.__excepthook__:
            sys.excepthook = _without_traceback
        # No class of its own: Python ends by the signal, which a shell calls 130, for this very class alone.
        raise KeyboardInterrupt(f"stopped, and all that was finished is saved; {how}") from None


def _without_traceback(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt) and error.args:
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def _request(number: int, frame: FrameType | None) -> None:
    global _requests
    _requests += 1
    if not _held or _requests > 1:
        raise KeyboardInterrupt
