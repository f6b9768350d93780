"""The serial executor, and the sorting of what goes wrong."""

import contextlib
import errno
import json
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netwright.errors import DivergedError, OverBudgetError
from netwright.search.executor import Limits, SerialExecutor, evaluate, failure_of, plain
from netwright.store.rows import checked, columns_of, row_of, running_row
from netwright.testing.executors import ExecutorContract, Obedient, job, order
from netwright.trial import Evaluation, Failure, FailureKind, Proposal


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
        # The texts of memory that is not there (faults.md row 1).
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
        (RuntimeError("could not create a primitive"), FailureKind.OUT_OF_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), FailureKind.OUT_OF_MEMORY),
        # In the middle of an import: the first is the dynamic linker's, the second an error that the interpreter lost.
        (
            ImportError("libx.so: failed to map segment from shared object: Cannot allocate memory"),
            FailureKind.OUT_OF_MEMORY,
        ),
        (
            SystemError("<function _find_and_load at 0x7f88> returned NULL without setting an exception"),
            FailureKind.OUT_OF_MEMORY,
        ),
        (SystemError("error return without exception set"), FailureKind.OUT_OF_MEMORY),
        (OSError(errno.ENOENT, "No such file"), FailureKind.ERROR),
        (ImportError("No module named 'x'"), FailureKind.LOST),
        (OSError(errno.ENOSPC, "No space left on device"), FailureKind.LOST),
        (SystemError("bad argument to internal function"), FailureKind.ERROR),
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


def test_blocks_become_plain_numbers_and_are_left_out_where_one_is_none(caplog):
    sound = Evaluation(valid=0.5, blocks=(np.float32(0.5), torch.tensor(0.25)))
    assert [type(value) for value in outcome_of(sound).blocks] == [float, float]
    assert outcome_of(sound).blocks == (0.5, 0.25)
    for ill in ((0.5, float("nan")), (0.5, "high"), None):
        assert outcome_of(Evaluation(valid=0.5, blocks=ill)) == Evaluation(valid=0.5)
        assert "blocks are left out" in caplog.text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), torch.tensor(float("nan"))])
@pytest.mark.parametrize("place", ["valid", "curve"])
def test_no_number_that_is_not_finite_comes_through(number, place):
    sound = {"valid": 0.5, "metrics": {"parameters": 10}, "curve": (0.1, 0.5)}
    ill = {"valid": number, "curve": (0.1, number)}[place]
    result = outcome_of(Evaluation(**sound | {place: ill}))
    assert isinstance(result, Failure)
    assert result.kind is FailureKind.NONFINITE


@pytest.mark.parametrize(
    "answer",
    [None, "0.9", (0.9, 0.8), 10**400, Evaluation(valid=None), Evaluation(valid="high"), Evaluation(valid=10**400)],
)
def test_an_evaluator_that_returns_something_else_has_failed(answer):
    result = outcome_of(answer)
    assert isinstance(result, Failure)
    assert result.kind is FailureKind.ERROR


@pytest.mark.parametrize("answer", [0.5, np.float32(0.5), torch.tensor(0.5), Fraction(1, 2)])
def test_a_number_alone_is_the_validation_number(answer):
    assert outcome_of(answer) == Evaluation(valid=0.5)


def test_a_number_alone_that_is_not_finite_is_told_as_such():
    assert outcome_of(float("nan")).kind is FailureKind.NONFINITE


class Odd:
    """Of a class of somebody else's: no number, and not even to be shown."""

    def __float__(self):
        raise KeyError("no number")

    def __repr__(self):
        raise KeyError("not to be shown")


class UnspeakableError(Exception):
    def __str__(self):
        raise KeyError("no text")


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        ({1: 0.9}, "the name of a metric: expected a printable text, got 1"),
        ({None: 0.9}, "the name of a metric"),
        ({"valid": 0.9}, r"metrics\['valid'\]: the name is taken"),
        ([0.9], "metrics: expected numbers by name"),
    ],
)
def test_a_metric_that_is_none_is_a_failed_trial_that_names_it(metrics, named):
    failure = outcome_of(Evaluation(valid=0.5, metrics=metrics))
    assert failure.kind is FailureKind.ERROR
    assert re.match(named, failure.message)


@pytest.mark.parametrize(
    "value",
    ["low", "0.5", [1, 2], Odd(), 10**5000, float("nan"), torch.tensor(float("inf"))],
    ids=["word", "digits", "list", "odd", "huge", "nan", "infinite"],
)
def test_a_metric_that_is_no_finite_number_is_left_out_of_a_sound_trial(value, caplog):
    """As an AUC of one class, or the name of a kernel. Tried: as a failure, a good child earns nothing."""
    result = outcome_of(Evaluation(valid=0.5, metrics={"loss": value, "steps": 3}))
    assert result == Evaluation(valid=0.5, metrics={"steps": 3})
    assert "metrics['loss'] is left out" in caplog.text


def test_truth_becomes_a_number():
    """Tried: without int(), the store refuses the trial after the controller has learnt from it."""
    result = outcome_of(Evaluation(valid=True, metrics={"converged": True, "stable": np.True_, "half": Fraction(1, 2)}))
    assert json.dumps(result.metrics) == '{"converged": 1, "stable": 1.0, "half": 0.5}'
    assert type(result.valid) is float


SOUND = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.fractions(),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(np.float32),
)  # fmt: skip
ANYTHING = st.one_of(
    SOUND, st.none(), st.integers(min_value=10**300, max_value=10**320), st.floats(), st.text(max_size=3),
    st.binary(max_size=3), st.complex_numbers(), st.decimals(), st.builds(Odd), st.lists(st.integers(), max_size=2),
)  # fmt: skip


@given(
    valid=st.one_of(SOUND, ANYTHING),
    metrics=st.one_of(
        st.dictionaries(st.text(max_size=5), SOUND),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.just("valid")), ANYTHING),
    ),
    curve=st.one_of(st.lists(SOUND, max_size=2), st.none(), st.lists(ANYTHING, max_size=2)),
)
@example(valid=0.5, metrics={"converged": True}, curve=())
@example(valid=0.5, metrics={"valid": 0.9}, curve=())
@settings(max_examples=300)
def test_whatever_passes_the_gate_is_accepted_by_the_store(valid, metrics, curve):
    """Tried: with a bool left as it is, or a metric named ``valid``, the store refuses what the controller was told."""
    result = plain(Evaluation(valid=valid, metrics=metrics, curve=curve))
    if isinstance(result, Failure):
        assert result.message
        return
    running = running_row(Proposal(id=0, tokens=(0,)), order("answer"))
    row = checked(replace(running, valid=result.valid, metrics=result.metrics, curve=result.curve))
    assert row_of(json.loads(json.dumps(columns_of(row), allow_nan=False))) == row


def test_an_error_without_a_text_is_a_failure_too():
    """Tried: with str() alone, the worker dies of it."""
    failure = failure_of(UnspeakableError())
    assert failure.kind is FailureKind.ERROR
    assert "UnspeakableError" in failure.message


def test_an_evaluator_that_catches_every_exception_is_stopped_all_the_same():
    """As one does that wraps its report in a progress bar. Tried: as an Exception, it trains all of its epochs."""

    class Careful:
        def evaluate(self, architecture, seed, report):
            for epoch in range(1, 6):
                with contextlib.suppress(Exception):
                    report(epoch, 0.1 * epoch)
            return Evaluation(valid=1.0)

    stopping = replace(job(0), limits=Limits(worst=(None, 0.5)))
    result = evaluate(Careful(), stopping, lambda epoch, valid: None).result
    assert result == Evaluation(valid=0.2, metrics={"stopped_after": 2}, curve=(0.1, 0.2))


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
