"""What one file knows of Ray: children as actors, tensors once per node, and the table of versions."""

# ruff: noqa: E402  nothing here can be imported without Ray

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import torch

ray = pytest.importorskip("ray", reason="needs the extra [ray]")

from netwright.config import ClusterSettings
from netwright.data.images import load_images
from netwright.errors import NetwrightError, UsageError
from netwright.runtime.ray.children import RayChildren, lacking
from netwright.runtime.ray.connection import compare, connected, fingerprint_of_driver
from netwright.runtime.ray.packing import pack, put, unpack
from netwright.testing.executors import ExecutorContract, Obedient, job, wait_for
from netwright.trial import Evaluation, Failure, FailureKind

sys.path.insert(0, os.path.dirname(__file__))  # where workers find them, too
from misbehaving import Misbehaving, Unstartable

SETTINGS = ClusterSettings()


def test_what_is_packed_comes_back_and_its_tensors_are_not_pickled():
    data = load_images("digits")
    pickled, tensors = packed = pack(data)
    size = sum(split.images.nbytes + split.labels.nbytes for split in (data.train, data.validation, data.test))
    assert sum(array.nbytes for array, _, _ in tensors) == size
    assert len(pickled) < 10_000
    again = unpack(packed)
    assert again.classes == data.classes
    assert torch.equal(again.train.images, data.train.images)
    assert again.train.images.dtype is data.train.images.dtype
    assert again.train.images.data_ptr() == tensors[0][0].ctypes.data, "mapped, not copied"


def test_tensors_of_every_kind_survive_packing():
    tensors = [
        torch.arange(6).reshape(2, 3).T,
        torch.ones(2, 2, dtype=torch.bfloat16),
        torch.zeros(0, 3),
        torch.tensor(True),
        torch.ones(3, requires_grad=True),
    ]
    again = unpack(pack(tensors))
    for one, other in zip(tensors, again, strict=True):
        assert torch.equal(one, other)
        assert one.dtype is other.dtype
    assert again[-1].requires_grad


def test_unlike_versions_are_shown_in_one_table():
    here = {"python": "3.11.7", "netwright": "0.1.0", "torch": "2.13.0", "ray": "2.60.0"}
    compare(here, {"10.0.0.1": here})
    with pytest.raises(UsageError) as caught:
        compare(
            here,
            {"10.0.0.1": here, "10.0.0.2": {**here, "torch": "2.12.1"}, "10.0.0.3": {**here, "netwright": "missing"}},
        )
    assert str(caught.value).splitlines() == [
        "the nodes run unlike versions; install the same ones everywhere:",
        "              python  netwright  torch     ray",
        "this process  3.11.7  0.1.0      2.13.0    2.60.0",
        "10.0.0.1      3.11.7  0.1.0      2.13.0    2.60.0",
        "10.0.0.2      3.11.7  0.1.0      2.12.1 !  2.60.0",
        "10.0.0.3      3.11.7  missing !  2.13.0    2.60.0",
    ]


def test_the_fingerprint_travels_by_value():
    """On a node without netwright it must run, to say just that."""
    from ray import cloudpickle

    from netwright.runtime.ray import cluster as ray_cluster

    program = """
import sys
sys.modules["netwright"] = None
from ray import cloudpickle
print(cloudpickle.loads(sys.stdin.buffer.read())())
"""
    pickled = cloudpickle.dumps(ray_cluster._fingerprint())
    done = subprocess.run([sys.executable, "-c", program], input=pickled, capture_output=True, check=True, timeout=60)
    assert ast.literal_eval(done.stdout.decode()) == fingerprint_of_driver()


def test_a_child_that_no_node_has_room_for_is_named():
    node = {"Alive": True, "Resources": {"CPU": 4.0, "memory": 1e9}}
    card = {"Alive": True, "Resources": {"CPU": 1.0, "GPU": 1.0}}
    wanted = ClusterSettings(child_cpus=2, child_gpus=0.5, child_resources={"fast_disk": 1})
    assert lacking(SETTINGS, [node]) is None
    assert lacking(ClusterSettings(child_cpus=0), []) == ""
    assert lacking(SETTINGS, []) == "1 CPU"
    assert lacking(SETTINGS, [{**node, "Alive": False}]) == "1 CPU"
    assert lacking(wanted, [node, card]) == "2 CPU, 0.5 GPU, 1 fast_disk"


SHUT_DOWN = """The actor died because its node has died. Node Id: 0
\tthe actor's node was terminated expectedly: received SIGTERM"""


@pytest.fixture(scope="module")
def two_cores():
    """Two cores of this machine; yields who answered SIGTERM before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.path.dirname(__file__), prepend=os.pathsep)
        before = signal.getsignal(signal.SIGTERM)
        with connected(None, cpus=2):
            yield before


@pytest.mark.ray
def test_a_request_to_end_is_answered_as_before_the_connection(two_cores):
    """Ray's own answer to SIGTERM is ``sys.exit``, which would pass by all that saves a search.

    Tried: without the handler put back, it is Ray's.
    """
    assert signal.getsignal(signal.SIGTERM) is two_cores


def children(evaluator, count=2, **options):
    return RayChildren(put(evaluator), count, SETTINGS, **options)


@pytest.mark.ray
@pytest.mark.usefixtures("two_cores")
class TestRayChildrenKeepTheContract(ExecutorContract):
    def make(self, evaluator):
        return children(evaluator)


@pytest.mark.ray
@pytest.mark.usefixtures("two_cores")
class TestChildren:
    def test_a_worker_killed_from_outside_repeats_its_trial_with_the_same_seed(self, tmp_path):
        told = []
        with closing(children(Misbehaving(tmp_path), 1, on_epoch=lambda *what: told.append(what))) as executor:
            executor.submit(job(0, "wait once"))
            killed = kill_when(executor, tmp_path / "begun-0")
            result = wait_for(executor)[0].result
        assert isinstance(result, Evaluation)
        assert result.valid == 1000 % 997 / 997
        assert result.metrics["process"] != killed
        assert told == [(0, 1, 0.25), (0, 2, 0.5)]

    def test_a_trial_whose_worker_dies_again_and_again_is_lost_and_the_next_is_well(self):
        with closing(children(Obedient(), 1, retries=1)) as executor:
            executor.submit(job(0, "die"))
            failure = wait_for(executor)[0].result
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.LOST
            assert "2 times" in failure.message
            executor.submit(job(1))
            assert isinstance(wait_for(executor)[1].result, Evaluation)

    @pytest.mark.parametrize("death", [{"preempted": True}, {"error_msg": SHUT_DOWN}], ids=["preempted", "shut down"])
    def test_a_node_that_was_taken_away_in_good_order_does_not_count(self, death):
        """As Ray says it of such a node: the death is the environment's, announced, and costs no retry.

        Tried: without the look at the text, or at the attribute, the trial is lost.
        """
        with closing(children(Obedient(), 1, retries=0)) as executor:
            executor.submit(job(0))
            (child,) = executor._children
            while child.job is None:
                executor._listen(child)
                executor._hand_out()
            ray.kill(child.actor)
            assert executor._bury(child, ray.exceptions.RayActorError(**death)) == []
            assert isinstance(wait_for(executor)[0].result, Evaluation)

    def test_a_child_that_hangs_is_ended_and_what_it_says_later_is_not_heard(self):
        with closing(children(Obedient(), 1, seconds=1.0)) as executor:
            executor.submit(job(0, "sleep"))
            failure = wait_for(executor)[0].result
            assert isinstance(failure, Failure)
            assert failure.kind is FailureKind.TIMEOUT
            executor.submit(job(0))
            assert isinstance(wait_for(executor)[0].result, Evaluation)

    def test_workers_that_cannot_start_end_the_search_at_once(self):
        with closing(children(Unstartable(), 1)) as executor:
            executor.submit(job(0))
            with pytest.raises(NetwrightError, match="cannot start"):
                wait_for(executor)

    def test_more_workers_than_cores_wait_for_their_turn(self):
        with closing(children(Obedient(), 5)) as executor:
            assert executor.room == 5
            for number in range(8):
                executor.submit(job(number))
            assert sorted(wait_for(executor)) == list(range(8))


def kill_when(executor: RayChildren, sign: Path) -> int:
    """Kills the worker, of one, as soon as its child leaves a sign; returns its process."""
    deadline = time.monotonic() + 60
    (child,) = executor._children
    while not sign.exists():
        assert time.monotonic() < deadline
        if child.starting is not None:
            executor._listen(child)
        executor._hand_out()
        time.sleep(0.05)
    (process,) = [
        p for p in psutil.process_iter(["cmdline"]) if "ray::_ChildActor.run" in "".join(p.info["cmdline"] or ())
    ]
    process.send_signal(signal.SIGKILL)
    return process.pid


def test_a_search_elsewhere_needs_the_extra(monkeypatch):
    from netwright import experiment

    monkeypatch.setattr(experiment, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'netwright\[ray\]'"):
        experiment.require_ray()
