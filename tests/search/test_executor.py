"""The serial executor, and the sorting of what goes wrong."""

import numpy as np
import pytest
import torch

from netwright.errors import DivergedError, OverBudgetError
from netwright.search.executor import SerialExecutor, evaluate, failure_of
from netwright.testing.executors import ExecutorContract, Obedient, job
from netwright.trial import Evaluation, Failure, FailureKind


class TestSerialExecutorKeepsTheContract(ExecutorContract):
    separate = False

    def make(self, evaluator, limits):
        return SerialExecutor(evaluator, limits.on_epoch)


class Answers:
    def __init__(self, evaluation):
        self.evaluation = evaluation

    def evaluate(self, architecture, seed, report):
        return self.evaluation


def outcome_of(evaluation):
    return evaluate(Answers(evaluation), job(0), lambda epoch, valid: None).result


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        # The three texts of memory that is not there (faults.md row 1).
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
                "to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
            ),
            FailureKind.OUT_OF_MEMORY,
        ),
        (
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
            FailureKind.OUT_OF_MEMORY,
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), FailureKind.OUT_OF_MEMORY),
        (MemoryError(), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.ERROR),
        (DivergedError("the loss is nan"), FailureKind.NONFINITE),
        (OverBudgetError("too large"), FailureKind.OVER_BUDGET),
        (KeyError("x"), FailureKind.ERROR),
    ],
)
def test_errors_are_sorted_by_what_they_are(error, kind):
    """Tried: without the look at the text of PyTorch's errors, memory is just an error."""
    failure = failure_of(error)
    assert failure.kind is kind
    assert failure.message


def test_real_memory_that_cannot_be_had_is_told_from_an_error():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert failure_of(error.value).kind is FailureKind.OUT_OF_MEMORY


def test_an_error_brings_its_traceback():
    def boom():
        raise ValueError("of the user's own")

    try:
        boom()
    except ValueError as error:
        message = failure_of(error).message
    assert "in boom" in message
    assert message.strip().endswith("ValueError: of the user's own")


@pytest.mark.parametrize("number", [0.5, np.float32(0.5), np.float64(0.5), torch.tensor(0.5), np.array(0.5)])
def test_numbers_of_numpy_and_torch_become_plain_ones(number):
    """JSON could hold none of them, and the search would end where it writes them down."""
    result = outcome_of(Evaluation(valid=number, metrics={"a": number, "n": np.int64(3)}, curve=(number, number)))
    assert result == Evaluation(valid=0.5, metrics={"a": 0.5, "n": 3}, curve=(0.5, 0.5))
    assert {type(value) for value in (result.valid, *result.metrics.values(), *result.curve)} == {float}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), torch.tensor(float("nan"))])
@pytest.mark.parametrize("place", ["valid", "metrics", "curve"])
def test_no_number_that_is_not_finite_comes_through(number, place):
    sound = {"valid": 0.5, "metrics": {"parameters": 10}, "curve": (0.1, 0.5)}
    ill = {"valid": number, "metrics": {"loss": number}, "curve": (0.1, number)}[place]
    result = outcome_of(Evaluation(**sound | {place: ill}))
    assert isinstance(result, Failure)
    assert result.kind is FailureKind.NONFINITE


@pytest.mark.parametrize(
    "answer", [None, 0.9, Evaluation(valid=None), Evaluation(valid="high"), Evaluation(valid=10**400)]
)
def test_an_evaluator_that_returns_something_else_has_failed(answer):
    result = outcome_of(answer)
    assert isinstance(result, Failure)
    assert result.kind is FailureKind.ERROR


def test_epochs_are_told_with_the_trial():
    told = []
    executor = SerialExecutor(Obedient(), lambda *what: told.append(what))
    executor.submit(job(4))
    executor.wait()
    assert told == [(4, 1, 0.25), (4, 2, 0.5)]


def test_ctrl_c_is_no_failure_of_the_child():
    class Interrupted:
        def evaluate(self, architecture, seed, report):
            raise KeyboardInterrupt

    executor = SerialExecutor(Interrupted())
    executor.submit(job(0))
    with pytest.raises(KeyboardInterrupt):
        executor.wait()
