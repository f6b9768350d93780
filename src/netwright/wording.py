"""How times and counts are said to a person, everywhere in the same words."""

from __future__ import annotations

MINUTE, HOUR = 60, 3600
"""Seconds."""


def duration(seconds: float) -> str:
    """A time: seconds below two minutes, minutes below two hours, then hours; one decimal below ten of them."""
    for unit, name in ((HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= 2 * unit:
            return _measured(seconds / unit, name)
    return _measured(seconds, "second")


def _measured(value: float, name: str) -> str:
    shown = f"{value:,.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"
    return f"{shown} {name}{'' if shown == '1' else 's'}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things: ``1 trial``, ``2 trials``.

    Args:
        number: How many.
        one: What one of them is called.
        many: What several are called, where that is not the same with an ``s``.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
