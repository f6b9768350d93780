"""A search asks a strategy for architectures, has them evaluated, and tells the strategy what they earned.

The loop is ``loop.search``; what it needs of others are protocols. How a search ends with an answer is in ``finals``
and ``verdict``, and how certain that is in ``estimates``.

Public names: ``Answer``, ``Checkpointed``, ``Comparison``, ``Estimate``, ``Evaluator``, ``Examiner``, ``Executor``,
``Field``, ``Informed``, ``Job``, ``Journal``, ``Lenient``, ``Limits``, ``Nearest``, ``Numbered``, ``Observer``,
``Observers``, ``SerialExecutor``, ``Strategy``, ``Training``, ``Verdict``, ``WarmingUp``, ``full_size``,
``reward_of``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.search.curriculum import full_size
    from netwright.search.estimates import Answer, Estimate
    from netwright.search.executor import (
        Evaluator,
        Examiner,
        Executor,
        Job,
        Lenient,
        Limits,
        SerialExecutor,
        WarmingUp,
    )
    from netwright.search.finals import Field, Training
    from netwright.search.loop import Journal, Observer
    from netwright.search.observers import Observers
    from netwright.search.reward import reward_of
    from netwright.search.strategy import Checkpointed, Informed, Numbered, Strategy
    from netwright.search.verdict import Comparison, Nearest, Verdict

__all__ = [
    "Answer",
    "Checkpointed",
    "Comparison",
    "Estimate",
    "Evaluator",
    "Examiner",
    "Executor",
    "Field",
    "Informed",
    "Job",
    "Journal",
    "Lenient",
    "Limits",
    "Nearest",
    "Numbered",
    "Observer",
    "Observers",
    "SerialExecutor",
    "Strategy",
    "Training",
    "Verdict",
    "WarmingUp",
    "full_size",
    "reward_of",
]

__getattr__ = lazily(
    __name__,
    {
        "curriculum": ("full_size",),
        "estimates": ("Answer", "Estimate"),
        "executor": (
            "Evaluator",
            "Examiner",
            "Executor",
            "Job",
            "Lenient",
            "Limits",
            "SerialExecutor",
            "WarmingUp",
        ),
        "finals": ("Field", "Training"),
        "loop": ("Journal", "Observer"),
        "observers": ("Observers",),
        "reward": ("reward_of",),
        "strategy": ("Checkpointed", "Informed", "Numbered", "Strategy"),
        "verdict": ("Comparison", "Nearest", "Verdict"),
    },
)
