"""``netwright doctor``: what it finds, and a rebuilt database that equals the lost one."""

import json
import os
import random
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from helpers.searching import create, go_on, result
from netwright.errors import NetwrightError, StorageError
from netwright.store.integrity import problems, rebuild
from netwright.store.lock import refuse_used, run_lock
from netwright.store.rows import Session
from netwright.store.run_folder import RunFolder
from netwright.store.sqlite import TrialStore
from netwright.testing.searches import StopAfter, Stopped
from netwright.trial import Outcome, Proposal


@pytest.fixture
def run(tmp_path, golden):
    """A copy of the undisturbed run, to be damaged."""
    return shutil.copytree(golden, tmp_path / "run")


def everything(path):
    """Every column of every table."""
    with closing(sqlite3.connect(path)) as connection:
        names = ("trials", "updates", "sessions")
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names}


def test_a_rebuilt_database_equals_the_old_one_in_every_column(run):
    """Tried: with ``told``, ``curve`` or the session left out of the trial's file it fails."""
    before = everything(run / "trials.db")
    assert all(before.values())
    content = (run / "trials.db").read_bytes()
    made = rebuild(run)
    assert everything(run / "trials.db") == before
    assert (made.trials, made.updates) == (20, 5)
    assert made.kept == run / "trials.db.corrupt-1"
    assert made.kept.read_bytes() == content
    assert list(problems(run)) == []


def test_trials_under_way_are_made_anew_too_and_the_search_goes_on_the_same(tmp_path, golden):
    path = tmp_path / "run"
    create(path).store.close()
    with pytest.raises(Stopped):
        go_on(path, observer=StopAfter(6))
    with closing((folder := RunFolder.open(path, read_only=False)).store):
        old = TrialStore.open(golden / "trials.db").rows()[6]
        proposal = Proposal(id=6, tokens=old.tokens, notes=old.notes)
        from helpers.searching import SPACE

        folder.start([(proposal, SPACE.decode(old.tokens))])
    before = everything(path / "trials.db")
    (path / "trials.db").unlink()
    for journal in path.glob("trials.db-*"):
        journal.unlink()
    assert rebuild(path).kept is None
    assert everything(path / "trials.db") == before
    go_on(path)
    assert result(path) == result(golden)


def test_each_damaged_database_is_kept_under_a_name_of_its_own(run):
    for number in (1, 2, 3):
        (run / "trials.db").write_text(f"damage {number}")
        assert rebuild(run).kept.name == f"trials.db.corrupt-{number}"
    assert [(run / f"trials.db.corrupt-{n}").read_text() for n in (1, 2, 3)] == ["damage 1", "damage 2", "damage 3"]


DAMAGE = {
    "a text": lambda path: path.write_text("not a database"),
    "nothing": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "gone": lambda path: path.unlink(),
    "no tables": lambda path: (path.unlink(), sqlite3.connect(path).execute("PRAGMA user_version = 1").close()),
    "another state": lambda path: poke(path, "PRAGMA ignore_check_constraints = 1", "UPDATE trials SET state = 'x'"),
    "no JSON": lambda path: poke(path, "UPDATE trials SET metrics = '{' WHERE id = 3"),
    "a metric that is no number": lambda path: poke(path, "UPDATE trials SET metrics = '{\"valid\": NaN}'"),
    "pages that do not add up": lambda path: overwrite(path, 4096 + 7, b"\x30"),  # free bytes in the first table's root
    "a time that is none": lambda path: poke(path, "UPDATE trials SET finished_at = 'x' WHERE id = 3"),
    "a time without a zone": lambda path: poke(path, "UPDATE trials SET started_at = '2026-01-01' WHERE id = 3"),
    "an end that nobody was told of": lambda path: poke(path, "UPDATE trials SET told = NULL WHERE id = 3"),
    "an infinite reward": lambda path: poke(path, "UPDATE trials SET reward = 9e999 WHERE id = 3"),
}


def overwrite(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def poke(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_database_is_refused_with_4_and_the_command_that_mends_it(run, golden, damage):
    """Tried: without ``quick_check``, pages that do not add up are read; without the sorting of SQLite's errors, a text
    is refused without the command.
    """
    damage(run / "trials.db")
    with pytest.raises(StorageError, match=rf"trials\.db: .*netwright doctor {run} --rebuild") as error:
        RunFolder.open(run).store.rows()
    assert error.value.exit_code == 4
    assert any("--rebuild" in line for line in problems(run))
    rebuild(run)
    assert result(run) == result(golden)


UNCOUNTABLE = {
    "an infinite gradient": "UPDATE updates SET gradient_norm = 9e999",
    "endless seconds": "UPDATE sessions SET seconds = 9e999",
    "seconds before the beginning": "UPDATE sessions SET seconds = -1",
}


@pytest.mark.parametrize("statement", UNCOUNTABLE.values(), ids=UNCOUNTABLE.keys())
def test_numbers_of_updates_and_sessions_that_none_can_have_are_damage(run, statement):
    """Tried: without the checks, they are in the report and in ``--json``, which is then none."""
    poke(run / "trials.db", statement)
    store = TrialStore.open(run / "trials.db")
    with closing(store), pytest.raises(StorageError, match=r"trials\.db: damaged: .*--rebuild"):
        assert store.updates() + store.sessions()


def test_a_session_after_a_rebuilt_database_has_a_number_of_its_own(run):
    """The rebuilt one lacks sessions that ended no trial, so there are fewer of them than the largest number says.

    Tried: numbered by their count, it is written over another one, whose time is lost, and the doctor finds it.
    """
    for _ in range(2):  # the first one ends no trial, the second one does
        with closing((folder := RunFolder.open(run, read_only=False)).store):
            folder.store.spend(Session(id=len(folder.store.sessions()), started_at="x", seconds=5.0))
    go_on(run, trials=21)
    rebuild(run)
    before = TrialStore.open(run / "trials.db").session_rows()
    assert [session.id for session in before] == [0, 3]
    go_on(run, trials=22)
    after = TrialStore.open(run / "trials.db").session_rows()
    assert after[:2] == before
    assert [session.id for session in after] == [0, 3, 4]
    assert list(problems(run)) == []
    folder = RunFolder.open(run)
    assert folder.seconds() >= sum(session.seconds for session in after)


def test_a_finished_trial_is_not_begun_again_over_its_file(run):
    """A row whose phase, seed or digest was changed is not found by what its training would be, so it is asked for.

    Tried: without the look, its file is written over, and the search ends in an assertion.
    """
    from helpers.searching import SPACE

    before = (run / "trials" / "3" / "trial.json").read_bytes()
    with closing((folder := RunFolder.open(run, read_only=False)).store):
        tokens = folder.store.row(3).tokens
        with pytest.raises(StorageError, match=r"damaged: trial 3 has an end.*--rebuild"):
            folder.start([(Proposal(id=3, tokens=tokens), SPACE.decode(tokens))])
    assert (run / "trials" / "3" / "trial.json").read_bytes() == before


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_what_is_no_file_beside_the_database_is_named(run, ending):
    """Tried: without the look, a search waits ten minutes for room on the disk."""
    path = run / f"trials.db{ending}"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(StorageError, match=f"{path.name}: is no regular file"):
        RunFolder.open(run, read_only=False)


def test_a_database_that_lost_its_journal_is_noticed(run, golden):
    """SQLite calls it whole: it has merely forgotten its last transactions.

    Tried: without the comparison with the trials' files, the search trains those trials again.
    """
    poke(run / "trials.db", "DELETE FROM updates WHERE number > 3", "DELETE FROM trials WHERE id >= 12")
    with pytest.raises(StorageError, match=r"lacks 8 trials that are finished.*doctor .* --rebuild"):
        RunFolder.open(run, read_only=False)
    rebuild(run)
    assert result(run) == result(golden)


def test_nothing_is_made_anew_from_damaged_files_and_nothing_is_changed(run):
    (run / "trials" / "3" / "trial.json").write_text("{")
    shutil.rmtree(run / "trials" / "7")
    before = (run / "trials.db").read_bytes()
    with pytest.raises(StorageError, match=r"trials/3/trial\.json: damaged") as error:
        rebuild(run)
    assert error.value.exit_code == 4
    (run / "trials" / "3" / "trial.json").unlink()
    (run / "trials" / "3" / "architecture.json").unlink()
    with pytest.raises(StorageError, match="trials/3: not there"):
        rebuild(run)
    assert (run / "trials.db").read_bytes() == before
    assert not list(run.glob("*.corrupt-*"))


@pytest.mark.parametrize("seed", range(40))
def test_a_trials_file_with_flipped_or_missing_bytes_is_noticed(run, seed):
    """Tried: without the digest, half of the flips go unnoticed."""
    stream, path = random.Random(seed), run / "trials" / "5" / "trial.json"
    content = bytearray(path.read_bytes())
    if seed % 2:
        content[stream.randrange(len(content))] ^= 1 << stream.randrange(8)
    else:
        content = content[: stream.randrange(len(content) - 1)]
    meant = json.loads(path.read_text())
    path.write_bytes(content)
    found = list(problems(run))
    try:
        differs = json.loads(path.read_text()) != meant
    except ValueError:
        differs = True
    assert bool(found) == differs, "a flip in the blanks between changes nothing"
    if differs:
        assert "trials/5/trial.json" in found[0]


def test_every_kind_of_damage_is_found_and_named(run):
    newest = sorted((run / "controller").iterdir())[-1]
    newest.write_bytes(b"damaged")
    (run / "task.json").unlink()
    (run / "config.toml").write_text("= 3")
    (run / "trials" / "2" / "trial.json").unlink()
    (run / "trials" / ".architecture.json.999999999.tmp").touch()
    found = "\n".join(problems(run))
    for name in (str(newest), "task.json", "config.toml", "trials/2/trial.json", ".architecture.json.999999999.tmp"):
        assert name in found
    assert len(found.splitlines()) == 5


def test_a_writer_removes_what_dead_writers_left_and_nothing_of_living_ones(run):
    import os

    dead, alive = run / "controller" / ".a.999999999.tmp", run / f".report.html.{os.getpid()}.tmp"
    for path in (dead, alive):
        path.touch()
    RunFolder.open(run, read_only=False).store.close()
    assert (dead.exists(), alive.exists()) == (False, True)


def test_a_run_of_before_there_were_files_per_trial_gets_them_when_it_goes_on(run, golden):
    before = everything(run / "trials.db")
    for path in run.glob("trials/*/trial.json"):
        path.unlink()
    with pytest.raises(StorageError, match=r"trial\.json"):
        rebuild(run)
    RunFolder.open(run, read_only=False).store.close()
    rebuild(run)
    after = everything(run / "trials.db")
    assert after | {"sessions": before["sessions"]} == before
    go_on(run)
    assert result(run) == result(golden)


@pytest.mark.parametrize("part", ["controller", "trials", "trials/3", "workers"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path, run, part):
    """Tried: without the check, the next trial's files land in the other folder."""
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(run / part)
    (run / part).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"):
        RunFolder.open(run, read_only=False)


def test_doctor_on_the_command_line(run, capsys, monkeypatch):
    from netwright.cli import main as cli

    def doctor(*arguments):
        monkeypatch.setattr(cli.interrupts, "listen", lambda: None)
        monkeypatch.setattr(sys, "argv", ["netwright", "doctor", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            return (end.code or 0, *capsys.readouterr())

    assert doctor(run) == (0, f"{run}: whole; 20 trials, 5 updates of the controller\n", "")
    (run / "trials.db").write_text("damage")
    code, out, err = doctor(run)
    assert (code, out) == (4, "")
    assert err.startswith(f"error: {run}: 1 found\n  {run / 'trials.db'}: file is not a database; rebuild it")
    with run_lock(run, new=False):
        assert doctor(run, "--rebuild")[0] == 3, "not while somebody searches"
    code, out, err = doctor(run, "--rebuild")
    assert (code, err) == (0, "")
    assert f"rebuilt, 20 trials, 5 updates; the old one is {run / 'trials.db.corrupt-1'}\n" in out
    assert doctor("--rebuild")[0] == 2
    assert doctor(run.parent)[0] == 2


def test_a_number_that_is_not_finite_is_in_no_file(tmp_path):
    """Tried: with ``allow_nan`` left as it is, the file is written."""
    from helpers.searching import SPACE
    from netwright.trial import Evaluation, State, Trial

    with closing((folder := create(tmp_path / "run")).store):
        tokens = tuple([0] * len(SPACE.plan()))
        folder.start([(Proposal(id=0, tokens=tokens), SPACE.decode(tokens))])
        trial = Trial(id=0, tokens=tokens, state=State.COMPLETE, reward=0.5, valid=0.5)
        for result_ in (Evaluation(valid=float("nan")), Evaluation(valid=0.5, curve=(float("inf"),))):
            with pytest.raises(ValueError, match="finite"):
                folder.finish(trial, Outcome(id=0, result=result_, seconds=1.0), None, None)
        text = (tmp_path / "run" / "trials" / "0" / "trial.json").read_text()
        assert json.loads(text)["trial"]["state"] == "running"


def test_an_error_text_that_no_file_can_hold_is_kept_as_well_as_can_be(tmp_path):
    """A child may raise with the name of a file that is no Unicode, or with all its data in the text.

    Tried: without, the search ends with a traceback of SQLite's.
    """
    from helpers.searching import SPACE
    from netwright.trial import Failure, FailureKind, State, Trial

    with closing((folder := create(tmp_path / "run")).store):
        tokens = tuple([0] * len(SPACE.plan()))
        texts = ["no such file: \udcff", "x" * 5_000_000, "\0"]
        for number, text in enumerate(texts):
            folder.start([(Proposal(id=number, tokens=tokens), SPACE.decode(tokens))])
            failure = Failure(kind=FailureKind.ERROR, message=text)
            trial = Trial(id=number, tokens=tokens, state=State.FAILED, reward=0.0)
            folder.finish(trial, Outcome(id=number, result=failure, seconds=1.0), None, None)
        errors = [row.error for row in folder.store.rows()]
    assert errors[0] == "no such file: \\udcff"
    assert len(errors[1]) < 101_000
    assert errors[2] == "\0"
    assert list(problems(tmp_path / "run")) == []


def test_what_goes_wrong_is_always_an_error_of_ours(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NetwrightError):
            RunFolder.open(path)
        assert list(problems(path)) != []


def test_what_children_printed_is_a_part_of_the_run_that_nothing_depends_on(run, golden):
    """Whole with it, without it, and rebuilt beside it; but no link out of the run."""
    log = run / "workers" / "worker-0.log"
    log.write_text("[trial 0]\n")
    assert list(problems(run)) == []
    rebuild(run)
    assert log.read_text() == "[trial 0]\n"
    shutil.rmtree(run / "workers")
    assert list(problems(run)) == []
    RunFolder.open(run, read_only=False).store.close()
    assert (run / "workers").is_dir()
    assert result(run) == result(golden)
    log.symlink_to(run.parent / "precious")
    with pytest.raises(StorageError, match=r"worker-0\.log: a symbolic link"):
        RunFolder.open(run, read_only=False)


def test_a_folder_whose_making_was_cut_short_is_taken_and_one_with_printed_words_is_not(tmp_path):
    """Tried: it fails when ``workers`` is unknown, and when whatever is in there is taken."""
    for name in ("controller", "trials", "workers"):
        (tmp_path / name).mkdir()
    refuse_used(tmp_path)
    (tmp_path / "workers" / "worker-0.log").write_text("[trial 0]\n")
    with pytest.raises(NetwrightError, match="is not empty"):
        refuse_used(tmp_path)
