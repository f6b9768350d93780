"""What one file knows of Ray: children as actors, tensors once per node, and the table of versions."""

# ruff: noqa: E402  nothing here can be imported without Ray

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import psutil
import pytest
import torch

ray = pytest.importorskip("ray", reason="needs the extra [ray]")
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError

from helpers.misbehaving import Deadly, HoldsData, Misbehaving, Unstartable
from netwright.config import ClusterSettings
from netwright.data.images import load_images
from netwright.errors import NetwrightError, UsageError
from netwright.runtime.attempts import Cause
from netwright.runtime.ray import children as ray_children
from netwright.runtime.ray.child_actor import LogFolder
from netwright.runtime.ray.children import RayChildren, RoomWatch, death_of_actor, lacking
from netwright.runtime.ray.connection import compare, connected, fingerprint_of_driver
from netwright.runtime.ray.packing import pack, put, unpack
from netwright.runtime.worker_log import log_file
from netwright.testing.executors import ExecutorContract, Obedient, is_gone, job, wait_for
from netwright.trial import Evaluation

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
        "the nodes run different versions; install the same ones everywhere:",
        "              python  netwright  torch     ray",
        "this process  3.11.7  0.1.0      2.13.0    2.60.0",
        "10.0.0.1      3.11.7  0.1.0      2.13.0    2.60.0",
        "10.0.0.2      3.11.7  0.1.0      2.12.1 !  2.60.0",
        "10.0.0.3      3.11.7  missing !  2.13.0    2.60.0",
    ]


def test_the_fingerprint_travels_by_value():
    """On a node without netwright it must run, to say just that."""
    from ray import cloudpickle

    from netwright.runtime.ray import connection

    program = """
import sys
sys.modules["netwright"] = None
from ray import cloudpickle
print(cloudpickle.loads(sys.stdin.buffer.read())())
"""
    pickled = cloudpickle.dumps(connection.fingerprint_function())
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


def test_a_warning_says_that_nothing_can_be_placed(monkeypatch, caplog):
    """Once a minute, of whatever runs children; nothing where there is room.

    Tried: without the look in ``RayChildren``, or without the clock, it fails.
    """
    now, nodes = [0.0], []
    monkeypatch.setattr(ray_children.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(ray_children.ray, "nodes", lambda: nodes)
    watch = RoomWatch(ClusterSettings(child_gpus=1))
    for now[0] in (30.0, 61.0, 90.0, 122.0):
        watch.look()
    assert caplog.messages == ["no node has what a child takes (1 CPU, 1 GPU); waiting for one that has"] * 2
    nodes.append({"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}})
    now[0] = 300.0
    watch.look()
    assert len(caplog.messages) == 2


SHUT_DOWN = """The actor died because its node has died. Node Id: 0
\tthe actor's node was terminated expectedly: received SIGTERM"""


@pytest.fixture(scope="module")
def two_cores():
    """Two cores of this machine; yields who answered SIGTERM before."""
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
    def make(self, evaluator, limits):
        return children(
            evaluator,
            seconds=limits.seconds,
            memory_mb=limits.memory_mb,
            on_epoch=limits.on_epoch,
            retries=limits.retries,
        )


@pytest.mark.ray
@pytest.mark.usefixtures("two_cores")
class TestChildren:
    def test_an_actor_killed_from_outside_takes_its_child_along_and_the_trial_runs_again(self, tmp_path):
        """The actor is the parent of the process that the child runs in.

        Tried: with ``retries=0`` there is no evaluation; without the thread that waits for the parent, the child lives
        on; with its copies of the actor's sockets, Ray does not notice then that the actor is gone.
        """
        killed = []

        def kill(trial, epoch, valid):
            if not killed:
                (child,) = [p for p in psutil.process_iter() if p.pid == int((tmp_path / "sign").read_text())]
                killed.extend([child.pid, child.ppid()])
                child.parent().kill()

        with closing(children(Obedient(), 1, on_epoch=kill, retries=1)) as executor:
            executor.submit(job(0, "sleep once", sign=str(tmp_path / "sign")))
            result = wait_for(executor)[0].result
        assert isinstance(result, Evaluation)
        assert result.valid == 1000 % 997 / 997
        assert result.metrics["process"] not in killed
        assert all(map(is_gone, killed))

    def test_an_idle_actor_that_is_killed_costs_no_job_a_retry(self):
        """Tried: with every death of an actor counted, the job is lost."""
        with closing(children(Obedient(), 1, retries=0)) as executor:
            executor.submit(job(0))
            wait_for(executor)
            ray.kill(executor._children[0].actor)
            executor.submit(job(1))
            assert isinstance(wait_for(executor)[1].result, Evaluation)

    def test_workers_that_cannot_start_end_the_search_at_once(self):
        with closing(children(Unstartable(), 1)) as executor:
            executor.submit(job(0))
            with pytest.raises(
                NetwrightError, match=r"worker 0 cannot start \(exit code 1\): ImportError: no such mod"
            ):
                wait_for(executor)

    def test_workers_that_are_killed_as_they_start_end_the_search_after_three_attempts(self):
        """Tried: without the count, they are started until somebody stops it."""
        with closing(children(Deadly(), 1)) as executor:
            executor.submit(job(0))
            with pytest.raises(NetwrightError, match=r"worker 0 cannot start: killed .*, and 2 others before it"):
                wait_for(executor)

    def test_more_workers_than_cores_wait_for_their_turn(self):
        with closing(children(Obedient(), 5)) as executor:
            assert executor.room == 5
            for number in range(8):
                executor.submit(job(number))
            assert sorted(wait_for(executor)) == list(range(8))

    def test_children_have_the_threads_they_are_given_and_print_into_the_file_of_their_worker(self, tmp_path):
        """On the node of the folder; elsewhere nothing is written.

        Tried: it fails with the threads of ``child_cpus``, without the folder, and without the first worker's number.
        """
        logs = LogFolder.here(tmp_path)
        options = {"threads": 2, "first": 7}
        with closing(children(Misbehaving(tmp_path), 1, logs=logs, **options)) as executor:
            executor.submit(job(0, "count threads"))
            executor.submit(job(1, "print in all ways"))
            outcomes = wait_for(executor)
        assert outcomes[0].result.valid == 2
        assert {outcome.worker for outcome in outcomes.values()} == {7}
        lines = log_file(tmp_path, 7).read_text().splitlines()
        assert lines[:2] == ["[trial 0]", "[trial 1]"]
        assert {"by print", "by print to standard error", "directly to 1", "by a grandchild"} <= set(lines)
        log_file(tmp_path, 7).unlink()
        with closing(children(Misbehaving(tmp_path), 1, logs=replace(logs, node="another"), **options)) as executor:
            executor.submit(job(2, "print in all ways"))
            wait_for(executor)
        assert not log_file(tmp_path, 7).exists()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc of Linux")
    def test_the_data_are_mapped_from_the_object_store_and_not_copied(self):
        """Tried: with a worker that is spawned, to which they are sent, they are its own."""
        with closing(children(HoldsData(torch.ones(10_000_000, dtype=torch.uint8)), 1)) as executor:
            executor.submit(job(0))
            result = wait_for(executor)[0].result
        assert isinstance(result, Evaluation), result
        assert result.valid == 10_000_000
        assert result.metrics["shared"]


def a_child_at_work(executor, sign):
    """The one worker of an executor, as soon as its job has left a sign."""
    (child,) = executor._children
    while not (child.begun and sign.exists()):
        executor._listen()
        executor._hand_out()
    return child


@pytest.mark.ray
@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("death", [{"preempted": True}, {"error_msg": SHUT_DOWN}], ids=["preempted", "shut down"])
def test_a_node_that_was_taken_away_in_good_order_does_not_count(death, tmp_path):
    """As Ray says it of such a node: the death is the environment's, announced, and costs no retry.

    Tried: without the look at the text, or at the attribute, the trial is lost.
    """
    with closing(children(Obedient(), 1, retries=0)) as executor:
        executor.submit(job(0, "sleep once", sign=str(tmp_path / "sign")))
        child = a_child_at_work(executor, tmp_path / "sign")
        ray.kill(child.actor)
        assert executor._replace(child, RayActorError(**death)) == []
        assert isinstance(wait_for(executor)[0].result, Evaluation)


def test_what_ray_says_of_an_actor_that_is_no_more():
    """In Ray's words of version 2.60. A child cannot end its actor, so that no such death is a crash of its own.

    Tried: without the kind of exception, Ray's memory monitor is a kill from outside.
    """
    text = "The actor died unexpectedly before finishing this task.\n\tpid: 7\n"
    killed = text + "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR"
    assert death_of_actor(RayActorError(error_msg=killed)).cause is Cause.KILLED
    assert "SYSTEM_ERROR" in str(death_of_actor(RayActorError(error_msg=killed)))
    assert death_of_actor(NodeDiedError("its node")).cause is Cause.KILLED
    assert death_of_actor(RayActorError(error_msg=SHUT_DOWN)).cause is Cause.ANNOUNCED
    assert death_of_actor(RayActorError(preempted=True)).cause is Cause.ANNOUNCED
    memory = death_of_actor(OutOfMemoryError("1 worker was killed due to the node running low on memory.\nmore"))
    assert memory.cause is Cause.OUT_OF_MEMORY
    assert str(memory) == "killed: out of memory (by Ray: 1 worker was killed due to the node running low on memory.)"


def test_a_search_elsewhere_needs_the_extra(monkeypatch):
    from netwright import session

    monkeypatch.setattr(session, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'netwright\[ray\]'"):
        session.require_ray()
