"""Several runs on one page: what each came to, and how soon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path

from netwright.answer import row_of, verdict_in
from netwright.config import ExperimentConfig
from netwright.measure import Measure
from netwright.report.answer import answer_sentences, estimate_text
from netwright.report.charts import Axis, Chart
from netwright.report.course import Point, best_so_far
from netwright.report.html import Cell, page, table
from netwright.report.trained import final_trainings
from netwright.search.estimates import Answer, Estimate
from netwright.search.verdict import Verdict
from netwright.session import MEASURED
from netwright.store.ranking import searched
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import measure_of
from netwright.trial import State
from netwright.wording import duration

COLOURS = 8
"""Styles ``run-0``, ``run-1``, ... of the style sheet; of more runs, some share one, and the names tell them apart."""

NAMES, LETTERS = 150, 22
"""Pixels for the names of runs behind their lines, and letters that fit; the legend has the whole names."""

ANSWERS = {
    Answer.BETTER: "better",
    Answer.WORSE: "worse",
    Answer.NOT_DISTINGUISHABLE: "no clear difference",
}
"""What a table has for the answer of a run: how the found network is, beside those drawn by hand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A run among others.

    Attributes:
        name: The name of its folder, or its path where others have the same name.
        folder: The run.
        rows: Trials of its search, in the order in which they finished; those that did not are left out.
        best: The trial that it comes to; None where none is complete.
        measure: Of its validation numbers.
        verdict: Its answer; None where it has none.
    """

    name: str
    folder: RunFolder
    rows: Sequence[TrialRow]
    best: TrialRow | None
    measure: Measure
    verdict: Verdict | None

    @property
    def threads(self) -> int:
        """Threads of each worker, as far as the configuration says; else 1."""
        return max(self.folder.config.search.threads, 1)

    @property
    def processor_seconds(self) -> list[float]:
        """What had been spent on training when each of :attr:`rows` was finished."""
        return list(accumulate((row.seconds or 0.0) * self.threads for row in self.rows))

    def best_so_far(self, spent: Sequence[float]) -> list[Point]:
        """Whenever the best validation number was beaten: what was spent by then, and the number."""
        sign = -1 if self.measure.lower_is_better else 1
        known = [(x, sign * row.valid) for x, row in zip(spent, self.rows, strict=True) if row.valid is not None]
        return [(x, sign * best) for x, best in best_so_far(known)]


def comparison_page(folders: Sequence[RunFolder]) -> str:
    """The page of several runs, finished or under way, as HTML.

    Raises:
        StorageError: A run folder is damaged.
    """
    runs = [_compared(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    measures: dict[Measure, list[Compared]] = {}
    for run in runs:
        measures.setdefault(run.measure, []).append(run)
    sections = {"Did the searches find something better?": _answers(runs), "Side by side": _table(runs)}
    if joined := _over_seeds(runs):
        sections["Over seeds"] = joined
    for measure, same in measures.items():
        sections[f"Best {measure.name} so far"] = _courses(same, measure)
    head = (
        '<p class="soft">What a search is worth shows over several seeds: two runs that differ in their seed alone say '
        "how much chance there is in a difference.</p>"
    )
    return page(f"{len(runs)} runs compared", head, sections)


def _compared(folder: RunFolder, name: str) -> Compared:
    rows, verdict = folder.store.rows(), verdict_in(folder)
    finished = [row for row in searched(rows) if row.state is not State.RUNNING]
    return Compared(
        name=name,
        folder=folder,
        rows=sorted(finished, key=lambda row: (row.told is None, row.told or 0, row.id)),
        best=row_of(verdict, rows),
        measure=measure_of(folder.config, folder.task()),
        verdict=verdict,
    )


def _names(folders: Sequence[RunFolder]) -> list[str]:
    short = [Path(folder.path).absolute().name for folder in folders]
    return [name if short.count(name) == 1 else str(folder.path) for name, folder in zip(short, folders, strict=True)]


def _answers(runs: Sequence[Compared]) -> str:
    parts = []
    for run in runs:
        sentences = ["No answer: the run has none yet, or was not held against networks drawn by hand."]
        if run.verdict is not None:
            sentences = answer_sentences(run.verdict, run.measure)
        parts.append(f"<h3>{escape(run.name)}</h3><p>{escape(' '.join(sentences))}</p>")
    return "".join(parts)


def _table(runs: Sequence[Compared]) -> str:
    measures = {run.measure.on_validation for run in runs}
    head = [
        "run",
        "answer",
        f"found, {measures.pop()}" if len(measures) == 1 else "found",
        "parameters",
        "test, trained to the end",
    ]
    head += ["trials", "failed", "running time", "processor time", "recipe", "strategy", "seed"]
    rows: list[list[Cell]] = []
    for run in runs:
        config, best, spent = run.folder.config, run.best, run.processor_seconds
        rows.append(
            [
                run.name,
                "" if run.verdict is None else ANSWERS[run.verdict.answer],
                _found(run),
                None if best is None else best.metrics.get("parameters"),
                "; ".join(training.tested for training in final_trainings(run.folder)),
                sum(row.state is State.COMPLETE for row in run.rows),
                sum(row.state is State.FAILED for row in run.rows),
                duration(sum(run.folder.store.sessions())),
                duration(spent[-1]) if spent else "",
                *(config.name, config.strategy.name, str(config.search.seed)),
            ]
        )
    common = [place for place in (head.index("recipe"), head.index("strategy")) if len({r[place] for r in rows}) == 1]
    filled = [
        place for place in range(len(head)) if place not in common and any(row[place] not in ("", None) for row in rows)
    ]
    said = "; ".join(f"{head[place]} {rows[0][place]}" for place in common)
    shown = table([head[place] for place in filled], [[row[place] for place in filled] for row in rows], sortable=True)
    return f"<p>All have {escape(said)}.</p>{shown}" if said else shown


def _found(run: Compared) -> Cell:
    """The validation number of what a run found: the mean of the verdict's trainings or, without one, the trial's."""
    if run.verdict is not None:
        return estimate_text(run.verdict.found.valid)
    return None if run.best is None else run.best.valid


def _over_seeds(runs: Sequence[Compared]) -> str:
    """What runs come to in the mean that differ in their seed alone; nothing where there are no two with an answer."""
    alike: dict[str, list[tuple[Compared, Verdict]]] = {}
    for run in runs:
        if run.verdict is not None:
            alike.setdefault(_but_for_the_seed(run.folder.config), []).append((run, run.verdict))
    groups = [group for group in alike.values() if len(group) > 1]
    rows = [_joined(group) for group in sorted(groups, key=lambda group: group[0][0].folder.config.strategy.name)]
    if not rows:
        return ""
    text = (
        "Runs that differ in nothing but the seed, and in where they were computed, are one line: the mean of what "
        "each of them came to, ± the standard error over the runs. Last, how many answers were BETTER."
    )
    head = ["recipe", "strategy", "seeds", "number", "found", "best by hand", "ahead by", "better"]
    return f"<p>{text}</p>{table(head, rows, stacked=True)}"


def _but_for_the_seed(config: ExperimentConfig) -> str:
    """All settings but those that may differ between the repetitions of a search."""
    return config.model_dump_json(exclude={"search": {"seed", "workers", "device", *MEASURED}})


def _joined(group: Sequence[tuple[Compared, Verdict]]) -> list[Cell]:
    """A line for runs that are alike."""
    config = group[0][0].folder.config
    verdicts = [verdict for _, verdict in group]
    tested = all(verdict.test_difference is not None for verdict in verdicts)
    found, drawn = (
        Estimate.of([number.mean for one in standings if (number := one.test if tested else one.valid) is not None])
        for standings in ([verdict.found for verdict in verdicts], [verdict.references[0] for verdict in verdicts])
    )
    apart = Estimate.of([(verdict.deciding if tested else verdict.difference).mean for verdict in verdicts])
    better = sum(verdict.answer is Answer.BETTER for verdict in verdicts)
    return [
        *(config.name, config.strategy.name),
        ", ".join(str(seed) for seed in sorted(run.folder.config.search.seed for run, _ in group)),
        f"{'test' if tested else 'validation'} {group[0][0].measure.name}",
        *(estimate_text(found), estimate_text(drawn), estimate_text(apart)),
        f"{better}/{len(group)}",
    ]


def _courses(runs: Sequence[Compared], measure: Measure) -> str:
    """Two charts of runs that are measured alike: by trials, and by what the trials took."""
    by_trial = {run.name: run.best_so_far(range(1, len(run.rows) + 1)) for run in runs}
    by_time = {run.name: run.best_so_far(run.processor_seconds) for run in runs}
    ends = {run.name: float(len(run.rows)) for run in runs}
    ends_of_time = {run.name: run.processor_seconds[-1] if run.rows else 0.0 for run in runs}
    if not any(by_trial.values()):
        return "<p>No trial is complete yet.</p>"
    text = (
        "By trials: how well a strategy chooses. By processor seconds (what trials took, times the threads of a "
        "worker): what it costs to get there. Trainings of networks drawn by hand, and for the answer, are left out."
    )
    return (
        f"<p>{text}</p>{_chart('trials of the search', by_trial, ends, measure)}"
        f"{_chart('processor seconds', by_time, ends_of_time, measure)}"
    )


def _chart(label: str, courses: Mapping[str, Sequence[Point]], ends: Mapping[str, float], measure: Measure) -> str:
    values = [y for points in courses.values() for _, y in points]
    chart = Chart(
        Axis(label, [0.0, *ends.values()], zero=True, whole=True),
        Axis(f"best {measure.on_validation} so far", values),
        height=300,
        right=NAMES,
    )
    names = []
    for place, (name, points) in enumerate(courses.items()):
        if points:
            style = f"run-{place % COLOURS}"
            chart.steps(points, ends[name], style, name)
            shown = name if len(name) <= LETTERS else f"…{name[1 - LETTERS :]}"
            names.append((ends[name], points[-1][1], shown, style))
    chart.ends(names)
    return chart.svg(f"best so far by {label}")
