"""How long a search of the paper's size takes to be ready again, and how often it reads its table.

Makes a run folder of finished trials without training any, resumes it, and measures the processor time from opening the
folder to the first proposal of a new trial: ``python benchmarks/resumption.py --trials 12800``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import closing
from pathlib import Path
from random import Random

from rich.console import Console

from netwright.config import ExperimentConfig, SearchSettings, StrategySettings
from netwright.experiment import Parts, make_strategy
from netwright.phases import Phases
from netwright.report.progress import progress_of
from netwright.search.executor import SerialExecutor
from netwright.search.observers import Observers
from netwright.search.shortcuts import Shortcuts
from netwright.spaces.architecture import Architecture
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import uniform_tokens
from netwright.store import sqlite
from netwright.store.lock import run_lock
from netwright.store.rows import TrialRow, running_row
from netwright.store.run_folder import RunFolder
from netwright.store.trial_file import TrialRecord
from netwright.trial import Evaluation, Proposal, Report, State

SPACE = ConvSpace(depth=6)


class Watch:
    """An evaluator that notes when the first new trial reaches it."""

    def __init__(self) -> None:
        self.ready = 0.0

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """Notes the processor time."""
        self.ready = time.process_time()
        return Evaluation(valid=0.5)


def finished(number: int, random: Random) -> TrialRow:
    """The row of a trial that is complete."""
    tokens = uniform_tokens(SPACE.plan(), random)
    row = running_row(Proposal(id=number, tokens=tokens), SPACE.decode(tokens))
    valid = random.random()
    fields = {"state": State.COMPLETE, "reward": valid**3, "valid": valid, "told": number, "seconds": 60.0, "worker": 0}
    curve = tuple(valid * epoch / 8 for epoch in range(1, 9))
    return TrialRow(**{name: getattr(row, name) for name in row.__slots__} | fields | {"curve": curve})


def make(path: Path, trials: int) -> None:
    """A run of so many finished trials, as a search leaves it."""
    config = ExperimentConfig(
        name="resumption",
        space=SPACE,
        strategy=StrategySettings(name="random"),
        search=SearchSettings(trials=trials + 1, workers=1),
    )
    random = Random(0)
    with run_lock(path, new=True):
        folder = RunFolder.create(path, config, {"image": [3, 32, 32], "classes": list(range(10))})
        rows = [finished(number, random) for number in range(trials)]
        folder.store.insert(rows)
        for row in rows:
            (path / "trials" / str(row.id)).mkdir()
            for file, content in TrialRecord(row=row).file(path).items():
                file.write_text(content)
        folder.store.close()


def resume(path: Path) -> tuple[float, int]:
    """Processor seconds from opening a run to its first new proposal, and whole reads of its table in that time."""
    reads = 0

    def traced(statement: str) -> None:
        nonlocal reads
        reads += statement.startswith("SELECT * FROM trials ORDER BY")

    began = time.process_time()
    connect = sqlite._connect

    def connect_traced(file: Path, mode: str) -> object:
        connection = connect(file, mode)
        connection.set_trace_callback(traced)
        return connection

    sqlite._connect = connect_traced  # type: ignore[assignment]
    evaluator = Watch()
    with run_lock(path, new=False), closing((folder := RunFolder.open(path, read_only=False)).store):
        progress_of(folder, Console(quiet=True), quiet=True)
        strategy = make_strategy(folder.config, SPACE)
        parts = Parts(space=SPACE, strategy=strategy, evaluators=[evaluator], task=folder.task(), config=folder.config)
        phases = Phases(folder, parts, SerialExecutor(evaluator), Observers(), lambda line: None)
        phases.run(Shortcuts(), searching=True)
    sqlite._connect = connect
    return evaluator.ready - began, reads


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=12_800)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netwright-resumption-") as scratch:
        make(Path(scratch) / "run", arguments.trials)
        make_strategy(RunFolder.open(Path(scratch) / "run").config, SPACE)  # what is imported once is not resumption
        seconds, reads = resume(Path(scratch) / "run")
    print(json.dumps({"trials": arguments.trials, "processor_seconds": round(seconds, 2), "whole_reads": reads}))


if __name__ == "__main__":
    main()
