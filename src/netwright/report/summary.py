"""What a run came to, in plain text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from netwright.answer import reference_names, row_of, verdict_in
from netwright.errors import command
from netwright.measure import Measure
from netwright.report.answer import answer_json, answer_text
from netwright.report.columns import aligned, columns
from netwright.spaces.architecture import ChoiceArchitecture, parse_architecture
from netwright.spaces.diagram import draw
from netwright.store.ranking import best_first, searched
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of
from netwright.trial import Phase

PURPOSES = {Phase.REFERENCE: "reference", Phase.SEARCH: "search", Phase.FINAL: "for the answer"}
"""What a table calls a trial of each phase."""


def trial_table(rows: Sequence[TrialRow], measure: Measure, references: Mapping[str, str] | None = None) -> str:
    """A line per trial; the column of the validation number is called what it measures.

    Args:
        rows: The trials.
        measure: Of their validation numbers.
        references: Names of networks drawn by hand, by digest. With them, and where not all trials are of the search, a
            column says what each was for, or which of those networks it trained.
    """
    wide = max(8, len(measure.name))
    purposes = [(references or {}).get(row.digest, PURPOSES[row.phase]) for row in rows]
    several = references is not None or len({row.phase for row in rows}) > 1
    room = max(map(len, [*purposes, "what for"]))
    rewards = aligned([row.reward for row in rows])
    what = f"{'what for':{room}}  " if several else ""
    head = f"{'state':8}  {'reward':>8}  {measure.name:>{wide}}  {'parameters':>11}  {'seconds':>8}"
    lines = [f"{'trial':>6}  {what}{head}"]
    for row, purpose, reward in zip(rows, purposes, rewards, strict=True):
        what = f"{purpose:{room}}  " if several else ""
        valid = "" if row.valid is None else f"{row.valid:.4f}"
        parameters = f"{row.metrics['parameters']:,.0f}" if "parameters" in row.metrics else ""
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        remark = "" if row.error is None else f"{row.failure}: {last_line(row.error)}"
        numbers = f"{reward:>8}  {valid:>{wide}}  {parameters:>11}  {seconds:>8}  {remark}"
        lines.append(f"{row.id:>6}  {what}{row.state:8}  {numbers}".rstrip())
    return "\n".join(lines)


def trials_text(folder: RunFolder, top: int | None = None, width: int | None = None) -> str:
    """The table of a run's trials, best first; of a tuning, with the settings that each tried.

    Args:
        folder: The run.
        top: Only so many.
        width: Columns of the terminal; None for a pipe.
    """
    if folder.config.tuning is not None:
        return tuning_table(folder, top, width)
    rows = best_first(folder.store.rows())
    names = reference_names(folder.task())
    others = any(row.phase is not Phase.SEARCH for row in rows)
    return trial_table(rows[:top], measure_of(folder.config, folder.task()), names if others else None)


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


def tuning_table(folder: RunFolder, top: int | None = None, width: int | None = None) -> str:
    """A line per setting that a tuning tried, the best first, and where to go from here.

    Args:
        folder: The tuning.
        top: Only so many.
        width: Columns of the terminal; None for a pipe.
    """
    rows = best_first(folder.store.rows())[:top]
    found = [parse_architecture(row.architecture, f"trial {row.id}") for row in rows]
    choices = [dict(choice.choices) if isinstance(choice, ChoiceArchitecture) else {} for choice in found]
    settings = list(choices[0]) if choices else []
    measure = measure_of(folder.config, folder.task())
    cells = [["trial", *(name.replace("_", " ") for name in settings), measure.name, "seconds"]]
    for row, choice in zip(rows, choices, strict=True):
        valid = row.state.value if row.valid is None else f"{row.valid:.4f}"
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        cells.append([str(row.id), *(str(choice.get(name, "")) for name in settings), valid, seconds])
    train = f"To train the best to the end: {command('train', folder.path)}"
    return "\n".join([*columns(cells, width=width), "", train])


def run_summary(folder: RunFolder) -> dict[str, Any]:
    """A run as one JSON object: how many trials of each state, the best one, failures, seconds."""
    rows = searched(folder.store.rows())
    measure, verdict = measure_of(folder.config, folder.task()), verdict_in(folder)
    best = row_of(verdict, rows)
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
        "verdict": answer_json(verdict, measure),
        "seconds": folder.seconds(),
    }


def run_summary_text(folder: RunFolder, width: int | None = None) -> str:
    """What a person reads when a search has ended: the best five, the best one drawn, and where to go from here.

    Args:
        folder: The run.
        width: Columns of the terminal; None for a pipe.
    """
    rows = searched(folder.store.rows())
    measure, verdict = measure_of(folder.config, folder.task()), verdict_in(folder)
    best = row_of(verdict, rows)
    paragraphs = ["The best five of the search:\n" + trial_table(best_first(rows)[:5], measure)]
    if best is not None:
        drawing = draw(parse_architecture(best.architecture), folder.task(), merge_sums=folder.config.merges_sums)
        how = "" if verdict is None else " when trained again from fresh seeds"
        paragraphs.append(f"The best one{how}, trial {best.id}:\n{drawing}")
    if means := quarter_means(rows):
        paragraphs.append(
            f"Mean reward: {means[0]:.3g} over the first quarter of trials, {means[1]:.3g} over the last."
        )
    if verdict is not None:
        paragraphs.append(answer_text(verdict, measure, width))
    paragraphs.append(f"Run folder: {folder.path}  ({command('trials', folder.path)}, {command('show', folder.path)})")
    return "\n\n".join(paragraphs)
