"""What a run folder knows of its answer: who takes part in the verdict, and what their trainings came to."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netwright.config import ExperimentConfig, VerdictSettings
from netwright.front import front, priced
from netwright.search.finals import Entrant, Field, Measured, Results, Training
from netwright.search.verdict import Verdict, verdict_of
from netwright.spaces.architecture import Architecture, parse_architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens
from netwright.spaces.references import reference_name
from netwright.store.ranking import best_distinct, best_trial, searched
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import REFERENCES
from netwright.tasks import KINDS, measure_of
from netwright.trial import TEST, FailureKind, Phase, State


def references_json(references: Mapping[str, tuple[Architecture, Tokens | None]]) -> dict[str, Any]:
    """References as ``task.json`` holds them."""
    return {
        name: {"architecture": architecture.model_dump(mode="json"), "tokens": tokens}
        for name, (architecture, tokens) in references.items()
    }


def references_in(task: Mapping[str, Any]) -> dict[str, tuple[Architecture, Tokens | None]]:
    """The inverse of :func:`references_json`; nothing where a run has none.

    Raises:
        ArchitectureError: The file was tampered with.
    """
    return {
        name: (
            parse_architecture(json.dumps(entry["architecture"]), f"task.json: {name}"),
            None if entry["tokens"] is None else tuple(entry["tokens"]),
        )
        for name, entry in task.get(REFERENCES, {}).items()
    }


def proposed(tokens: Tokens | None, config: ExperimentConfig) -> Tokens | None:
    """A string that the space can write, or None where the search never proposes one of its size."""
    if tokens is None or config.space is None:
        return tokens
    sizes = [None] if config.depth is None else config.depth.depths
    return tokens if any(len(config.space.plan(size)) == len(tokens) for size in sizes) else None


def reference_names(task: Mapping[str, Any]) -> dict[str, str]:
    """What the networks drawn by hand are called, by digest.

    Raises:
        ArchitectureError: The file was tampered with.
    """
    return {architecture.digest: name for name, (architecture, _) in references_in(task).items()}


def field_of(
    config: ExperimentConfig, settings: VerdictSettings, task: Mapping[str, Any], rows: Sequence[TrialRow]
) -> Field:
    """Who takes part in the verdict of a run.

    Where the reward has a target of a cost, the finalists are those networks of the search that no other of it beats in
    both the validation number and that cost, the best rewards first; further ones only where these are too few.

    Args:
        config: Of the run.
        settings: How many, and how often they are trained.
        task: The run's ``task.json``.
        rows: All trials of the run.
    """
    known = references_in(task)  # also those of another verdict on the same run
    drawn = {architecture.digest for architecture, _ in known.values()}
    wanted = {reference_name(given) for given in settings.references}
    references = [
        Entrant(architecture=architecture, name=name, tokens=proposed(tokens, config))
        for name, (architecture, tokens) in known.items()
        if name in wanted
    ]
    found = [entrant for entrant in best_networks(rows) if entrant.architecture.digest not in drawn]
    lower_is_better = measure_of(config, task).lower_is_better
    if (target := config.reward.target) is not None:
        # As the search left them: were the trainings of the answer to count, these would change whom they are of.
        searched_for = [network for network in priced(searched(rows), {}) if network.digest not in drawn]
        fronts = [front(searched_for, cost, lower_is_better=lower_is_better) for cost in target.costs]
        undominated = {network.digest for networks in fronts for network in networks}
        found.sort(key=lambda entrant: entrant.architecture.digest not in undominated)  # otherwise as they were
    return Field(
        found=found,
        references=references,
        settings=settings,
        lower_is_better=lower_is_better,
        by_reward=config.reward_counts_costs,
        space=space_of(config, task),
    )


def space_of(config: ExperimentConfig, task: Mapping[str, Any]) -> SearchSpace | None:
    """What a run searches, as its data and budget make it; None where it came from Python."""
    if config.space is None or not task or config.data.kind not in KINDS:  # an evaluator from Python fits no space
        return config.space
    return KINDS[config.data.kind].fit(config.space, config, task)


def best_networks(rows: Iterable[TrialRow]) -> list[Entrant]:
    """The networks that a search found, by their mean reward; of equally good ones the earlier one first."""
    rows_of: dict[str, list[TrialRow]] = {}
    for row in rows:
        if row.phase is Phase.SEARCH and row.state is State.COMPLETE:
            rows_of.setdefault(row.digest, []).append(row)
    ranked = sorted(rows_of.values(), key=lambda same: -statistics.fmean(row.reward or 0.0 for row in same))
    return [
        Entrant(
            architecture=parse_architecture(first.architecture, f"trial {first.id}"),
            trial=first.id,
            tokens=first.tokens,
        )
        for first, *_ in ranked
    ]


def results_of(rows: Iterable[TrialRow], seed: int) -> Results:
    """What the finished trainings among the trials of a run with the seed ``seed`` came to."""
    finished = {(row.digest, row.seed): row for row in rows if row.state is not State.RUNNING and row.seed is not None}

    def measured(training: Training) -> Measured | None:
        row = finished.get((training.architecture.digest, training.seed(seed)))
        return None if row is None else measured_of(row)

    return measured


def measured_of(row: TrialRow) -> Measured:
    """What came of the training that a finished trial was."""
    return Measured(
        valid=row.valid,
        reward=row.reward,
        test=row.metrics.get(TEST),
        costs=row.metrics,
        lost=row.failure == FailureKind.LOST,
        blocks=row.blocks,
    )


def best_row(folder: RunFolder, rows: Sequence[TrialRow]) -> TrialRow | None:
    """The trial whose network a run comes to: that which its verdict names or, without one, that of highest reward."""
    return row_of(verdict_in(folder), rows)


def row_of(verdict: Verdict | None, rows: Sequence[TrialRow]) -> TrialRow | None:
    """As :func:`best_row`, of a run whose verdict is known."""
    if verdict is None:
        return best_trial(searched(rows))
    return next(row for row in rows if row.id == verdict.found.entrant.trial)


def best_rows(folder: RunFolder, rows: Sequence[TrialRow], count: int) -> list[TrialRow]:
    """The trials of a run's best networks, no two alike: that of :func:`best_row`, then the others by their rewards."""
    best = best_row(folder, rows)
    if best is None:
        return []
    others = (row for row in best_distinct(searched(rows), count + 1) if row.digest != best.digest)
    return [best, *others][:count]


def verdict_in(folder: RunFolder, settings: VerdictSettings | None = None) -> Verdict | None:
    """The verdict that a run's trials give; None where it has none, or not yet.

    Args:
        folder: The run.
        settings: How it is come to; the run's own where None.
    """
    settings = settings or folder.config.verdict
    if settings is None:
        return None
    rows = folder.store.rows()
    task = folder.task()
    field = field_of(folder.config, settings, task, rows)
    return verdict_of(field, results_of(rows, folder.config.search.seed))
