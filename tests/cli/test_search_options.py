"""What the options of ``netwright search`` come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from netwright.recipes import find_recipe
from netwright.session import resumed
from netwright.settings_file import override


@pytest.mark.parametrize(
    ("calibrate", "workers", "threads"), [(True, 4, 0), (True, 1, 4), (True, 0, 4), (False, 4, 4), (False, 1, 4)]
)
def test_more_workers_on_resuming_share_the_cores_again(calibrate: bool, workers: int, threads: int) -> None:
    """Without it, four workers would take the four threads each that calibration gave to one."""
    settings = {"search.calibrate": calibrate, "search.workers": 1, "search.threads": 4}
    began = override(find_recipe("digits"), settings)
    asked = override(began, {"search.workers": workers})
    again = resumed(began, asked, Path("run"))
    assert again.search.threads == threads
    assert again.search.workers == (workers or 1)
