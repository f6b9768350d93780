"""Which devices there are."""

import pytest
import torch

from netwright.children import devices
from netwright.children.devices import Glance, cores, fast_half, find_devices, limit_memory, resident
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


def test_half_precision_of_a_card_without_bfloat16_is_float16(monkeypatch):
    card = torch.device("cuda:0")
    for native, found in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert fast_half(card) is found
    assert fast_half(torch.device("mps")) is None


def test_data_are_copied_to_a_device_once_and_the_copy_goes_with_them():
    """The device "meta" stands in for a graphics card."""
    there, data = torch.device("meta"), torch.zeros(10, 3)
    assert resident(data, torch.device("cpu")) is data
    with torch.inference_mode():
        copy = resident(data, there)
    assert not copy.is_inference(), "training could not use it"
    assert copy.device == there
    assert resident(data, there) is copy
    some = resident(data[:4], there)
    assert some.shape == (4, 3)
    assert some.untyped_storage()._cdata == copy.untyped_storage()._cdata, "a second copy"
    assert resident(data[2:6], there).shape == (4, 3)
    assert len(devices._resident) == 1
    del data
    assert not devices._resident


class Arrival:
    """An event of a card that is done when the test says so."""

    def __init__(self):
        self.recorded, self.done = 0, False

    def record(self):
        self.recorded, self.done = self.recorded + 1, False

    def query(self):
        return self.done


def test_a_glance_at_the_cpu_tells_the_number_itself():
    assert Glance(torch.device("cpu"))(torch.tensor(2.5)) == 2.5


def test_a_glance_at_a_card_tells_what_has_arrived_and_asks_for_no_second_copy_before():
    arrival = Arrival()
    glance = Glance(torch.device("cpu"), arrival)
    assert glance(torch.tensor(1.0)) == 0.0
    assert glance(torch.tensor(2.0)) == 0.0
    assert arrival.recorded == 1
    arrival.done = True
    assert glance(torch.tensor(3.0)) == 1.0
    arrival.done = True
    assert glance(torch.tensor(4.0)) == 3.0


def test_workers_that_share_a_card_have_their_part_of_its_memory(monkeypatch):
    limits = []
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, index: limits.append((share, index))
    )
    limit_memory(torch.device("cpu"), 0.5)
    limit_memory(torch.device("cuda:1"), 1.0)
    assert limits == []
    limit_memory(torch.device("cuda:1"), 0.25)
    assert limits == [(pytest.approx(0.225), 1)]
