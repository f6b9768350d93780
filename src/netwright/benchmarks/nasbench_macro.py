"""NAS-Bench-Macro: all 6,561 chains of eight layers with three kinds of block, trained three times (Su et al. 2021)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from netwright.benchmarks.tabular import Choices, TabularEvaluator, fraction, read_text
from netwright.errors import DataError
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice, Tokens, count_strings, every_string
from netwright.trial import Evaluation

BLOCKS = ("identity", "mb3_k3", "mb6_k5")
"""Nothing; inverted bottlenecks that expand 3 times with 3x3 and 6 times with 5x5 filters. The token is the digit."""

LAYERS = 8
SAME_SHAPE = ((0, 1), (1, 2), (2, 3), (3, 5), (5, 6), (6, 8))
"""Layers between which the map keeps its shape. The layers 0, 2 and 5 reduce it, where even ``identity`` is a layer."""


def without_idle_order(tokens: Tokens) -> Tokens:
    """The one string of a network: within a stage, identities change nothing wherever they stand, so they go last."""
    ordered: list[int] = []
    for first, last in SAME_SHAPE:
        ordered += sorted(tokens[first:last], key=lambda token: token == 0)
    return tuple(ordered)


SPACE = ChoiceSpace(
    name="nasbench-macro",
    decisions=tuple(Choice(f"layer_{layer}", BLOCKS) for layer in range(LAYERS)),
    representative=without_idle_order,
)


def load(path: Path, *, reward: Literal["mean", "one"] = "mean") -> TabularEvaluator:
    """Reads the benchmark's JSON file: code of eight digits -> ``{"test_acc": [...], ...}``, in per cent.

    The table has no validation accuracies: a search sees the very number that it is judged by, or with ``one`` a noisy
    sample of it. The result is the mean over the runs either way.

    Args:
        path: The file.
        reward: What one evaluation sees: the mean over the training runs, or one run, drawn by the trial's seed.

    Raises:
        DataError: Not such a file, a code is missing, or a value is no accuracy; names the code.
    """
    try:
        table = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from None
    if not isinstance(table, dict):
        raise DataError(f"{path}: expected an object of codes, got {type(table).__name__}")
    runs: dict[Choices, tuple[Evaluation, ...]] = {}
    for tokens in every_string(SPACE.plan()):
        code = "".join(map(str, tokens))
        if code not in table:
            raise DataError(
                f"{path}: expected all {count_strings(SPACE.plan()):,} codes of {LAYERS} digits, got {len(table):,}; "
                f"{code} is missing"
            )
        accuracies = _accuracies(path, code, table[code])
        mean = sum(accuracies) / len(accuracies)
        seen = (mean,) if reward == "mean" else accuracies
        runs[SPACE.decode(tokens).choices] = tuple(Evaluation(valid=a, metrics={"test": mean}) for a in seen)
    return TabularEvaluator("nasbench-macro", SPACE, runs)


def _accuracies(path: Path, code: str, entry: object) -> tuple[float, ...]:
    values = entry.get("test_acc") if isinstance(entry, dict) else None
    if not isinstance(values, list) or not values:
        raise DataError(f"{path}: {code}: expected a list of accuracies as test_acc, got {values!r}")
    return tuple(fraction(value, f"{path}: {code}.test_acc[{run}]") for run, value in enumerate(values))
