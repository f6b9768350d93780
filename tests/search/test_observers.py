"""Observers cannot end a search."""

import logging
import os
import signal

import pytest

from netwright import interrupts
from netwright.config import AccuracyReward, OwnReward
from netwright.search.observers import Doubts, Observers
from netwright.trial import State, Trial


class Full:
    def __init__(self):
        self.asked = 0

    def started(self, job):
        self.asked += 1
        raise OSError(28, "No space left on device")


class Sees:
    def __init__(self):
        self.seen = []

    def started(self, job):
        self.seen.append(job)


def test_one_that_cannot_write_is_shown_nothing_more_and_the_others_are(caplog):
    """As curves for TensorBoard on a full disk."""
    caplog.set_level(logging.WARNING)
    full, sees = Full(), Sees()
    observers = Observers(full, sees)
    for number in range(3):
        observers.started(number)
    assert full.asked == 1
    assert sees.seen == [0, 1, 2]
    assert "Full shows nothing more ([Errno 28] No space left on device); the search continues" in caplog.text


def test_a_reward_below_that_of_a_failure_is_warned_of_once(caplog):
    """Tried: without a word, a search by ``reward=lambda e: -e.valid`` learns to prefer networks that fail."""

    def show(reward, *rewards):
        caplog.clear()
        doubts = Doubts(reward)
        for number, earned in enumerate(rewards):
            state = State.FAILED if earned is None else State.COMPLETE
            trial = Trial(id=number, tokens=(0,), state=state, reward=earned, valid=0.5)
            doubts.finished(trial, None, None)
        return [record.getMessage() for record in caplog.records]

    (said,) = show(OwnReward(), 0.5, -0.25, -0.5)
    assert said.startswith("trial 1 earned -0.25, less than the 0 of a child that fails (reward.floor)")
    assert show(OwnReward(floor=-1), 0.5, -0.25, None, -1) == []
    (said,) = show(AccuracyReward(floor=0.2), 0.125)
    assert "less than the 0.2" in said


class Interrupted(Sees):
    def started(self, job):
        os.kill(os.getpid(), signal.SIGTERM)
        super().started(job)


def test_a_request_to_end_waits_until_all_have_been_shown(own_signals):
    """TensorBoard's writers, interrupted while they hold their lock, never close: seen within 2,500 requests.

    Tried: without ``held_back``, neither has seen it.
    """
    interrupts.listen()
    first, second = Interrupted(), Sees()
    with pytest.raises(KeyboardInterrupt):
        Observers(first, second).started(1)
    assert first.seen == second.seen == [1]
