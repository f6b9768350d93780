"""Evaluators on their way to spawned workers: by name where a worker can import them, by value where it cannot."""

import subprocess
import sys
from contextlib import closing

import pytest

from netwright.runtime.process_pool import ProcessPool
from netwright.testing.executors import job, wait_for
from netwright.trial import Evaluation


def test_what_a_worker_cannot_import_travels_by_value_and_its_tensors_as_shared_memory():
    """A class within a function, with a function without a name. What the child writes into the tensor shows here.

    Tried: it fails with plain pickle, which finds no such class, and with cloudpickle alone, which copies the tensor.
    """
    import torch

    class Local:
        def __init__(self, tensor, function):
            self.tensor = tensor
            self.function = function

        def evaluate(self, architecture, seed, report):
            self.tensor[seed - 1000] = self.function(seed)
            return Evaluation(valid=0.5)

    tensor = torch.zeros(1_000_000).share_memory_()
    with closing(ProcessPool([Local(tensor, lambda seed: seed + 0.5)] * 2)) as pool:
        for number in range(4):
            pool.submit(job(number))
        outcomes = wait_for(pool)
    assert all(isinstance(outcome.result, Evaluation) for outcome in outcomes.values()), outcomes
    assert tensor[:5].tolist() == [1000.5, 1001.5, 1002.5, 1003.5, 0.0]


SCRIPT = """
import sys
import threading

from netwright.runtime.process_pool import ProcessPool
from netwright.testing.executors import job, wait_for
from netwright.trial import Evaluation

LOCK = threading.Lock()  # cannot be sent; a worker that imports this file has its own

class Mine:
    def evaluate(self, architecture, seed, report):
        with LOCK:
            return Evaluation(valid=0.25 * (type(self) is sys.modules["__main__"].Mine))

if __name__ == "__main__":
    pool = ProcessPool([Mine()])
    pool.submit(job(0))
    print(wait_for(pool)[0].result.valid)
    pool.close()
"""


def test_a_class_of_a_script_is_the_one_that_the_worker_imports(tmp_path):
    """Tried: it fails when all of ``__main__`` travels by value: the lock cannot be sent."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0.25\n", "")


NOTEBOOK = """
import functools
import os
import sys

import netwright
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.trial import Evaluation

class Mine(ChoiceArchitecture):
    pass

class MySpace(ChoiceSpace):
    def decode(self, tokens):
        return Mine(**super().decode(tokens).model_dump())

SPACE = MySpace("widths", (Choice("width", (1, 2, 3)),))
SCALE = 0.25

@functools.cache
def load():
    return {width: SCALE * width for width in (1, 2, 3)}

class Evaluator:
    def __init__(self, score):
        self.score = score

    def evaluate(self, architecture, seed, report):
        assert isinstance(architecture, Mine)
        print("evaluating", architecture["width"])
        valid = self.score(load(), architecture["width"])
        return Evaluation(valid=valid, metrics={"process": os.getpid()})

score = lambda data, width: data[width]
workers = {"search.workers": 2}
run = netwright.run_search("digits", sys.argv[1], space=SPACE, evaluator=Evaluator(score), trials=4, settings=workers)
trials = run.trials()
assert set(trials["state"]) == {"complete"}, trials
assert os.getpid() not in set(trials["process"])
assert list(trials["valid"]) == [0.25 * tokens[0] + 0.25 for tokens in trials["tokens"]]
print("well")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["standard input", pytest.param("-c", marks=pytest.mark.long)])
def test_an_evaluator_of_a_notebook_reaches_the_workers(tmp_path, how):
    """A main module without a file, as a notebook's is: classes, functions, a global and a lambda are in it alone.

    No guard by ``__name__`` is needed, since no worker imports it. Tried: it fails with plain pickle, for the evaluator
    or for its jobs, and with functions behind a cache left to cloudpickle.
    """
    script = ["-"] if how == "standard input" else ["-c", NOTEBOOK]
    command = [sys.executable, *script, str(tmp_path / "run")]
    done = subprocess.run(command, input=NOTEBOOK, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
    assert "evaluating" not in done.stderr
    logs = "".join(log.read_text() for log in (tmp_path / "run" / "workers").iterdir())
    assert logs.count("evaluating") == 4
