"""The report: a run as one HTML page that needs nothing but itself, and can be made while the search is running.

Names and error texts come from outside, so everything is escaped where it enters the page, and the page forbids itself
requests, and all scripts but its own, which sorts tables. However many trials there are, the page stays small: beyond
some hundreds they are drawn in bins.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from typing import Any, NamedTuple

import tomli_w

from netwright.answer import reference_names, row_of, verdict_in
from netwright.bounded import read_json_object
from netwright.config import ExperimentConfig
from netwright.errors import NetwrightError
from netwright.measure import Measure
from netwright.networks.finding import trial_network
from netwright.networks.lead import Lead, lead_of
from netwright.networks.tuning import candidates_of, tuning_space
from netwright.report import course
from netwright.report.answer import answer_note, answer_rows, answer_sentences
from netwright.report.charts import Axis, Chart, heat_map, number
from netwright.report.front import NAMES, front_sections
from netwright.report.html import Cell, definitions, page, table, tiles
from netwright.report.learning import learning_curves
from netwright.report.summary import PURPOSES, last_line, quarter_means
from netwright.report.trained import FinalTraining, final_trainings, trained_section
from netwright.search.estimates import Answer
from netwright.search.verdict import Verdict
from netwright.spaces.architecture import parse_architecture
from netwright.spaces.diagram import draw
from netwright.spaces.grammar import Plan, count_strings
from netwright.spaces.svg import architecture_svg, has_drawing
from netwright.store.ranking import best_distinct, best_first, searched
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.tasks import KINDS, measure_of
from netwright.trial import State, Update
from netwright.wording import counted, duration

MOST_POINTS = 600
"""Trials that are drawn one by one; more of them are drawn in bins."""

PERIODS, PERIOD = 20, 8
"""Most columns of a heat map, and the fewest trials of a column: a share of fewer says little."""

MOST_DECISIONS = 160
"""Decisions that are shown; the paper's largest space has 120."""

MOST_TEXTS = 4
"""Distinct error texts that are shown for each kind of failure."""

LONGEST_TEXT = 3000
"""Characters of an error text."""

BEST = 3
"""Architectures that are drawn."""

MOST_ROWS = 500
"""Trials in the table of all of them."""


class Facts(NamedTuple):
    """What the sections read: one look at the run, so that they agree on a search that is running.

    Attributes:
        folder: The run.
        task: What the children read and write.
        every: All trials by number, those of references and for the answer included.
        rows: The trials of the search by number.
        complete: Those of them with an evaluation.
        updates: The controller's.
        measure: Of ``valid``.
        trainings: To the end, finished ones.
        verdict: What the answer says; None where there is none.
    """

    folder: RunFolder
    task: dict[str, Any]
    every: list[TrialRow]
    rows: list[TrialRow]
    complete: list[TrialRow]
    updates: list[Update]
    measure: Measure
    trainings: list[FinalTraining]
    verdict: Verdict | None

    @property
    def best(self) -> TrialRow | None:
        """The trial that the run comes to."""
        return row_of(self.verdict, self.every)

    @property
    def valid(self) -> str:
        """What a person calls ``valid``."""
        return self.measure.on_validation

    @property
    def references(self) -> dict[str, str]:
        """The names of the networks drawn by hand, by digest."""
        return reference_names(self.task)

    @property
    def trains(self) -> bool:
        """Whether children are trained as the configuration says, rather than judged by an evaluator from Python."""
        return bool(self.task)


def report_page(folder: RunFolder) -> str:
    """The report of a run, finished or under way, as HTML.

    Raises:
        StorageError: The run folder is damaged.
    """
    every = folder.store.rows()
    rows = searched(every)
    facts = Facts(
        folder=folder,
        task=folder.task(),
        every=every,
        rows=rows,
        complete=[row for row in rows if row.state is State.COMPLETE and row.valid is not None],
        updates=[update for update, _ in folder.store.updates()],
        measure=measure_of(folder.config, folder.task()),
        trainings=final_trainings(folder),
        verdict=verdict_in(folder),
    )
    sections = {
        "Trained to the end": trained_section(facts.trainings, _lead(folder)) if facts.trainings else "",
        "What was searched, and how": _setup(facts),
        "What it learns from": _samples(folder.samples()),
        "Reward over trials": _rewards(facts),
        "Learning curves": learning_curves(every, facts.references, facts.measure),
        "The controller": _controller(facts),
        "What came to be preferred": _preferences(facts),
        "The best": _best(facts),
        "What it costs": front_sections(folder, facts.measure, facts.verdict),
        "All trials": _trials(facts),
        "Failures": _failures(facts),
        "Time and workers": _time(facts),
        "Configuration": _configuration(facts),
    }
    title = f"{folder.config.name}: {'a tuning' if folder.config.tuning else 'an architecture search'}"
    filled = {name: content for name, content in sections.items() if content}
    return page(title, answer_section(facts.verdict, facts.measure) + _head(facts), filled)


def _lead(folder: RunFolder) -> Lead | None:
    """The lead of the found network; whoever wrote the folder is not trusted."""
    with suppress(NetwrightError, OSError, ValueError, TypeError, KeyError, IndexError):
        return lead_of(folder)
    return None


def answer_section(verdict: Verdict | None, measure: Measure) -> str:
    """The verdict first, in words and as a table; nothing for a run without one."""
    if verdict is None:
        return ""
    first, *sentences = answer_sentences(verdict, measure)
    head, *rows = answer_rows(verdict, measure)
    kind = {Answer.BETTER: "better", Answer.WORSE: "worse", Answer.NOT_DISTINGUISHABLE: "level"}[verdict.answer]
    return (
        f'<section class="answer {kind}"><h2>{escape(first)}</h2><p>{escape(" ".join(sentences))}</p>'
        f'{table(head, rows, stacked=True)}<p class="soft">{escape(answer_note(verdict))}</p></section>'
    )


def _head(facts: Facts) -> str:
    """How far the run is, and its most important numbers."""
    total, asked = facts.folder.config.search.trials, len(facts.rows)
    failed = sum(row.state is State.FAILED for row in facts.rows)
    running = sum(row.state is State.RUNNING for row in facts.rows)
    entries = []
    for training in facts.trainings[:1]:
        if (mean := training.result["test_mean"]) is not None:
            entries.append((number(mean), f"test {training.measure.name}, trial {training.trial} trained to the end"))
    best, verdict = facts.best, facts.verdict
    if best is not None:
        valid, what = best.valid or 0.0, f"best {facts.valid}"
        if verdict is not None:
            valid, what = verdict.found.valid.mean, f"{facts.valid} of the found network"
        entries.append((f"{valid:.4g}", f"{what}, trial {best.id}"))
        if "parameters" in best.metrics:
            entries.append((number(best.metrics["parameters"]), "parameters of it"))
    under_way = f", {running} not finished" if running else ""
    tried = f"trials complete, of {total:,} at most; {failed:,} failed{under_way}"
    entries.append((f"{len(facts.complete):,}", tried))
    if means := quarter_means(facts.rows):
        entries.append((f"{means[0]:.3g} → {means[1]:.3g}", "mean reward, first and last quarter"))
    entries.append((duration(sum(facts.folder.store.sessions())), "running time"))
    finished = not running and (asked >= total or verdict is not None)  # --hours may end it before
    state = "finished" if finished else "unfinished: under way, or stopped"
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f'<p class="soft">{escape(str(facts.folder.path))} · {state} · as of {made}</p>{tiles(entries)}'


def _setup(facts: Facts) -> str:
    """Recipe, data, space, strategy, training, budget, machine and versions."""
    config, task, machine = facts.folder.config, facts.task, _environment(facts.folder)
    plan = _plan(facts)
    space = f"{len(plan)} decisions, {_power(count_strings(plan))} strings" if plan else "no trial yet"
    kind = getattr(config.space, "kind", "a tuning's grid" if config.tuning else "from Python")
    trials = counted(config.search.trials, "trial")
    hours = "" if config.search.hours is None else f", {duration(config.search.hours * 3600)}"
    versions = machine.get("versions")  # whoever wrote the file is not trusted
    packages = versions.items() if isinstance(versions, dict) else ()
    options = ", ".join(f"{name} {value}" for name, value in config.strategy.options.items())
    entries = {
        "recipe": config.name,
        "data": f"{config.data.source}: {_task_text(config, task)}",
        "search space": f"{kind}: {space}",
        "strategy": config.strategy.name + (f" ({options})" if options else ""),
        "training": _training(facts),
        "budget": f"{trials}{hours}, at most {duration(config.search.child_seconds)} a child",
        "seed": str(config.search.seed),
        "versions": ", ".join(f"{name} {value}" for name, value in packages),
        "commit": machine.get("commit"),
        "machine": ", ".join(
            str(machine[key]) + (" cores" if key == "cores" else "")
            for key in ("host", "processor", "cores", "platform")
            if machine.get(key)
        ),
    }
    return definitions(entries)


def _environment(folder: RunFolder) -> dict[str, Any]:
    """Where the run was made; nothing where that is not known any more."""
    try:
        return read_json_object(folder.path / "environment.json")
    except (OSError, ValueError):
        return {}


def _training(facts: Facts) -> str:
    """How a child was trained, in the settings that every kind has or might have; of a tuning, what it tried."""
    config = facts.folder.config
    if not facts.trains:
        return "none here: an evaluator from Python says what a network is worth"
    child = config.child.model_dump()
    said = {"batch_size": "batches of {}", "learning_rate": "learning rate {:g}"}
    tried = {} if config.tuning is None else dict(config.tuning.grid)
    fixed = [] if "epochs" in tried or "epochs" not in child else [counted(child["epochs"], "epoch")]
    fixed += [text.format(child[name]) for name, text in said.items() if name in child and name not in tried]
    grid = [f"{_spaced(name)} {' or '.join(json.dumps(value) for value in values)}" for name, values in tried.items()]
    return ", ".join(fixed) + (f"; tried: {'; '.join(grid)}" if grid else "")


def _configuration(facts: Facts) -> str:
    """The configuration; without what it says of training where nothing was trained by it."""
    config = facts.folder.config
    unused = set() if facts.trains else {"child", "data"}
    told = config.model_dump(mode="json", exclude_none=True, exclude=unused)
    note = "" if facts.trains else "<p>Left out: [data] and [child], which an evaluator from Python does not read.</p>"
    return f"{note}<pre>{escape(tomli_w.dumps(told))}</pre>"


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    """A few pictures of each class, or the first words of a text."""
    figures = []
    for sample in samples:
        found = sample.get("pictures")
        pictures = "".join(
            f'<img src="data:image/png;base64,{escape(str(picture))}" alt="">'
            for picture in (found if isinstance(found, list) else ())
        )
        words = f"<pre>{escape(str(sample['text']))}</pre>" if sample.get("text") else ""
        figures.append(
            f"<figure><figcaption>{escape(str(sample.get('label', '')))}</figcaption>{pictures}{words}</figure>"
        )
    return f'<div class="samples">{"".join(figures)}</div>' if figures else ""


def _task_text(config: ExperimentConfig, task: dict[str, Any]) -> str:
    if not task:
        return "the evaluator's own"
    return KINDS[config.data.kind].in_words(task) if config.data.kind in KINDS else "handed over from Python"


def _power(count: int) -> str:
    """A possibly huge number."""
    return f"{count:,}" if count < 10**6 else f"about 10^{len(str(count)) - 1}"


def _rewards(facts: Facts) -> str:
    """Every trial's reward, their moving average, and the best so far."""
    points = [(float(row.id), row.reward) for row in facts.rows if row.reward is not None]
    if not points:
        return "<p>No trial has a reward yet.</p>"
    chart = Chart(Axis("trial", [x for x, _ in points], whole=True), Axis("reward", [y for _, y in points]))
    if len(points) <= MOST_POINTS:
        failed = [(float(r.id), r.reward) for r in facts.rows if r.state is State.FAILED and r.reward is not None]
        complete = [(float(r.id), r.reward or 0.0) for r in facts.complete]
        chart.points(failed, "failed", "failed" if failed else "", [f"trial {x:.0f} failed" for x, _ in failed])
        titles = [f"trial {r.id}: {facts.valid} {r.valid:.4g}, reward {r.reward:.4g}" for r in facts.complete]
        chart.points(complete, "trial", "a trial", titles)
    else:
        bins = course.binned(points, MOST_POINTS // 5)
        spread = "the middle 80 % of trials"
        chart.band([(b.x, b.low) for b in bins], [(b.x, b.high) for b in bins], "spread", spread)
    window = max(len(points) // 16, 8)
    averages = course.moving_average(points, window)
    chart.line([(b.x, b.mean) for b in course.binned(averages, MOST_POINTS)], "average", f"mean of the last {window}")
    records = course.best_so_far([(float(row.id), row.reward or 0.0) for row in facts.complete])
    chart.steps(records, points[-1][0], "best", "best so far")
    return chart.svg("reward over trials")


def _controller(facts: Facts) -> str:
    """Entropy, gradient norm, and reward against baseline, per update."""
    if not facts.updates:
        return "<p>No update of a controller: the strategy has none, or its first batch is not complete.</p>"

    def chart(label: str, *lines: tuple[str, str, Sequence[float]], zero: bool = False) -> str:
        x = Axis("update", [update.number for update in facts.updates], whole=True)
        y = Axis(label, [value for _, _, values in lines for value in values], zero=zero)
        picture = Chart(x, y, width=430, height=210)
        for style, name, values in lines:
            numbered = [(float(update.number), value) for update, value in zip(facts.updates, values, strict=True)]
            points = [(b.x, b.mean) for b in course.binned(numbered, MOST_POINTS // 2)]
            if len(points) == 1:
                picture.points(points, style, name)
            else:
                picture.line(points, style, name)
        return f"<div>{picture.svg(label)}</div>"

    updates = facts.updates
    charts = [
        chart("entropy of a string, nats", ("average", "", [u.entropy for u in updates])),
        chart("norm of the gradient", ("average", "", [u.gradient_norm for u in updates]), zero=True),
        chart(
            "reward",
            ("average", "mean of the batch", [u.reward for u in updates]),
            ("baseline", "baseline", [u.baseline for u in updates]),
        ),
    ]
    text = (
        f"{counted(len(updates), 'update')}. A rising reward with a slowly falling entropy is learning; an entropy "
        "that falls to nothing within a few updates is a controller that has settled too early."
    )
    return f'<p>{text}</p><div class="pair">{"".join(charts)}</div>'


def _plan(facts: Facts) -> Plan:
    """The decisions of the searched space, as far as they are known."""
    config = facts.folder.config
    if config.tuning is not None:
        return tuning_space(config.tuning, tuple(candidates_of(facts.task))).plan()
    return course.observed_plan(facts.rows) if config.space is None else config.space.plan()


def _preferences(facts: Facts) -> str:
    """A heat map for every decision, those of one kind side by side."""
    plan, strings = _plan(facts), [row.tokens for row in facts.rows]
    if not strings:
        return "<p>No decision has been taken yet.</p>"
    periods = min(max(len(strings) // PERIOD, 1), PERIODS)
    kinds: dict[str, list[str]] = {}
    for preference in course.preferences(plan[:MOST_DECISIONS], strings, periods):
        maps = kinds.setdefault(preference.kind, [])
        several = sum(decision.kind == preference.kind for decision in plan) > 1
        name = f"{len(maps)}" if several else _spaced(preference.kind)
        taken = any(share is not None for shares in preference.shares for share in shares)
        picture = heat_map(preference.labels, preference.shares, f"{preference.kind} {name}") if taken else ""
        now = f": <b>{escape(course.favourite(preference))}</b>"
        maps.append(f"<figure><figcaption>{escape(name)}{now}</figcaption>{picture}</figure>" if taken else "")
    repeated = {_spaced(kind): maps for kind, maps in kinds.items() if len(maps) > 1}
    single = [figure for maps in kinds.values() if len(maps) == 1 for figure in maps]
    groups = repeated | ({"taken once": single} if single else {})
    rows = (f'<h3>{escape(name)}</h3><div class="maps">{"".join(maps)}</div>' for name, maps in groups.items())
    more = f" Left out: the last {len(plan) - MOST_DECISIONS} decisions." if len(plan) > MOST_DECISIONS else ""
    text = (
        "One map per decision, numbered in the order of layers or nodes. A row per option, or per earlier layer that "
        "an anchor may choose; time from left to right. The darker, the more often it was chosen. In bold: what is "
        f"preferred at the end.{more}"
    )
    return f"<p>{text}</p>{''.join(rows)}"


def _spaced(kind: str) -> str:
    return kind.replace("_", " ")


def _best(facts: Facts) -> str:
    """A table of the best distinct architectures, and their drawings."""
    best = best_distinct(facts.rows, 10)
    if not best:
        return "<p>No trial is complete yet.</p>"
    shown = facts.best
    chosen = [] if shown is None or shown in best[:BEST] else [shown]
    drawings = "".join(_drawing(facts.folder, row) for row in [*chosen, *best[:BEST]])
    text = "The ten best distinct architectures by their rewards."
    if facts.verdict is not None and shown is not None:
        text += f" The answer above is about trial {shown.id}, which did best when it was trained again."
    return f'<p>{text}</p>{_table_of(facts, best)}<div class="drawings">{drawings}</div>'


def _table_of(facts: Facts, rows: Sequence[TrialRow], *, sortable: bool = False) -> str:
    """Trials with what was measured of them; a column for what they were for where that differs."""
    measured = sorted({name for row in rows for name in row.metrics})
    phases = len({row.phase for row in rows}) > 1
    head = [
        "trial",
        *["what for"] * phases,
        facts.valid,
        "reward",
        *(NAMES.get(name, _spaced(name)) for name in measured),
        "seconds",
    ]
    failed = any(row.failure is not None for row in rows)
    lines: list[list[Cell]] = []
    for row in rows:
        what: list[Cell] = [facts.references.get(row.digest, _spaced(PURPOSES[row.phase]))] if phases else []
        values = [row.valid, row.reward, *(row.metrics.get(name) for name in measured), row.seconds]
        lines.append([str(row.id), *what, *values, *[row.failure and _spaced(row.failure)] * failed])
    return table([*head, *["failure"] * failed], lines, sortable=sortable)


def _trials(facts: Facts) -> str:
    """The trials as a table that a reader can sort."""
    rows = [row for row in best_first(facts.every) if row.state is not State.RUNNING]
    if not rows:
        return "<p>No trial has finished yet.</p>"
    fewer = f" The best {MOST_ROWS} of {len(rows):,}; all: netwright trials." if len(rows) > MOST_ROWS else ""
    opened = f"<details><summary>{counted(min(len(rows), MOST_ROWS), 'trial')}</summary>"
    text = f"Best first; a click on the name of a column sorts by it.{fewer}"
    return f"<p>{text}</p>{opened}{_table_of(facts, rows[:MOST_ROWS], sortable=True)}</details>"


def _drawing(folder: RunFolder, row: TrialRow) -> str:
    """An architecture as a picture, or as text where it has none."""
    try:
        if folder.config.tuning is not None:
            picture = f"<pre>{escape(draw(parse_architecture(row.architecture), {}))}</pre>"
        else:
            architecture, task = (network := trial_network(folder, row)).architecture, network.task
            if has_drawing(architecture):
                data = base64.b64encode(architecture_svg(architecture).encode()).decode()
                picture = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(architecture.canonical_json())}">'
            else:
                drawing = draw(architecture, task, merge_sums=network.merges_sums)
                picture = f"<pre>{escape(drawing)}</pre>"
    except NetwrightError as error:
        picture = f"<pre>{escape(str(error))}</pre>"
    return f"<figure><figcaption>trial {row.id}, {number(row.valid or 0.0)}</figcaption>{picture}</figure>"


def _failures(facts: Facts) -> str:
    """How often each kind occurred, and what was said."""
    failed: dict[str, list[TrialRow]] = {}
    for row in facts.rows:
        if row.failure is not None:
            failed.setdefault(row.failure, []).append(row)
    if not failed:
        return "<p>No trial failed.</p>"
    parts = []
    for kind, rows in sorted(failed.items(), key=lambda item: -len(item[1])):
        texts: dict[str, TrialRow] = {}
        for row in rows:
            texts.setdefault(last_line(row.error or ""), row)
        share = len(rows) / len(facts.rows)
        parts.append(f"<h3>{escape(_spaced(kind))}: {len(rows):,} ({share:.1%} of all trials)</h3>")
        for line, row in list(texts.items())[:MOST_TEXTS]:
            text = escape((row.error or "")[-LONGEST_TEXT:])
            summary = f"<summary>trial {row.id}: {escape(line[:200])}</summary>"
            parts.append(f"<details>{summary}<pre>{text}</pre></details>")
        if len(texts) > MOST_TEXTS:
            parts.append(f'<p class="soft">and {len(texts) - MOST_TEXTS:,} other texts</p>')
    return "".join(parts)


def _time(facts: Facts) -> str:
    """How long trials took, those of references and for the answer included, and how busy the workers were."""
    seconds = sorted(row.seconds for row in facts.every if row.seconds is not None)
    if not seconds:
        return "<p>No trial has finished yet.</p>"
    width = (seconds[-1] - seconds[0]) / 30 or 1.0
    edges = [seconds[0] + place * width for place in range(31)]
    heights = [0.0] * 30
    for value in seconds:
        heights[min(int((value - seconds[0]) / width), 29)] += 1
    times = Chart(Axis("seconds", edges), Axis("trials", heights, zero=True, whole=True), width=430, height=210)
    times.columns(edges, heights, "column")
    work = course.work_by_worker(facts.every)
    busy = course.busy_workers(facts.every, 60)
    load = Chart(
        Axis("hours since the start", [x for x, _ in busy], zero=True),
        Axis("busy workers", [len(work), *(y for _, y in busy)], zero=True, whole=True),
        width=430,
        height=210,
    )
    load.line(busy, "average")
    running = sum(facts.folder.store.sessions())
    use = f"{sum(w.seconds for w in work.values()) / (running * len(work)):.0%}" if running else "unknown"
    lines = [
        [str(n), f"{w.trials:,}", duration(w.seconds), f"{w.seconds / running:.0%}" if running else ""]
        for n, w in list(work.items())[:64]
    ]
    median = seconds[len(seconds) // 2]
    return (
        f"<p>Half of the trials took less than {number(median)} seconds, the longest {number(seconds[-1])}. "
        f"Workers were busy {use} of the running time.</p>"
        f'<div class="pair"><div>{times.svg("seconds per trial")}</div><div>{load.svg("busy workers")}</div></div>'
        f"{table(['worker', 'trials', 'busy', 'of the running time'], lines)}"
    )
