"""What trainings to the end came to: the test result, how each class does, and what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from netwright.errors import StorageError
from netwright.measure import Measure
from netwright.networks.lead import Lead
from netwright.networks.results import read_training_result, standard_error
from netwright.report.charts import Axis, Chart, number
from netwright.report.classes import beside, class_results, confusion, taken_for
from netwright.report.html import Cell, table
from netwright.report.lead import lead_sentence
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import CHANGED, read_task
from netwright.tasks import measure_of

MOST_CLASSES = 20
"""Classes up to which the whole confusion matrix is shown; of more, the table of classes says the most of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalTraining:
    """A finished training of ``netwright train`` in a run folder.

    Attributes:
        trial: Whose network it is.
        task: What it reads and writes.
        result: As in ``result.json``.
        measure: Of its numbers.
    """

    trial: int
    task: Mapping[str, Any]
    result: Mapping[str, Any]
    measure: Measure

    @property
    def tested(self) -> str:
        """The test result in words."""
        mean, error, seeds = self.result["test_mean"], standard_error(self.result), len(self.result["seeds"])
        if mean is None:
            return "not tested: the data has no test part"
        several = "" if error is None else f" ± {number(error)} (standard error of {seeds} seeds)"
        return f"{self.measure.name} {number(mean)}{several} on the test part{beside(self.measure, self.result)}"


def final_trainings(folder: RunFolder) -> list[FinalTraining]:
    """The finished trainings of a run's trials, by the number of the trial; those that cannot be read are left out."""
    found = []
    for path in sorted(
        (folder.path / "trials").glob("*/training/result.json"), key=lambda path: path.parts[-3].zfill(9)
    ):
        try:
            result = read_training_result(path.parent)
            task = read_task(path.parent, folder.config)
            measure = measure_of(folder.config, task)
            training = FinalTraining(trial=int(path.parts[-3]), task=task, result=result, measure=measure)
            _section(training)  # whoever wrote the folder is not trusted
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, StorageError):
            continue
        found.append(training)
    return found


def trained_section(trainings: Sequence[FinalTraining], lead: Lead | None = None) -> str:
    """All trainings in HTML, and the lead of the found network where it is known."""
    text = f"Trained on all data of the training part, and tested once. {_worth(trainings)}"
    said = "" if lead is None else f"<p><strong>{escape(lead_sentence(lead))}</strong></p>"
    return f"<p>{text}</p>{said}{''.join(map(_section, trainings))}"


def _worth(trainings: Sequence[FinalTraining]) -> str:
    """What the test results tell of new data."""
    changed = [str(training.trial) for training in trainings if training.task.get(CHANGED)]
    if not changed:
        return "The test part had no say in the search, so this is what to expect of new data."
    which = "" if len(changed) == len(trainings) else f" of trial {', '.join(changed)}"
    return (
        f"The data had changed between the search and the training{which}, so what the search learned from and chose "
        "by may be in the test part: of new data expect less."
    )


def _section(training: FinalTraining) -> str:
    classes: Sequence[str] = [str(name) for name in training.task.get("classes", ())]
    parts = [f"<h3>trial {training.trial}: {escape(training.tested)}</h3>", _curves(training)]
    if results := class_results(classes, training.result):
        rows: list[list[Cell]] = [
            [found.name, found.images, f"{found.right:.1%}", taken_for(found)] for found in results
        ]
        parts.append(table(["class", "images", "right", "most often taken for"], rows, sortable=True))
    counts = confusion(training.result)
    if counts is not None and len(classes) <= MOST_CLASSES:
        parts.append(_matrix(classes, counts.tolist()))
    return "".join(parts)


def _curves(training: FinalTraining) -> str:
    """The validation number after each epoch, a line per seed."""
    curves = [[float(value) for value in seed["curve"]] for seed in training.result["seeds"]]
    curves = [curve for curve in curves if len(curve) > 1]
    if not curves:
        return ""
    chart = Chart(
        Axis("epoch", [1, max(map(len, curves))], whole=True),
        Axis(training.measure.on_validation, [value for curve in curves for value in curve]),
        width=430,
        height=210,
    )
    for curve in curves:
        chart.line([(float(epoch), value) for epoch, value in enumerate(curve, 1)], "average")
    return chart.svg("the training to the end")


def _matrix(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """The confusion matrix: a row per class, the darker the larger the share of its images."""
    head = "".join(f"<th><span>{escape(name)}</span></th>" for name in classes)
    lines = []
    for name, row in zip(classes, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(f'<td style="--share:{count / total:.2f}">{count or ""}</td>' for count in row)
        lines.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    return (
        "<p>Images of each class (rows) by what they were taken for (columns).</p>"
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
