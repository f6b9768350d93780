"""A session leaves the process as it found it."""

import torch

from helpers.searching import CONFIG, SPACE, TASK, Stub
from netwright import session
from netwright.children.devices import torch_threads
from netwright.experiment import Parts, make_strategy
from netwright.search.observers import Observers
from netwright.store.run_folder import RunFolder


def test_a_controller_works_with_one_thread_and_the_process_has_its_own_again(tmp_path, monkeypatch):
    """Tried: without it, two threads wait for cores that children work on, and an update takes twelve times as long."""
    met = []
    monkeypatch.setattr(session, "_run_here", lambda *arguments, **options: met.append(torch.get_num_threads()))
    folder = RunFolder.create(tmp_path / "run", CONFIG, TASK)
    parts = Parts(space=SPACE, strategy=make_strategy(CONFIG, SPACE), evaluators=[Stub()], task=TASK, config=CONFIG)
    with torch_threads(3):
        session.run(folder, parts, Observers())
        assert torch.get_num_threads() == 3
    assert met == [1]
