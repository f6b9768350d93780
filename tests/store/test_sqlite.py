"""The trial store's guarantees, one by one."""

import contextlib
import multiprocessing
import random
import sqlite3
import warnings
from contextlib import closing

import pytest

from netwright.errors import StorageError
from netwright.store.rows import Session, running_row
from netwright.store.sqlite import TrialStore
from netwright.testing.executors import order
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, State, Trial, Update


def proposal(number):
    return Proposal(id=number, tokens=(number, 2**61), notes={"log_prob": -1.5})


def start(store, *numbers):
    store.insert([running_row(proposal(number), order("answer", number=number)) for number in numbers])


def finish(store, number, reward=0.5, update=None, sha256=None, **result):
    outcome = Outcome(id=number, result=Evaluation(valid=0.8, **result), seconds=1.5, worker=1)
    trial = Trial(id=number, tokens=(number, 2**61), state=State.COMPLETE, reward=reward, valid=0.8)
    store.finish(store.concluded(trial, outcome), update, sha256)


UPDATE = Update(number=1, reward=0.5, baseline=0.4, entropy=3.0, gradient_norm=0.1)


@pytest.fixture
def store(tmp_path):
    with closing(TrialStore.create(tmp_path / "trials.db")) as store:
        yield store


def test_what_is_written_is_read(store):
    start(store, 0, 1)
    finish(store, 0, metrics={"parameters": 12}, curve=(0.1, 0.8))
    first, second = store.rows()
    assert (first.id, first.tokens, first.state, first.reward) == (0, (0, 2**61), State.COMPLETE, 0.5)
    assert (first.valid, first.metrics, first.curve) == (0.8, {"parameters": 12}, (0.1, 0.8))
    assert (first.seconds, first.worker, first.notes) == (1.5, 1, {"log_prob": -1.5})
    assert first.digest == order("answer", number=0).digest
    assert (second.state, second.reward, second.valid) == (State.RUNNING, None, None)
    assert store.history().unfinished == [proposal(1)]


def test_a_failure_keeps_its_kind_and_text(store):
    start(store, 0)
    outcome = Outcome(id=0, result=Failure(kind=FailureKind.TIMEOUT, message="too slow"), seconds=9.0)
    store.finish(store.concluded(Trial(id=0, tokens=(0,), state=State.FAILED, reward=0.0), outcome))
    (row,) = store.rows()
    assert (row.state, row.failure, row.error, row.valid) == (State.FAILED, "timeout", "too slow", None)


def test_the_order_of_telling_is_kept(store):
    start(store, 0, 1, 2)
    for number in (2, 0, 1):
        finish(store, number)
    assert [trial.id for trial in store.history().told] == [2, 0, 1]


def test_starts_are_all_noted_or_none(store):
    broken = Proposal(id=5, tokens=(1,), notes={"log_prob": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        store.insert([running_row(one, order("answer")) for one in (proposal(4), broken)])
    assert store.rows() == []


def test_a_trial_started_again_stays_one(store):
    start(store, 0)
    start(store, 0)
    assert len(store.rows()) == 1


def test_a_finished_trial_never_changes(store):
    start(store, 0)
    finish(store, 0)
    before = store.rows()
    start(store, 0)
    assert store.rows() == before
    with pytest.raises(AssertionError, match="twice"):
        finish(store, 0, reward=0.9)
    assert store.rows() == before


def test_a_trial_and_its_update_are_written_both_or_neither(store):
    start(store, 0, 1)
    finish(store, 0, update=UPDATE, sha256="a")
    with pytest.raises(StorageError):
        finish(store, 1, update=UPDATE, sha256="b")  # the number is taken
    assert [row.state for row in store.rows()] == [State.COMPLETE, State.RUNNING]
    assert store.updates() == [(UPDATE, "a")]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", ["reward", "metrics", "curve"])
def test_no_number_that_is_not_finite_is_ever_written(store, number, place):
    start(store, 0)
    ill = {"reward": number, "metrics": {"x": number}, "curve": (number,)}[place]
    with pytest.raises(ValueError, match=r"finite|JSON"):
        finish(store, 0, **{place: ill})
    assert [row.state for row in store.rows()] == [State.RUNNING]


def test_seconds_of_sessions(store):
    for number, seconds in ((0, 5.0), (0, 7.0), (1, 1.0)):
        store.spend(Session(id=number, started_at="2026-11-22", seconds=seconds))
    assert store.sessions() == [7.0, 1.0]


def test_readers_see_whole_trials_while_one_writes(tmp_path, store):
    with closing(TrialStore.open(tmp_path / "trials.db")) as reader:
        assert reader.rows() == []
        for number in range(5):
            start(store, number)
            assert [row.state for row in reader.rows()][-1] is State.RUNNING
            finish(store, number)
            assert len(reader.rows()) == number + 1
            assert all(row.state is State.COMPLETE for row in reader.rows())


def test_a_reader_cannot_write(tmp_path, store):
    with closing(TrialStore.open(tmp_path / "trials.db")) as reader, pytest.raises(StorageError, match="readonly"):
        start(reader, 0)


def _write_and_die(path):
    import os

    store = TrialStore.open(path, read_only=False)
    start(store, 0, 1)
    finish(store, 0)
    os.kill(os.getpid(), 9)


def test_what_was_written_survives_the_writers_death(tmp_path, store):
    path = tmp_path / "trials.db"
    store.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside torch's threads; the child never returns
        process = multiprocessing.get_context("fork").Process(target=_write_and_die, args=(path,))
        process.start()
    process.join()
    assert process.exitcode == -9
    for read_only in (True, False):
        with closing(TrialStore.open(path, read_only=read_only)) as again:
            assert [row.state for row in again.rows()] == [State.COMPLETE, State.RUNNING]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The bytes of a store with 40 trials."""
    path = tmp_path_factory.mktemp("written") / "trials.db"
    with closing(TrialStore.create(path)) as store:
        start(store, *range(40))
        for number in range(40):
            finish(store, number)
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path, written, seed):
    """Bytes flipped anywhere; in every third file the end is cut off, too."""
    content = bytearray(written)
    stream = random.Random(seed)
    for _ in range(stream.randint(1, 20)):
        content[stream.randrange(len(content))] ^= 1 << stream.randrange(8)
    if seed % 3 == 0:
        content = content[: stream.randrange(len(content))]
    path = tmp_path / "trials.db"
    path.write_bytes(content)
    with contextlib.suppress(StorageError), closing(TrialStore.open(path)) as store:
        store.history(), store.updates()


@pytest.mark.parametrize("content", [b"", b"not a database at all, but text", b"SQLite format 3\x00" + b"\x00" * 84])
def test_a_file_that_is_no_store_is_refused(tmp_path, content):
    path = tmp_path / "trials.db"
    path.write_bytes(content)
    with pytest.raises(StorageError):
        TrialStore.open(path)


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(StorageError, match="not there"):
        TrialStore.open(tmp_path / "trials.db")
    assert list(tmp_path.iterdir()) == []


def test_a_store_of_another_version_is_refused_by_number(tmp_path, store):
    store.close()
    path = tmp_path / "trials.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="format 99"):
        TrialStore.open(path)


def test_the_documented_columns_are_there(tmp_path, store):
    """interface.md: scripts read these."""
    with closing(sqlite3.connect(tmp_path / "trials.db")) as connection:
        columns = {row[1]: row[2] for row in connection.execute("PRAGMA table_info(trials)")}
    documented = {
        **dict.fromkeys(("tokens", "architecture", "state", "metrics", "error", "started_at", "finished_at"), "TEXT"),
        "id": "INTEGER",
        "reward": "REAL",
    }
    assert documented.items() <= columns.items()
