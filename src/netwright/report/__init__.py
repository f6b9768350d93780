"""A report is what a person reads of a run: tables, summaries, curves and pages.

It reads the store and writes text, and never changes a run.

Public names: ``answer_json``, ``answer_text``, ``comparison_page``, ``report_page``, ``run_summary``,
``run_summary_text``, ``trial_table``, ``tuning_table``, ``write_curves``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.report.answer import answer_json, answer_text
    from netwright.report.comparison import comparison_page
    from netwright.report.page import report_page
    from netwright.report.summary import run_summary, run_summary_text, trial_table, tuning_table
    from netwright.report.tensorboard import write_curves

__all__ = [
    "answer_json",
    "answer_text",
    "comparison_page",
    "report_page",
    "run_summary",
    "run_summary_text",
    "trial_table",
    "tuning_table",
    "write_curves",
]

__getattr__ = lazily(
    __name__,
    {
        "answer": ("answer_json", "answer_text"),
        "comparison": ("comparison_page",),
        "page": ("report_page",),
        "summary": ("run_summary", "run_summary_text", "trial_table", "tuning_table"),
        "tensorboard": ("write_curves",),
    },
)
