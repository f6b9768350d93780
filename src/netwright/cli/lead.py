"""``netwright train --compare``: the two networks of a run's answer trained to the end; does the lead last?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from netwright.cli.conduct import interruptible
from netwright.cli.epoch_lines import EpochLines
from netwright.cli.terminal import across, tell
from netwright.config import ExperimentConfig
from netwright.networks.lead import lead_of, rivals_of, train_rivals, way_of
from netwright.networks.network import Network
from netwright.report.lead import lead_json, lead_text
from netwright.store.run_folder import RunFolder

if TYPE_CHECKING:
    from netwright.networks.training import OnEpoch

SEEDS_TO_COMPARE = 3
"""Trainings of each network where nobody says how many."""


def compare_networks(
    run: Path, way: Callable[[Network], ExperimentConfig], seeds: int, *, changed: bool, as_json: bool
) -> None:
    """Trains both, or resumes that, and prints the lead.

    Args:
        run: The run folder.
        way: How a network is trained to the end, by the options of the command.
        seeds: How often each.
        changed: Whether an option says how; otherwise a training that is there already does.
        as_json: Whether the lead is printed as JSON.
    """
    folder = RunFolder.open(run)
    rivals = rivals_of(folder)
    before = way_of(rivals)
    config = way(rivals.found) if before is None or changed else before

    def begun(name: str, training: Path, seeds: int) -> OnEpoch:
        tell(f"{name}, in {training}")
        return EpochLines(config.child.epochs * seeds, training).show

    with interruptible(run):
        train_rivals(rivals, config, seeds=seeds, begun=begun)
    lead = lead_of(folder)
    assert lead is not None
    typer.echo(json.dumps(lead_json(lead), allow_nan=False) if as_json else lead_text(lead, across()))
