"""Requests to end: put off while something must not be cut in two, and never lost."""

import gc
import os
import signal

import pytest

from netwright.interrupts import held_back, listen


@pytest.fixture(autouse=True)
def listening(own_signals):
    listen()


def request(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_interrupts_at_once(number):
    with pytest.raises(KeyboardInterrupt):
        request(number)


def interrupted(action):
    """What an action has noted by the time that it is interrupted."""
    done = []
    with pytest.raises(KeyboardInterrupt):
        action(done.append)
    return done


def test_held_back_it_waits_for_the_end_of_the_outermost_block():
    """Tried: with every request raised at once, and without the raising at the end of a block, it fails."""

    def action(note):
        with held_back():
            with held_back():
                request()
                note("inner")
            note("outer")
        note("after")

    assert interrupted(action) == ["inner", "outer"]


def test_a_second_request_does_not_wait():
    """Tried: with all requests held back, "second" is noted, too."""

    def action(note):
        with held_back():
            request()
            note("first")
            request()
            note("second")

    assert interrupted(action) == ["first"]


class InterruptedAsItGoes:
    def __del__(self):
        request()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_python_swallowed_is_raised_at_the_end_of_the_next_block():
    """Tried: without the raising at the end of a block, it fails."""

    def action(note):
        InterruptedAsItGoes()
        gc.collect()
        note("swallowed")
        with held_back():
            note("in the block")
        note("after")

    assert interrupted(action) == ["swallowed", "in the block"]


def test_an_error_in_the_block_comes_first_and_the_request_is_not_forgotten():
    def fail():
        with held_back():
            request()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    with pytest.raises(KeyboardInterrupt), held_back():
        pass


def test_a_process_in_the_background_goes_on_ignoring_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen()
    request(signal.SIGINT)


def test_a_script_that_leaves_ctrl_c_to_python_is_served_too():
    """Tried: with the blocks of programs alone that have called ``listen``, it fails."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _ in range(2):

        def action(note):
            with held_back():
                request(signal.SIGINT)
                note("in the block")
            note("after")

        assert interrupted(action) == ["in the block"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with held_back():  # the one before is answered
            pass


def test_without_a_request_nothing_happens():
    with held_back():
        pass
