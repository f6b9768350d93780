"""What the options of ``netwright search`` come to."""

from __future__ import annotations

import pytest

from netwright.cli.search import threads_shared_again
from netwright.config import SearchSettings


@pytest.mark.parametrize(
    ("calibrate", "workers", "cleared"), [(True, 4, True), (True, 1, False), (True, None, False), (False, 4, False)]
)
def test_more_workers_on_resuming_share_the_cores_again(calibrate: bool, workers: int | None, cleared: bool) -> None:
    """Without it, four workers would take the four threads each that calibration gave to one."""
    began = SearchSettings(calibrate=calibrate, workers=1, threads=4)
    assert threads_shared_again(began, workers) == ({"search.threads": 0} if cleared else {})
