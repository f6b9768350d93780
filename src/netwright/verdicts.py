"""A verdict on a search that is over: given later, of more trainings, or against more networks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netwright.answer import best_row, verdict_in
from netwright.config import FROM_PYTHON, ExperimentConfig, VerdictSettings
from netwright.drawn import NOTHING_KNOWN, drawn_by_hand, refuse_other_files
from netwright.errors import UsageError
from netwright.experiment import OwnParts, Parts, Say, data_name, prepare, refuse_other_data
from netwright.search.verdict import Verdict
from netwright.session import resumed_with
from netwright.settings_file import override
from netwright.spaces.fill import SCALED_TO
from netwright.spaces.references import reference_name
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import REFERENCES
from netwright.tasks import Kind, kind_of
from netwright.trial import Proposal, Trial, Update

_log = logging.getLogger(__name__)


def wanted_verdict(
    config: ExperimentConfig,
    kind: Kind,
    *,
    seeds: int | None = None,
    finalists: int | None = None,
    references: Sequence[str] = (),
    known: Mapping[str, Any] = NOTHING_KNOWN,
) -> VerdictSettings:
    """How a verdict on a run is to be come to: as its configuration says, but for what is given here.

    Args:
        config: Of the run.
        kind: Of its task, whose built-in references count where neither the run nor this call names any.
        seeds: Last trainings of each network.
        finalists: Networks of the search that are trained again, exactly so many.
        references: What its networks are held against.
        known: The networks drawn by hand that the run has, as its ``task.json`` holds them.

    Raises:
        UsageError: There is nothing to hold its networks against, too few seeds, or the run knows another network by
            the name of a file.
        ArchitectureError: Such a file cannot be read.
    """
    refuse_other_files(references, known)
    settings = config.verdict or VerdictSettings()
    names = tuple(references or settings.references or kind.references)
    if not names:
        raise UsageError("there is nothing to hold the networks of this run against; name an architecture file")
    given: dict[str, object] = {"at_end": True, "references": names}
    if seeds is not None:
        given["seeds"] = seeds
    if finalists is not None:
        given |= {"finalists": finalists, "finalist_share": 0.0}
    changes = {f"verdict.{name}": value for name, value in given.items()}
    changed = override(config.model_copy(update={"verdict": settings}), changes).located().verdict
    assert changed is not None
    return changed


class Unasked:
    """In place of a strategy from Python, where nothing is searched."""

    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        return []

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """See :meth:`Strategy.tell`."""
        return None

    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """See :meth:`Strategy.restore`."""


def prepare_verdict(
    folder: RunFolder,
    wanted: VerdictSettings,
    own: OwnParts | None = None,
    *,
    changes: Mapping[str, object] | None = None,
    say: Say = _log.info,
) -> Parts | None:
    """The parts that train what a verdict still lacks, None where that is nothing; the run knows its references then.

    Args:
        folder: The run, open for writing, under its lock.
        wanted: Made by :func:`wanted_verdict`.
        own: Parts of the run that came from Python; the strategy is not among them, which is not asked any more.
        changes: Of settings by path that a resumption may change; see :func:`netwright.session.resumed_with`.
        say: Is told what takes a while, for a person.

    Raises:
        UsageError: The data are others than the search had, or a setting may not be changed.
        NetwrightError: As :func:`netwright.experiment.prepare` says.
    """
    config = folder.config.model_copy(update={"verdict": wanted})
    if changes:
        config = resumed_with(folder, config, changes)
    task = folder.task()
    before = task.get(REFERENCES, {})
    new = any(reference_name(given) not in before for given in wanted.references)
    if not new and verdict_in(folder, wanted) is not None:
        folder.set_config(config)
        return None
    own = own or OwnParts()
    if config.strategy.name == FROM_PYTHON and own.strategy is None:
        own = replace(own, strategy=Unasked())
    parts = prepare(config, own, say=say, run=folder.path, known=before)
    refuse_other_data(task, parts.task, folder.path, data_name(own.data, config))
    if new:
        folder.set_task({**task, REFERENCES: _references(folder, parts, wanted.references, before, own.kind)})
    return parts


def verdict_as(folder: RunFolder, wanted: VerdictSettings) -> Verdict:
    """The verdict on a run, once everything for it is trained.

    Raises:
        UsageError: There is none for all that.
    """
    if (found := verdict_in(folder, wanted)) is None:
        raise UsageError(
            f"{folder.path}: there is no verdict: the search found no network, or every training of one failed"
        )
    return found


def _references(
    folder: RunFolder, parts: Parts, names: Sequence[str], known: Mapping[str, Any], own: Kind | None
) -> dict[str, Any]:
    """Known and new references as ``task.json`` holds them; without a budget these cost what the search found does."""
    config, best = parts.config, best_row(folder, folder.store.rows())
    limits = [config.child.model_dump().get(f"max_{cost}", 0) for cost in SCALED_TO]  # cells have none of them
    if best is not None and "multiply_adds" in best.metrics and not any(limit is not None for limit in limits):
        config = override(config, {"child.max_multiply_adds": int(best.metrics["multiply_adds"])})
    return drawn_by_hand(kind_of(config, own), names, config, parts.task, parts.space, known)
