"""A session leaves the process as it found it."""

import pytest
import torch

from helpers.searching import CONFIG, SPACE, TASK, Stub
from netwright import session
from netwright.children.devices import torch_threads
from netwright.experiment import Parts, make_strategy
from netwright.search.observers import Observers
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
