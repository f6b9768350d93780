"""A thousand children of a search: some are killed, hang, crash or give no number; and the disk fills up.

python benchmarks/soak.py [--children 1000] [--minutes 15]

Prints how many trials were lost or doubled, whether the table and the controller are those of the same search without
any disturbance, which processes are left, and how memory, threads and descriptors of the driver grew. Ends with 1 where
something was lost. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netwright
from netwright.config import ExperimentConfig, LearnerSettings, SearchSettings, StrategySettings
from netwright.experiment import Parts
from netwright.phases import Phases
from netwright.search.executor import Job, SerialExecutor
from netwright.search.observers import Observers
from netwright.search.shortcuts import Shortcuts
from netwright.spaces.architecture import Architecture
from netwright.spaces.conv import ConvSpace
from netwright.store import run_folder
from netwright.store.integrity import problems
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.strategies.reinforce import Reinforce
from netwright.trial import Evaluation, Outcome, Report, Trial, Update

SPACE = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
HARM = {"killed": 30, "hangs": 10, "crashes": 10, "nan": 50, "raises": 30, "prints": 10}
"""Of a thousand children; the others are well."""


def harm_of(seed: int) -> str:
    """What happens to the child of a seed."""
    number = seed // 7 % 1000
    for harm, share in HARM.items():
        if number < share:
            return harm
        number -= share
    return "well"


class Rough:
    """An evaluator to whose children bad things happen; by the seed, so that every run has the same ones.

    Args:
        folder: Where a child that is killed from outside leaves a sign, so that it is killed once only.
        harmless: Fail where the others hang or crash, and let live where they are killed.
    """

    def __init__(self, folder: Path, *, harmless: bool = False) -> None:
        self.folder = folder
        self.harmless = harmless

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        """The digest as an accuracy, where the child lives."""
        harm, sign = harm_of(seed), self.folder / str(seed)
        if harm == "nan":
            return Evaluation(valid=float("nan"))
        if harm == "raises" or (self.harmless and harm in ("hangs", "crashes")):
            raise RuntimeError(f"child of seed {seed}")
        if not self.harmless:
            if harm == "killed" and not sign.exists():
                sign.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if harm == "hangs":
                time.sleep(3600)
            if harm == "crashes":
                ctypes.string_at(0)
            if harm == "prints":
                print("x" * 100_000)
        report(1, 0.5)
        return Evaluation(valid=int(architecture.digest[:6], 16) / 16**6, metrics={"seed": seed % 2**31})


class FillingDisk:
    """Stands in for ``os.fsync``: now and then the disk is full for a few attempts."""

    def __init__(self) -> None:
        self.real: Callable[[int], None] = os.fsync
        self.calls = self.failures = 0

    def __call__(self, descriptor: int) -> None:
        self.calls += 1
        if self.calls % 500 > 496:
            self.failures += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.real(descriptor)


class Watch:
    """An observer that notes the driver's size after every tenth of the trials.

    Args:
        children: In all.
    """

    def __init__(self, children: int) -> None:
        self.every = max(children // 10, 1)
        self.sizes: list[dict[str, float]] = []
        self._finished = 0

    def started(self, job: Job) -> None:
        """Not of interest."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """Not of interest."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """A size after every tenth."""
        self._finished += 1
        if self._finished % self.every == 0:
            self.sizes.append(size_of_this_process())
            print(
                f"{self._finished:5} trials  " + "  ".join(f"{k} {v:g}" for k, v in self.sizes[-1].items()), flush=True
            )


def size_of_this_process() -> dict[str, float]:
    """Memory in MiB, threads, open descriptors, processes below it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "MiB": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "threads": int(status["Threads"]),
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,
        "processes": len(descendants(os.getpid())),
    }


def descendants(pid: int) -> list[int]:
    """The living processes below one."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [one for child in children for one in (child, *descendants(child)) if Path(f"/proc/{one}").exists()]


def outcome(run: Path) -> tuple[list[Any], list[tuple[Update, str | None]]]:
    """What must not depend on any harm: trials by number, and updates with the digests of all weights."""
    store = RunFolder.open(run).store
    rows = [(r.id, r.tokens, r.digest, r.state, r.reward, r.measured, r.curve) for r in store.rows()]
    updates = store.updates()
    store.close()
    return rows, updates


def undisturbed(path: Path, config: ExperimentConfig, signs: Path) -> None:
    """The same search in one process, with children that are well or fail by themselves."""
    with run_lock(path, new=True):
        folder = RunFolder.create(path, config, {})
        strategy = Reinforce(SPACE, config.controller, batch=8, seed=0)
        evaluator = Rough(signs, harmless=True)
        parts = Parts(space=SPACE, strategy=strategy, evaluators=[evaluator], task={}, config=config)
        executor = SerialExecutor(evaluator)
        Phases(folder, parts, executor, Observers(), lambda line: None).run(Shortcuts(), searching=True)
        folder.store.close()


def main() -> int:
    """Runs the search, prints what was lost; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--children", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=15.0, help="ask for no more children after so long")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    run_folder.FIRST_PAUSE = 0.01
    scratch = Path(tempfile.mkdtemp(prefix="netwright-soak-"))
    try:
        return soak(scratch, arguments.children, arguments.minutes)
    finally:
        shutil.rmtree(scratch)


def soak(scratch: Path, children: int, minutes: float) -> int:
    """The search with harm and the one without, compared."""
    config = ExperimentConfig(
        name="soak",
        controller=LearnerSettings(hidden=8, learning_rate=0.01),
        strategy=StrategySettings(options={"batch": 8}),
        search=SearchSettings(trials=children, workers=2, child_seconds=1.0, max_failures=children, hours=minutes / 60),
    )
    (scratch / "signs").mkdir()
    watch, disk, began = Watch(children), FillingDisk(), time.monotonic()
    setattr(os, "fsync", disk)  # noqa: B010  the signature is not to the letter
    quiet = os.open(os.devnull, os.O_WRONLY)
    stderr = os.dup(2)
    os.dup2(quiet, 2)  # what children print, and their crashes
    try:
        netwright.run_search(config, scratch / "run", space=SPACE, evaluator=Rough(scratch / "signs"), observer=watch)
    finally:
        setattr(os, "fsync", disk.real)  # noqa: B010
        os.dup2(stderr, 2)
    seconds = time.monotonic() - began
    rows, updates = outcome(scratch / "run")
    config = config.model_copy(update={"search": config.search.model_copy(update={"trials": len(rows), "hours": None})})
    undisturbed(scratch / "undisturbed", config.model_copy(update={"space": SPACE}), scratch / "signs")
    expected = outcome(scratch / "undisturbed")
    harms = Counter(path.name and "killed" for path in (scratch / "signs").iterdir())
    store = RunFolder.open(scratch / "run").store
    kinds = Counter(row.failure or "complete" for row in store.rows())
    store.close()
    lost = len([row for row in rows if row[3] == "running"]) + len(expected[0]) - len({row[0] for row in rows})
    doubled = len(rows) - len({row[0] for row in rows})
    left = [
        pid for pid in descendants(os.getpid()) if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    found = list(problems(scratch / "run"))
    first, last = watch.sizes[0], watch.sizes[-1]
    print(f"{len(rows)} children in {seconds:.0f} s; " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))
    print(f"{harms['killed']} workers killed from outside, {disk.failures} writes to a full disk")
    print(f"lost {lost}, doubled {doubled}, processes left {len(left)}, damage found by doctor {len(found)}")
    print(f"table equal {rows == expected[0]}, updates and weights equal {updates == expected[1]} ({len(updates)})")
    print("growth " + ", ".join(f"{name} {first[name]:g} -> {last[name]:g}" for name in first))
    same = (rows, updates) == expected
    return int(bool(lost or doubled or left or found or not same or len(rows) < children))


if __name__ == "__main__":
    sys.exit(main())
