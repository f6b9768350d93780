"""Observers cannot end a search."""

import logging

from netwright.search.observers import Observers


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
    assert "Full shows nothing more ([Errno 28] No space left on device); the search goes on" in caplog.text
