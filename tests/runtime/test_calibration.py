"""Which layout of workers and threads is measured to be the fastest."""

import time
from collections import deque
from functools import partial

import pytest
import torch

from netwright.children import devices
from netwright.children.replay import FIRST
from netwright.experiment import calibrated, kind_of
from netwright.recipes import find_recipe
from netwright.runtime import calibration, process_pool
from netwright.runtime.calibration import Layout, batches_of, calibrate, card_layouts, layouts
from netwright.settings_file import override
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.trial import Evaluation, Failure, FailureKind, Outcome

ANY = ChoiceArchitecture(space="none", choices=())


def test_every_layout_uses_all_cores_it_can():
    assert layouts(1) == [(1, 1)]
    assert layouts(6) == [(6, 1), (3, 2), (1, 4)]
    assert layouts(8) == [(8, 1), (4, 2), (2, 4), (1, 8)]


class Machine:
    """An executor whose jobs take a known time each, as many at a time as there are workers."""

    def __init__(self, workers, seconds, result=None):
        self.workers, self.seconds, self.closed = workers, seconds, False
        self.result = result or Evaluation(valid=1.0)
        self.jobs = deque()

    def submit(self, job):
        self.jobs.append(job)

    def wait(self):
        time.sleep(self.seconds)
        done = [self.jobs.popleft() for _ in range(self.workers)]
        return [Outcome(id=job.id, result=self.result, seconds=self.seconds, worker=w) for w, job in enumerate(done)]

    def close(self):
        self.closed = True


def test_the_layout_with_the_most_jobs_per_second_has_the_highest_rate():
    machines = {Layout(2, 1): Machine(2, 0.05), Layout(1, 2): Machine(1, 0.01)}
    rates = calibrate(machines.__getitem__, ANY, layouts(2), seconds=0.3)
    assert max(rates, key=rates.get) == Layout(1, 2)
    assert rates[2, 1] == pytest.approx(2 / 0.05, rel=0.3)
    assert all(machine.closed for machine in machines.values())


def test_children_that_fail_leave_the_default():
    broken = Machine(2, 0.0, Failure(kind=FailureKind.ERROR, message="broken"))
    assert calibrate(lambda layout: broken, ANY, layouts(2)) == {Layout(2, 1): 0.0}


def test_workers_share_a_card_as_long_as_each_has_a_core():
    assert card_layouts(1, 2) == [(1, 2), (2, 1)]
    assert card_layouts(2, 16) == [(2, 8), (4, 4), (8, 2), (16, 1)]
    assert card_layouts(4, 1) == [(4, 1)]


def test_the_first_layout_that_fails_is_the_last_that_is_tried():
    """Tried: without the end at the first failure, eight workers follow four that found no memory."""
    machines = {Layout(1, 4): Machine(1, 0.01)}
    full = Machine(2, 0.0, Failure(kind=FailureKind.OUT_OF_MEMORY, message="CUDA out of memory"))
    rates = calibrate(lambda layout: machines.get(layout, full), ANY, card_layouts(1, 4), seconds=0.1)
    assert list(rates) == [(1, 4), (2, 2)]
    assert max(rates, key=rates.get) == Layout(1, 4)


def test_no_more_workers_are_put_on_a_card_than_make_it_faster():
    """Tried: without the end, all four are tried, and the fastest of four equals is a matter of luck."""
    machines = {Layout(1, 8): Machine(1, 0.02), Layout(2, 4): Machine(2, 0.02), Layout(4, 2): Machine(4, 0.04)}
    rates = calibrate(machines.__getitem__, ANY, card_layouts(1, 8), seconds=0.3, gain=0.3)
    assert list(rates) == [(1, 8), (2, 4), (4, 2)]
    assert rates[2, 4] > 1.3 * rates[1, 8]


@pytest.mark.parametrize(("cards", "batches"), [(0, 2), (1, 200)])
def test_children_on_a_card_are_long_enough_to_be_replayed(cards, batches):
    config = find_recipe("digits")
    kind = kind_of(config)
    assert batches_of(cards) == batches
    assert batches == 2 or batches > 10 * FIRST
    data = kind.load(config.data)
    excerpt = kind.excerpt(data, config.child, batches_of(cards))
    assert len(excerpt.train) == min(batches * config.child.batch_size, len(data.train))


def test_training_alone_is_measured_of_a_network_of_any_size(monkeypatch):
    """Tried: over its budget the child fails, every rate is 0.0, and the first layout is kept as if it were best."""
    monkeypatch.setattr(devices, "cores", lambda: 2)
    met = []

    def pool(evaluators, threads):
        met.extend(evaluators)
        return Machine(len(evaluators), 0.01)

    monkeypatch.setattr(process_pool, "ProcessPool", pool)
    monkeypatch.setattr(calibration, "calibrate", partial(calibrate, seconds=0.1))
    given = {"space.fill": False, "child.max_multiply_adds": 10, "reward.target.latency_ms": 0.1}
    config = override(
        find_recipe("digits"), {"search.calibrate": True, "search.workers": 0, "search.device": "cpu"} | given
    )
    kind = kind_of(config)
    calibrated(config, kind, config.space, kind.load(config.data), lambda said: None)
    assert met
    assert all(one.settings.max_multiply_adds is None and not one.settings.latency.measure for one in met)


def test_where_nothing_could_be_measured_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(calibration, "calibrate", lambda start, architecture, candidates, gain: {Layout(2, 1): 0.0})
    config = override(find_recipe("digits"), {"search.calibrate": True, "search.workers": 0, "search.device": "cpu"})
    kind, said = kind_of(config), []
    assert calibrated(config, kind, config.space, kind.load(config.data), said.append) is config
    assert "nothing was measured" in said[-1]


def test_on_two_cards_workers_take_them_in_turn_and_share_their_memory(monkeypatch):
    """Two cards of make-believe; more workers are faster here, up to four on each."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "cores", lambda: 8)
    tried = []

    def pool(evaluators, threads):
        tried.append([(evaluator.device, evaluator.device_share) for evaluator in evaluators])
        return Machine(len(evaluators), 0.01)

    monkeypatch.setattr(process_pool, "ProcessPool", pool)
    monkeypatch.setattr(calibration, "calibrate", partial(calibrate, seconds=0.1))
    config = override(find_recipe("digits"), {"search.calibrate": True, "search.workers": 0})
    kind = kind_of(config)
    said = []
    found = calibrated(config, kind, config.space, kind.load(config.data), said.append)
    assert tried[0] == [("cuda:0", 1.0), ("cuda:1", 1.0)]
    assert tried[1] == [("cuda:0", 0.5), ("cuda:1", 0.5)] * 2
    assert len(tried) == 3
    assert (found.search.workers, found.search.threads) == (8, 1)
    assert "2 graphics cards" in said[0]
