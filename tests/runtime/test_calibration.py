"""Which layout of workers and threads is measured to be the fastest."""

import time
from collections import deque

import pytest

from netwright.runtime.calibration import Layout, calibrate, layouts
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
    rates = calibrate(machines.__getitem__, ANY, 2, seconds=0.3)
    assert max(rates, key=rates.get) == Layout(1, 2)
    assert rates[2, 1] == pytest.approx(2 / 0.05, rel=0.3)
    assert all(machine.closed for machine in machines.values())


def test_children_that_fail_leave_the_default():
    broken = Machine(2, 0.0, Failure(kind=FailureKind.ERROR, message="broken"))
    assert calibrate(lambda layout: broken, ANY, 2) == {Layout(2, 1): 0.0}
