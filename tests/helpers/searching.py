"""A search of twenty trials that takes a moment, to be stopped, damaged and resumed; shared by the tests beside it."""

import os
import traceback
import warnings
from contextlib import closing

from netwright.config import ExperimentConfig, LearnerSettings, SearchSettings, StrategySettings
from netwright.experiment import Parts
from netwright.phases import Phases
from netwright.search.executor import SerialExecutor
from netwright.search.observers import Observers
from netwright.search.shortcuts import Shortcuts
from netwright.settings_file import override
from netwright.spaces.conv import ConvSpace
from netwright.store.crash_points import VARIABLE
from netwright.store.lock import run_lock
from netwright.store.run_folder import RunFolder
from netwright.store.sqlite import TrialStore
from netwright.strategies.reinforce import Reinforce
from netwright.trial import Evaluation

SPACE = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
CONFIG = ExperimentConfig(
    name="test",
    space=SPACE,
    controller=LearnerSettings(learning_rate=0.05, hidden=4),
    strategy=StrategySettings(options={"batch": 4}),
    search=SearchSettings(trials=20, workers=1, max_failures=9),
)
TASK = {"image": [1, 8, 8], "classes": ["a", "b"]}


class Stub:
    """Answers at once, by the architecture and the seed; every seventh child fails."""

    def evaluate(self, architecture, seed, report):
        if seed % 7 == 0:
            raise ValueError(f"seed {seed}")
        return Evaluation(valid=(int(architecture.digest, 16) ^ seed) % 1000 / 1000, curve=(0.5,))


def create(path, config=CONFIG):
    return RunFolder.create(path, config, TASK)


def go_on(path, trials=20, observer=None):
    """Runs the search of a folder to its end, as ``session.run`` does, but in this process."""
    with run_lock(path, new=False), closing((folder := RunFolder.open(path, read_only=False)).store):
        folder.config = override(folder.config, {"search.trials": trials})  # for this session; the file stays
        strategy = Reinforce(SPACE, CONFIG.controller, batch=4, seed=0)
        parts = Parts(space=SPACE, strategy=strategy, evaluators=[Stub()], task=TASK, config=folder.config)
        executor = SerialExecutor(Stub())
        Phases(folder, parts, executor, observer or Observers(), lambda line: None).run(Shortcuts(), searching=True)


def begin_or_go_on(path, **options):
    """What a person does who finds the machine rebooted: the same command if there is no run yet, else --resume."""
    if not (path / "config.toml").exists():
        with run_lock(path, new=True):
            create(path).store.close()
    go_on(path, **options)


def result(path):
    """All that must not depend on interruptions: trials without times, updates with the hashes of all weights."""
    with closing(TrialStore.open(path / "trials.db")) as store:
        rows = [
            (r.id, r.tokens, r.architecture, r.notes, r.state, r.reward, r.measured, r.curve, r.failure, r.told)
            for r in store.rows()
        ]
        return rows, store.updates()


def died(action, crash_at=None):
    """Does something in a process of its own, forked, which a crash point may end; returns its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside torch's threads, of which it uses none
        pid = os.fork()
    if pid == 0:
        try:
            if crash_at is not None:
                os.environ[VARIABLE] = crash_at
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
