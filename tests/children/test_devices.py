"""Which devices there are."""

import pytest
import torch

from netwright.children.devices import cores, find_devices
from netwright.errors import UsageError


@pytest.fixture
def machine(monkeypatch):
    def make(cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return make


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "found"),
    [
        (0, False, "auto", ["cpu"]),
        (0, True, "auto", ["mps"]),
        (2, False, "auto", ["cuda:0", "cuda:1"]),
        (2, True, "auto", ["cuda:0", "cuda:1"]),
        (2, False, "cpu", ["cpu"]),
        (2, False, "cuda", ["cuda:0", "cuda:1"]),
        (2, False, "cuda:1", ["cuda:1"]),
        (0, True, "mps", ["mps"]),
    ],
)
def test_cuda_before_mps_before_cpu(machine, cuda, mps, wanted, found):
    machine(cuda, mps)
    assert find_devices(wanted) == found


@pytest.mark.parametrize("wanted", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, wanted):
    machine()
    with pytest.raises(UsageError, match=f"{wanted}: not on this machine, which has cpu"):
        find_devices(wanted)


def test_cores_are_those_that_may_be_used():
    import os

    assert cores() == len(os.sched_getaffinity(0))
