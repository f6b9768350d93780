"""What a search on Ray costs beside its children: trials a second when children do nothing, and the same of Ray Tune.

    python benchmarks/ray_overhead.py [--trials 4000] [--tune-trials 200] [--folder DIR]

Ours: architectures of the recipe ``digits`` (four layers with skip connections) from two controller replicas of eight
children each, through a parameter server of two shards, every trial and every checkpoint written to a run folder.
Ray Tune: a trainable that does nothing, ``reuse_actors=True``, sixteen at a time, its samples drawn at random; it has
no controller and no database. Both on one Ray of this machine, one after the other, in one run. Counted are the trials
of the second half, so that the start of processes, which still runs beside the first trials, is left out on both sides.

The run folder flushes each trial to its disk several times; where a flush takes milliseconds, that is all one sees. So
it lies in memory (``/dev/shm``), unless ``--folder`` names a disk, and Tune's in the same place.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path

import ray
from ray import tune

import netwright
from netwright.runtime.ray.connection import connected
from netwright.search.executor import Job
from netwright.spaces.architecture import Architecture
from netwright.trial import Evaluation, Outcome, Report, Trial, Update

REPLICAS, CHILDREN, SHARDS = 2, 8, 2


class Nothing:
    """An evaluator that does nothing."""

    def evaluate(self, architecture: Architecture, seed: int, report: Report) -> Evaluation:
        return Evaluation(valid=0.5)


class Stopwatch:
    """Observer that notes when trials end."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def started(self, job: Job) -> None: ...

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None: ...

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        self.moments.append(time.monotonic())


class NothingToTune(tune.Trainable):  # type: ignore[misc]
    """A trainable that does nothing, once."""

    def setup(self, config: dict[str, float]) -> None: ...

    def step(self) -> dict[str, object]:
        return {"valid": 0.5, "done": True}

    def reset_config(self, new_config: dict[str, float]) -> bool:
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None: ...

    def load_checkpoint(self, checkpoint: object) -> None: ...


class TuneStopwatch(tune.Callback):  # type: ignore[misc]
    """Notes when trials of Tune end."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_trial_complete(self, iteration: int, trials: object, trial: object, **info: object) -> None:
        self.moments.append(time.monotonic())


def main() -> None:
    """Measures both and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4000)
    parser.add_argument("--tune-trials", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder, connected(None):
        ours = rate(search(Path(folder) / "run", arguments.trials))
        print(f"netwright  {ours:7.1f} trials/s", flush=True)
        theirs = rate(run_tune(Path(folder), arguments.tune_trials))
        print(f"Ray Tune   {theirs:7.1f} trials/s (ray {ray.__version__})")
        print(f"ratio      {ours / theirs:7.1f}")


def rate(moments: list[float]) -> float:
    """Trials a second, of the second half."""
    first = len(moments) // 2
    return (len(moments) - 1 - first) / (moments[-1] - moments[first])


def search(path: Path, trials: int) -> list[float]:
    """The moments at which the trials of a search ended."""
    stopwatch = Stopwatch()
    settings = {
        "search.executor": "ray",
        "cluster.replicas": REPLICAS,
        "cluster.children": CHILDREN,
        "cluster.shards": SHARDS,
        "cluster.ahead": 1,
        "cluster.child_cpus": 0,
    }
    run = netwright.run_search(
        "digits", path, evaluator=Nothing(), trials=trials, settings=settings, observer=stopwatch
    )
    with run:
        assert len(run.folder.store.history().told) == trials == len(stopwatch.moments)
        assert len(run.folder.store.updates()) == trials // CHILDREN
    return stopwatch.moments


def run_tune(folder: Path, trials: int) -> list[float]:
    """The moments at which the trials of Ray Tune ended."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    stopwatch = TuneStopwatch()
    tuner = tune.Tuner(
        tune.with_resources(NothingToTune, {"cpu": 0.01}),
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True, max_concurrent_trials=REPLICAS * CHILDREN),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            verbose=0,
            callbacks=[stopwatch],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    results = tuner.fit()
    assert len(results) == trials
    assert results.num_errors == 0
    return stopwatch.moments


if __name__ == "__main__":
    main()
