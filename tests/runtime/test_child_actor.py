"""The part of a child on Ray that is ours: an actor and the process below it, without Ray.

Ray says the same of an actor that crashed and of one that was killed, and nothing of a limit on memory; so it is the
actor that sees what its child does. What a cluster makes of that is in ``test_ray.py``, with Ray.
"""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import cloudpickle
import pytest

from helpers.misbehaving import Misbehaving
from netwright.runtime.attempts import Cause, Death
from netwright.runtime.worker import Begun, Unable
from netwright.testing.executors import job
from netwright.trial import Failure, FailureKind, Outcome

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

MODULES = ("packing", "child_actor")


class Ends(BaseException):
    """No Exception: what a child may raise to get past every handler."""


class Worse(Misbehaving):
    """As above, and raises what is no Exception."""

    def evaluate(self, architecture, seed, report):
        if architecture["do"] == "raise no Exception":
            raise Ends("past all handlers")
        return super().evaluate(architecture, seed, report)


@pytest.fixture
def actors(monkeypatch):
    """The module of actors, in which Ray is only asked for the name of the node."""
    ray = ModuleType("ray")
    ray.cloudpickle = cloudpickle
    ray.get_runtime_context = lambda: SimpleNamespace(get_node_id=lambda: "here")
    monkeypatch.setitem(sys.modules, "ray", ray)
    package = importlib.import_module("netwright.runtime.ray")
    for name in MODULES:
        monkeypatch.delitem(sys.modules, f"netwright.runtime.ray.{name}", raising=False)
        monkeypatch.setattr(package, name, None, raising=False)
    yield importlib.import_module("netwright.runtime.ray.child_actor")
    for name in MODULES:
        del sys.modules[f"netwright.runtime.ray.{name}"]


@pytest.fixture
def actor(actors, tmp_path):
    """An actor whose children misbehave as they are told, within 200 MiB each."""
    made = actors.ChildActor((cloudpickle.dumps(Worse(tmp_path)), []), 0, threads=1, memory_mb=200, logs=None)
    yield made
    if made._worker is not None:
        made._worker.end()


def last(actor, order):
    """What an actor says last of a job."""
    begun, *_, end = actor.run(order, 60.0)
    assert isinstance(begun, Begun)
    return end


@pytest.mark.parametrize("do", ["segfault", "exit at once", "raise no Exception"])
def test_what_ends_a_childs_process_is_a_crash_and_the_next_child_has_another(actor, do):
    """So it is tried once more and is then the network's fault; run in the actor itself, it would be a kill to Ray."""
    end = last(actor, job(0, do))
    assert isinstance(end, Death)
    assert end.cause is Cause.CRASHED
    assert last(actor, job(1)).result.metrics["seed"] == 1001


def test_a_child_has_the_memory_that_the_search_allows(actor):
    """Tried: without the limit in the worker's settings, it has what it wants."""
    end = last(actor, job(0, "allocate", mib=400, seconds=0))
    assert isinstance(end, Outcome)
    assert isinstance(end.result, Failure)
    assert end.result.kind is FailureKind.OUT_OF_MEMORY
    assert "search.child_memory_mb = 200 MiB" in end.result.message
    assert isinstance(last(actor, job(1)), Outcome)


def test_a_child_that_takes_too_long_is_ended(actor):
    _, *_, end = actor.run(job(0, "sleep"), 0.3)
    assert isinstance(end, Outcome)
    assert end.result.kind is FailureKind.TIMEOUT


def test_an_evaluator_that_cannot_be_read_is_said_and_not_waited_for(actors):
    broken = actors.ChildActor((b"no pickle", []), 0, threads=1, memory_mb=None, logs=None)
    try:
        (said,) = broken.run(job(0), 60.0)
    finally:
        broken._worker.end()
    assert isinstance(said, Unable)
