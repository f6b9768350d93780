"""``netwright search --executor ray``: equal to one machine where it should be, and exact whatever dies.

What is killed are real processes: workers, replicas, shards, raylets, the head of the cluster and the driver.
"""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing, suppress

import psutil
import pytest

pytest.importorskip("ray", reason="needs the extra [ray]")

from helpers import commands
from helpers.commands import SMALL, SMALL_RECIPE, begin, finished, netwright, result

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder that has nothing of Ray's, and an environment that says nothing about it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setitem(commands.ENVIRONMENT, "HOME", str(folder))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS"):
        monkeypatch.delitem(commands.ENVIRONMENT, name, raising=False)
    return folder


def rows(run):
    """What must not change once it stands: the finished trials, without their notes."""
    columns = "id, tokens, state, reward, metrics, curve, error, started_at, finished_at, told"
    with closing(sqlite3.connect(f"file:{run / 'trials.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT {columns} FROM trials WHERE state != 'running' ORDER BY id").fetchall()


def check_exact(run, trials):
    """Every trial is there once, and is complete."""
    there = rows(run)
    assert [row[0] for row in there] == list(range(trials))
    assert {row[2] for row in there} == {"complete"}
    assert sorted(row[-1] for row in there) == list(range(trials))


def updates(run):
    with closing(sqlite3.connect(f"file:{run / 'trials.db'}?mode=ro", uri=True)) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM updates ORDER BY number")]


def wait_until(condition, process, within=300.0):
    deadline = time.monotonic() + within
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def processes(name, root=None):
    """The processes of Ray whose title holds ``name``, below ``root`` or this process: others may test beside us."""
    there = []
    for process in psutil.Process(root).children(recursive=True):
        with suppress(psutil.Error):
            if name in " ".join(process.cmdline()):
                there.append(process)
    return there


def family(process):
    """All processes below the driver, but for those of Ray that look after their node only now and then."""
    return [p for p in psutil.Process(process.pid).children(recursive=True) if not p.name().endswith("Agent")]


def test_one_replica_is_the_search_on_one_machine_bit_for_bit(tmp_path, home):
    """Trials, rewards, updates, and every checkpoint by its digest; and nothing is left in the home folder."""
    local, cluster = tmp_path / "local", tmp_path / "cluster"
    done = netwright(*SMALL, "--workers", 2, "--trials", 10, "--out", local)
    assert done.returncode == 0, done.stderr
    settings = ("--set", "cluster.shards=3", "--set", "cluster.children=4")
    done = netwright(*SMALL, "--executor", "ray", *settings, "--trials", 10, "--out", cluster)
    assert done.returncode == 0, done.stderr
    assert "[10/10] trial" in done.stderr
    assert result(cluster) == result(local)
    assert not (home / ".ray").exists()


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["reinforce", "random"])
def test_the_memory_limit_and_the_log_files_are_those_of_one_machine(tmp_path, strategy):
    """For children of replicas, and for those of the driver; two replicas of one child each have a file of their own.

    Tried: it fails without the limit, or without the folder, at either place where children are made.
    """
    run = tmp_path / "run"
    settings = ("--set", f"strategy.name={strategy}", "--set", "search.child_memory_mb=10", "--workers", 2)
    cluster = ("--executor", "ray", "--set", "cluster.replicas=2", "--set", "cluster.children=1")
    done = netwright("search", SMALL_RECIPE, *settings, *cluster, "--trials", 4, "--out", run)
    assert done.returncode == 5, done.stderr  # no trial had room
    for row in rows(run):
        assert "search.child_memory_mb = 10 MiB" in row[6]
    logs = [run / "workers" / f"worker-{number}.log" for number in range(2)]
    notes = "".join(path.read_text() for path in logs)
    assert sorted(line for line in notes.splitlines() if line.startswith("[")) == [f"[trial {n}]" for n in range(4)]


@pytest.mark.long
def test_the_driver_killed_with_9_goes_on_with_a_new_cluster(tmp_path, home):
    """With the token of an earlier cluster in the home folder, which must not matter to either."""
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    run, trials = tmp_path / "run", 18
    settings = ("--set", "cluster.replicas=2", "--set", "cluster.children=2", "--set", "cluster.shards=2")
    process = begin(*SMALL, "--executor", "ray", *settings, "--trials", trials, "--out", run)
    wait_until(lambda: finished(run) >= 5, process)
    members = family(process)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(members, timeout=30)
    assert alive == [], "Ray outlives its driver"
    before = rows(run)
    assert 5 <= len(before) < trials
    done = netwright("search", "--resume", run, "--executor", "ray", "--quiet")
    assert done.returncode == 0, done.stderr
    check_exact(run, trials)
    assert [row for row in rows(run) if row[0] in {old[0] for old in before}] == before
    assert updates(run) == list(range(1, trials // 2 + 1))


@pytest.mark.long
def test_replicas_with_no_room_for_their_children_hold_nobody_up(tmp_path):
    """Twelve children of three replicas, of which two have room: who has none takes no batch, or hands on its place."""
    run, trials = tmp_path / "run", 14
    settings = ("--set", "cluster.replicas=3", "--set", "cluster.children=4")
    done = netwright(*SMALL, "--executor", "ray", *settings, "--workers", 2, "--trials", trials, "--out", run)
    assert done.returncode == 0, done.stderr
    check_exact(run, trials)


def test_the_head_of_the_cluster_dies_and_a_new_one_goes_on(tmp_path, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setitem(commands.ENVIRONMENT, "RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    monkeypatch.setitem(commands.ENVIRONMENT, "RAY_gcs_rpc_server_connect_timeout_s", "1")
    process = begin(*SMALL, "--executor", "ray", "--set", "cluster.children=2", "--trials", 1000, "--out", run)
    wait_until(lambda: finished(run) >= 3, process)
    (head,) = processes("gcs_server", process.pid)
    members = family(process)
    head.kill()
    process.communicate(timeout=120)
    assert process.returncode != 0
    _, alive = psutil.wait_procs(members, timeout=30)
    assert alive == []
    before = rows(run)
    with closing(sqlite3.connect(run / "trials.db")) as connection:
        ((begun,),) = connection.execute("SELECT COUNT(*) FROM trials")
    trials = begun + 4
    done = netwright("search", "--resume", run, "--trials", trials, "--quiet")
    assert done.returncode == 0, done.stderr
    check_exact(run, trials)
    assert set(before) <= set(rows(run))


@pytest.fixture
def four_nodes(monkeypatch):
    """Four logical nodes; each raylet is found dead after three seconds of silence."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setitem(commands.ENVIRONMENT, "RAY_AUTH_MODE", "disabled")
    for name, value in {"period_ms": 1000, "timeout_ms": 1000, "failure_threshold": 3}.items():
        monkeypatch.setenv(f"RAY_health_check_{name}", str(value))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    nodes = [cluster.add_node(num_cpus=4) for _ in range(3)]
    yield cluster, nodes
    cluster.shutdown()
    ray.shutdown()


def raylet(node):
    """The process of a node's raylet."""
    (info,) = node.all_processes["raylet"]
    return psutil.Process(info.process.pid)


@pytest.mark.long
def test_whatever_dies_the_number_of_trials_is_exact(tmp_path, four_nodes):
    """Killed in turn: a worker, a shard, a replica, a raylet (stopped: a partition), a node; and one is added."""
    cluster, nodes = four_nodes
    run, trials = tmp_path / "run", 48
    settings = ("--set", "cluster.shards=2", "--set", "cluster.replicas=3", "--set", "cluster.children=4")
    slow = ("--set", "child.epochs=4", "--set", "space.depth=4")
    address = ("--executor", "ray", "--ray-address", cluster.address)
    process = begin(*SMALL, *slow, *address, *settings, "--trials", trials, "--out", run)
    told = 0

    def some_more(count=4):
        nonlocal told
        told = finished(run) + count
        wait_until(lambda: finished(run) >= min(told, trials), process)

    some_more()
    next(iter(processes("ray::ChildActor.run"))).kill()
    some_more()
    processes("ray::ShardActor")[0].kill()
    some_more()
    processes("ray::ReplicaActor")[0].kill()
    some_more()
    raylet(nodes[0]).send_signal(signal.SIGSTOP)
    some_more()
    raylet(nodes[0]).send_signal(signal.SIGCONT)  # finds itself declared dead; whatever it still says is not heard
    cluster.remove_node(nodes[1])
    cluster.add_node(num_cpus=4)
    some_more()
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    check_exact(run, trials)
    numbers = updates(run)
    assert numbers[-1] == trials // 4, "as many gradients as batches: each was taken in once"
    # A shard that dies has forgotten what came after its last checkpoint, a gradient of each replica at the most. Their
    # batches are learnt from again, and where all their trials were told, that has no trial to stand with in the table.
    assert len(numbers) >= trials // 4 - 3
    assert "shard" in errors
    assert "has died; it resumes from its last checkpoint" in errors
