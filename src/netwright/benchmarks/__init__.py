"""Benchmarks: evaluators that answer from a table of networks that others trained, so that a search takes seconds.

A strategy cannot tell a table from training. The tables are ``nasbench201``, ``nasbench_macro`` and ``toy``.

Public names: ``TabularEvaluator``, ``load_table``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.benchmarks.tables import load_table
    from netwright.benchmarks.tabular import TabularEvaluator

__all__ = ["TabularEvaluator", "load_table"]

__getattr__ = lazily(
    __name__,
    {
        "tables": ("load_table",),
        "tabular": ("TabularEvaluator",),
    },
)
