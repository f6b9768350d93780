"""Integrations: the controller inside other people's tools.

Public names: ``ControllerSampler``, ``write_study``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.integrations.optuna import ControllerSampler, write_study

__all__ = ["ControllerSampler", "write_study"]

__getattr__ = lazily(
    __name__,
    {
        "optuna": ("ControllerSampler", "write_study"),
    },
)
