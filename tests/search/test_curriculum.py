"""The depth schedule."""

import pytest

from netwright.config import DepthSchedule
from netwright.recipes import RECIPES
from netwright.search.curriculum import full_size


@pytest.mark.parametrize(
    ("sample", "depth"), [(0, 6), (1599, 6), (1600, 8), (3200, 10), (11_199, 18), (11_200, 20), (12_799, 20)]
)
def test_depth_by_sample_is_the_papers(sample, depth):
    # paper.md 1.3: 8 stages; samples 0..1599 have 6 layers, 11200..12799 have 20.
    assert DepthSchedule()(sample) == depth
    assert RECIPES["cifar10"]().depth(sample) == depth


def test_it_stops_growing_at_the_cap():
    schedule = DepthSchedule(start=1, step=3, interval=10, cap=5)
    assert [schedule(trial) for trial in (0, 9, 10, 20, 1000)] == [1, 1, 4, 5, 5]


@pytest.mark.parametrize(("start", "step", "cap"), [(1, 3, 5), (2, 2, 6), (4, 0, 6), (7, 2, 5), (5, 1, 5)])
def test_its_depths_are_those_that_there_are(start, step, cap):
    schedule = DepthSchedule(start=start, step=step, interval=10, cap=cap)
    assert schedule.depths == sorted({schedule(trial) for trial in range(1000)})


def test_without_a_curriculum_every_architecture_has_full_size():
    assert full_size(0) is full_size(10**6) is None
