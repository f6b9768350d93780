"""Recorded steps, with a card that only counts; what a real one computes is tested in tests/gpu."""

from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
import torch

from netwright.children import replay
from netwright.children.replay import FIRST, Replay, learning_rate_on, set_learning_rate

CPU, CARD = torch.device("cpu"), torch.device("cuda:0")


class Stream:
    device = CARD

    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        pass


class Graph:
    def __init__(self):
        self.replays = 0

    def replay(self):
        self.replays += 1


@pytest.fixture
def card(monkeypatch):
    """Streams that do nothing and graphs that count; ``recording`` is true while one is recorded."""
    state = {"recording": False}

    @contextmanager
    def record(graph, **options):
        state["recording"] = True
        try:
            yield
        finally:
            state["recording"] = False

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    return state


@pytest.fixture
def counted(card):
    """A function that counts how often it ran as it is written, and how often it was recorded."""

    def double(value):
        calls.append("recorded" if card["recording"] else "written")
        return (2 * value,)

    calls = []
    return double, calls


def test_the_first_calls_run_as_written_then_one_is_recorded_and_all_others_are_replays(counted):
    function, calls = counted
    step = partial(Replay(CARD), function)
    for number in range(FIRST + 4):
        step(torch.full((2,), float(number)))
    assert calls == ["written"] * FIRST + ["recorded"]
    graph, (held,), _ = step.func._recording
    assert graph.replays == 4  # the call that records runs only as a replay
    assert held.tolist() == [FIRST + 3.0] * 2


def test_other_sizes_than_the_first_run_as_written(counted):
    function, calls = counted
    step = partial(Replay(CARD), function)
    for _ in range(FIRST + 2):
        step(torch.ones(2))
    (result,) = step(torch.ones(3))
    assert result.tolist() == [2, 2, 2]
    assert calls[-1] == "written"
    step(torch.ones(2))
    assert step.func._recording[0].replays == 3


def test_what_was_recorded_can_be_forgotten(counted):
    function, calls = counted
    step = partial(Replay(CARD), function)
    for _ in range(FIRST + 1):
        step(torch.ones(2))
    step.func.forget()
    for _ in range(FIRST + 1):
        step(torch.ones(2))
    assert calls == (["written"] * FIRST + ["recorded"]) * 2


@pytest.mark.parametrize("hidden", [False, True])
def test_without_memory_to_record_calls_stay_as_written(card, monkeypatch, hidden):
    calls = []

    def function(value):
        calls.append(card["recording"])
        if card["recording"]:
            raise torch.OutOfMemoryError("no memory left")
        return (value,)

    if hidden:  # a recording that ends badly can raise an error of its own

        @contextmanager
        def record(graph, **options):
            card["recording"] = True
            try:
                yield
            except torch.OutOfMemoryError:
                raise RuntimeError("the recording is invalid") from None
            finally:
                card["recording"] = False

        monkeypatch.setattr(torch.cuda, "graph", record)
    step = partial(Replay(CARD), function)
    for _ in range(FIRST + 3):
        step(torch.ones(2))
    assert calls == [False] * FIRST + [True] + [False] * 3


def test_another_error_while_recording_is_told(card):
    def function(value):
        if card["recording"]:
            raise RuntimeError("waits for the card")
        return (value,)

    step = partial(Replay(CARD), function)
    for _ in range(FIRST):
        step(torch.ones(2))
    with pytest.raises(RuntimeError, match="waits for the card"):
        step(torch.ones(2))


@pytest.mark.parametrize("replay", [Replay(CPU), Replay(CARD, record=False)], ids=["cpu", "not to be recorded"])
def test_elsewhere_every_call_runs_as_written(replay):
    calls = []
    assert not replay.records
    step = partial(replay, lambda value: (calls.append(1) or value,))
    for _ in range(FIRST + 3):
        step(torch.ones(2))
    assert len(calls) == FIRST + 3


def test_a_learning_rate_is_a_number_on_the_cpu_and_changed_in_place_on_a_card(monkeypatch):
    weight = torch.nn.Parameter(torch.ones(1))
    assert learning_rate_on(CPU, 0.5, recorded=False) == 0.5
    optimizer = torch.optim.SGD([weight], 0.5)
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] == 0.25
    monkeypatch.setattr(replay.torch, "tensor", lambda rate, device: torch.full((), rate))
    rate = learning_rate_on(CARD, 0.5, recorded=True)
    optimizer = torch.optim.SGD([weight], rate, fused=True)
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25
