"""Loops over numbers as machine code, where Numba is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any


@cache
def numba_is_there() -> bool:
    """Whether Numba is installed; what is compiled by it has another way to the same result without."""
    return find_spec("numba") is not None


def compiled(function: Callable[..., Any]) -> Any:
    """A function as machine code, made when it is first called and kept for the next process where there is room.

    Raises:
        ImportError: Numba is not installed.
    """
    from numba import njit

    # A product and a sum may become one instruction; nothing else is allowed, so that a NaN stays one.
    options = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
    try:
        return njit(**options, cache=True)(function)
    except RuntimeError:  # neither beside this file nor in the user's own folder may anything be written
        return njit(**options)(function)
