"""What a run came to, in plain text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from netwright.answer import best_row, measure_of, verdict_in
from netwright.errors import command
from netwright.measure import Measure
from netwright.report.answer import answer_json, answer_text
from netwright.spaces.architecture import parse_architecture
from netwright.spaces.diagram import draw
from netwright.store.ranking import best_first, searched
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder


def trial_table(rows: Sequence[TrialRow], measure: Measure) -> str:
    """A line per trial; the column of the validation number is called what it measures."""
    wide = max(8, len(measure.name))
    lines = [f"{'trial':>6}  {'state':8}  {'reward':>8}  {measure.name:>{wide}}  {'parameters':>11}  {'seconds':>8}  "]
    for row in rows:
        valid = "" if row.valid is None else f"{row.valid:.4f}"
        reward = "" if row.reward is None else f"{row.reward:.4g}"
        parameters = f"{row.metrics['parameters']:,.0f}" if "parameters" in row.metrics else ""
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        remark = "" if row.error is None else f"{row.failure}: {last_line(row.error)}"
        lines.append(
            f"{row.id:>6}  {row.state:8}  {reward:>8}  {valid:>{wide}}  {parameters:>11}  {seconds:>8}  {remark}"
        )
    return "\n".join(line.rstrip() for line in lines)


def last_line(text: str) -> str:
    """The last line of an error, which is the one that says what happened."""
    return text.strip().splitlines()[-1] if text.strip() else ""


def failures_by_kind(rows: Sequence[TrialRow]) -> dict[str, int]:
    """How many trials failed, for each kind that occurred."""
    return dict(Counter(row.failure for row in rows if row.failure is not None))


def quarter_means(rows: Sequence[TrialRow]) -> tuple[float, float] | None:
    """Mean reward of the first and of the last quarter of trials, by number; None for fewer than eight."""
    rewards = [row.reward for row in rows if row.reward is not None]
    quarter = len(rewards) // 4
    if quarter < 2:
        return None
    return sum(rewards[:quarter]) / quarter, sum(rewards[-quarter:]) / quarter


def tuning_table(folder: RunFolder) -> str:
    """A line per setting that a tuning tried, the best first, and where to go from here."""
    rows = best_first(folder.store.rows())
    choices = [dict(json.loads(row.architecture)["choices"]) for row in rows]
    names = list(choices[0]) if choices else []
    widths = [max(len(name), *(len(str(choice[name])) for choice in choices)) for name in names]
    head = "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    measure = measure_of(folder.config, folder.task())
    wide = max(8, len(measure.name))
    lines = [f"{'trial':>6}  {head}  {measure.name:>{wide}}  {'seconds':>8}"]
    for row, choice in zip(rows, choices, strict=True):
        values = "  ".join(f"{choice[name]:>{width}}" for name, width in zip(names, widths, strict=True))
        valid = row.state.value if row.valid is None else f"{row.valid:.4f}"
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        lines.append(f"{row.id:>6}  {values}  {valid:>{wide}}  {seconds:>8}".rstrip())
    return "\n".join([*lines, "", f"To train the best to the end: {command('train', folder.path)}"])


def run_summary(folder: RunFolder) -> dict[str, Any]:
    """A run as one JSON object: how many trials of each state, the best one, failures, seconds."""
    rows = searched(folder.store.rows())
    best = best_row(folder, rows)
    measure = measure_of(folder.config, folder.task())
    return {
        "run": str(folder.path),
        "recipe": folder.config.name,
        "seed": folder.config.search.seed,
        "measure": measure.to_json(),
        "trials": len(rows),
        "states": dict(Counter(row.state.value for row in rows)),
        "failures": failures_by_kind(rows),
        "best": None
        if best is None
        else {
            "id": best.id,
            "reward": best.reward,
            "metrics": best.measured,
            "tokens": best.tokens,
            "architecture": json.loads(best.architecture),
        },
        "quarter_means": quarter_means(rows),
        "verdict": answer_json(verdict_in(folder), measure),
        "seconds": folder.seconds(),
    }


def run_summary_text(folder: RunFolder) -> str:
    """What a person reads when a search has ended: the best five, the best one drawn, and where to go from here."""
    rows = searched(folder.store.rows())
    best = best_row(folder, rows)
    measure = measure_of(folder.config, folder.task())
    paragraphs = ["The best five of the search:\n" + trial_table(best_first(rows)[:5], measure)]
    if best is not None:
        drawing = draw(parse_architecture(best.architecture), folder.task())
        paragraphs.append(f"The best one, trial {best.id}:\n{drawing}")
    if means := quarter_means(rows):
        paragraphs.append(
            f"Mean reward: {means[0]:.3g} over the first quarter of trials, {means[1]:.3g} over the last."
        )
    if verdict := verdict_in(folder):
        paragraphs.append(answer_text(verdict, measure))
    paragraphs.append(f"Run folder: {folder.path}  ({command('trials', folder.path)}, {command('show', folder.path)})")
    return "\n\n".join(paragraphs)
