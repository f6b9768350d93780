"""A session leaves the process as it found it."""

import re

import pytest
import torch

import netwright
from helpers.commands import SMALL_RECIPE
from helpers.searching import CONFIG, SPACE, TASK, Stub
from netwright import session
from netwright.children.devices import torch_threads
from netwright.errors import UsageError
from netwright.experiment import Parts, make_strategy
from netwright.search.observers import Observers
from netwright.session import check_cluster, cluster_address
from netwright.settings_file import override
from netwright.store.run_folder import RunFolder


@pytest.mark.parametrize(("asked", "expected"), [(1, 1), (None, 3)])
def test_a_controller_has_the_threads_that_are_asked_for_and_the_process_its_own_again(
    tmp_path, monkeypatch, asked, expected
):
    config, met = override(CONFIG, {} if asked is None else {"search.controller_threads": asked}), []
    monkeypatch.setattr(session, "_run_here", lambda *arguments, **options: met.append(torch.get_num_threads()))
    folder = RunFolder.create(tmp_path / "run", config, TASK)
    parts = Parts(space=SPACE, strategy=make_strategy(config, SPACE), evaluators=[Stub()], task=TASK, config=config)
    with torch_threads(3):
        session.run(folder, parts, Observers())
        assert torch.get_num_threads() == 3
    assert met == [expected]


@pytest.mark.parametrize(
    ("given", "told", "found"),
    [("head:1", "other:1", "head:1"), (None, "other:1", "other:1"), (None, "", None), (None, None, None)],
)
def test_a_cluster_is_where_somebody_says_or_else_the_environment(monkeypatch, given, told, found):
    """Tried: with an empty variable taken for an address, Ray does not start here."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if told is not None:
        monkeypatch.setenv("RAY_ADDRESS", told)
    assert cluster_address(given) == found


def test_an_address_is_refused_where_nothing_runs_on_a_cluster():
    with pytest.raises(UsageError, match="add --executor ray"):
        check_cluster(CONFIG, "auto")
    check_cluster(CONFIG, None)


ALL = {"search.executor": "ray", "search.workers": 4, "search.device": "cuda"}


@pytest.mark.parametrize(
    ("address", "told", "given", "said"),
    [
        ("auto", "", None, "--device cuda, --workers 4: without effect on the cluster at auto,"),
        (None, "head:1", None, "--device cuda, --workers 4: without effect on the cluster at head:1,"),
        (None, "", None, "--device cuda: without effect on Ray,"),
        ("auto", "", {"search.workers": 2}, "--workers 2: without effect on the cluster at auto,"),
        (None, "", {"search.device": "cuda:1"}, "--device cuda:1: without effect on Ray,"),
    ],
)
def test_workers_and_devices_of_one_machine_are_refused_on_a_cluster(monkeypatch, address, told, given, said):
    """Tried: without the look at them, children that were meant for a card are trained on processors."""
    monkeypatch.setattr(session, "find_spec", lambda name: True)
    monkeypatch.setenv("RAY_ADDRESS", told)
    with pytest.raises(UsageError, match=f"^{re.escape(said)}") as error:
        check_cluster(override(CONFIG, ALL), address, given)
    for name in ("cluster.replicas", "cluster.children", "cluster.child_gpus"):
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("settings", "address", "given"),
    [
        ({"search.workers": 4}, None, None),  # the cores of the Ray that is started here
        ({"search.workers": 4, "search.device": "cuda"}, "auto", {}),  # stored, perhaps by the search that is tuned
        ({"search.workers": 4}, "auto", {"search.device": "auto", "search.trials": 9}),
        ({"search.workers": 0}, "auto", None),
    ],
)
def test_what_has_an_effect_or_was_stored_is_not_refused_on_a_cluster(monkeypatch, settings, address, given):
    monkeypatch.setattr(session, "find_spec", lambda name: True)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    check_cluster(override(CONFIG, {"search.executor": "ray", **settings}), address, given)


def test_a_search_from_python_runs_on_the_cluster_that_it_is_given(tmp_path, monkeypatch):
    """Tried: without the argument, it starts a Ray of this machine."""
    met = []
    monkeypatch.setattr(session, "find_spec", lambda name: True)  # of Ray, which is not reached
    monkeypatch.setattr("netwright.library.run", lambda *arguments, **options: met.append(options["ray_address"]))
    for address in ("head:6379", None):  # begun, and resumed
        settings = {"search.executor": "ray"}
        netwright.run_search(SMALL_RECIPE, tmp_path / "run", settings=settings, ray_address=address).close()
    assert met == ["head:6379", None]
