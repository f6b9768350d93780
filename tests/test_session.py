"""A session leaves the process as it found it."""

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


def test_a_search_from_python_runs_on_the_cluster_that_it_is_given(tmp_path, monkeypatch):
    """Tried: without the argument, it starts a Ray of this machine."""
    met = []
    monkeypatch.setattr(session, "find_spec", lambda name: True)  # of Ray, which is not reached
    monkeypatch.setattr("netwright.library.run", lambda *arguments, **options: met.append(options["ray_address"]))
    for address in ("head:6379", None):  # begun, and resumed
        settings = {"search.executor": "ray"}
        netwright.run_search(SMALL_RECIPE, tmp_path / "run", settings=settings, ray_address=address).close()
    assert met == ["head:6379", None]
