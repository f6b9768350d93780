"""``netwright export-optuna`` on the folder of a run."""

import sys
from random import Random

import pytest
import typer
from typer.testing import CliRunner

from netwright.config import DepthSchedule, ExperimentConfig
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import uniform_tokens
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation, Outcome, Proposal, State, Trial

optuna = pytest.importorskip("optuna")

from netwright.cli.export_optuna import export_optuna  # noqa: E402  only where Optuna is installed


def test_finished_trials_of_growing_networks(tmp_path):
    space = ConvSpace(depth=3)
    config = ExperimentConfig(name="small", space=space, depth=DepthSchedule(start=1, step=1, interval=2, cap=3))
    folder = RunFolder.create(tmp_path / "run", config, {})
    for number in range(5):
        tokens = uniform_tokens(space.plan(1 + number // 2), Random(number))
        folder.start([(Proposal(id=number, tokens=tokens), space.decode(tokens))])
        if number < 4:
            trial = Trial(id=number, tokens=tokens, state=State.COMPLETE, reward=number / 10, valid=0.5)
            found = Evaluation(valid=0.5, metrics={"parameters": 100 + number}, curve=(0.1, 0.5))
            outcome = Outcome(id=number, result=found, seconds=1.0)
            folder.store.finish(folder.store.concluded(trial, outcome))
    folder.store.close()

    app = typer.Typer()
    app.command()(export_optuna)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    result = CliRunner().invoke(app, [str(tmp_path / "run"), "--storage", storage], catch_exceptions=False)
    assert result.stdout.strip() == f"{storage}: study 'run' with 4 trials"
    study = optuna.load_study(storage=storage, study_name="run")
    assert [trial.value for trial in study.trials] == [0.0, 0.1, 0.2, 0.3]
    assert [len(trial.params) for trial in study.trials] == [3, 3, 7, 7]
    assert [trial.user_attrs["parameters"] for trial in study.trials] == [100, 101, 102, 103]
    assert [trial.intermediate_values for trial in study.trials] == [{1: 0.1, 2: 0.5}] * 4


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host/db",
        "mysql://u:hunter2@h:3306/db?charset=utf8",
        "sqlite:///x.db?password=hunter2&a=1",
        "redis://:hunter2@host",
        "postgresql://user:a@hunter2@host/db",
        "postgresql://user:a/hunter2:@host:5432/db",
    ],
)
def test_no_password_is_shown(url):
    """Tried: the URL as it was given has it, on the screen and in every log of it."""
    from netwright.integrations.optuna import without_password

    assert "hunter2" not in without_password(f"{url}: cannot be reached ({url})")
    assert without_password("sqlite:///study.db") == "sqlite:///study.db"


def test_a_storage_that_cannot_be_written_is_a_wrong_argument(tmp_path):
    from netwright.errors import UsageError
    from netwright.integrations.optuna import write_study
    from netwright.spaces.conv import ConvSpace

    for storage in ("nonsense", "nodriver://user:hunter2@h/d", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(UsageError, match="cannot be written") as caught:
            write_study(ConvSpace(depth=2), [], storage=storage, name="x")
        assert "hunter2" not in str(caught.value)


SPACE = ConvSpace(depth=3, filters=(8, 16))


def told(count):
    """Finished trials, every third one lost, with what else a study is told of them."""
    trials = []
    for number in range(count):
        tokens = uniform_tokens(SPACE.plan(), Random(number))
        state, reward = (State.FAILED, None) if number % 3 == 2 else (State.COMPLETE, number / 7)
        valid = None if reward is None else 0.25
        trials.append(Trial(id=number, tokens=tokens, state=state, reward=reward, valid=valid, notes={"entropy": 0.1}))
    curves = {number: (0.1, number / 3) for number in range(0, count, 2)}
    return trials, {"curves": curves, "metrics": {1: {"parameters": 7}}}


def said(study):
    """What a study says of its trials, but for times and keys."""
    return [
        (t.number, t.state, t.values, t.params, t.distributions, t.user_attrs, t.intermediate_values)
        for t in study.get_trials()
    ]


def test_a_study_in_a_database_is_that_in_memory(tmp_path, monkeypatch):
    """One is made row by row by netwright, in several parts, the other by Optuna.

    Tried: with the trials of the second part numbered from 0, and with an option in the place of its index, it fails.
    """
    from netwright.integrations import optuna as ours
    from netwright.integrations import rows

    monkeypatch.setattr(rows, "AT_A_TIME", 4)
    trials, more = told(10)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    in_memory = said(ours.write_study(SPACE, trials, name="x", **more))
    assert said(ours.write_study(SPACE, trials, storage=storage, name="x", **more)) == in_memory
    assert said(optuna.load_study(storage=storage, study_name="x")) == in_memory
    assert len(in_memory) == 10
    study = optuna.load_study(storage=storage, study_name="x")
    study.optimize(lambda trial: trial.suggest_categorical("0.filter height", [1, 3, 5, 7]), n_trials=1)
    assert [trial.number for trial in study.trials] == list(range(11)), "Optuna goes on where it ends"


def test_trials_are_not_added_one_by_one(tmp_path, monkeypatch):
    """Optuna asks the database about each parameter of each trial: 12,800 trials took more than 13 minutes.

    Tried: with ``study.add_trials`` it fails.
    """
    from netwright.integrations.optuna import write_study

    monkeypatch.setattr(optuna.Study, "add_trial", lambda *_: pytest.fail("one by one"))
    trials, more = told(4)
    study = write_study(SPACE, trials, storage=f"sqlite:///{tmp_path / 'study.db'}", name="x", **more)
    assert len(study.trials) == 4


def test_without_optunas_own_tables_trials_are_added_one_by_one(tmp_path, monkeypatch):
    """They are not public. Tried: without the way around, a version that moves them cannot be written to."""
    from netwright.integrations import optuna as ours

    monkeypatch.setitem(sys.modules, "netwright.integrations.rows", None)  # as if its import failed
    trials, more = told(4)
    study = ours.write_study(SPACE, trials, storage=f"sqlite:///{tmp_path / 'study.db'}", name="x", **more)
    assert said(study) == said(ours.write_study(SPACE, trials, name="x", **more))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_an_export_that_is_stopped_leaves_no_part_of_a_study(tmp_path, stop):
    """Tried: without the deletion, the same command is refused afterwards."""
    from netwright.errors import UsageError
    from netwright.integrations.optuna import write_study

    trials, more = told(4)

    def stopped():
        yield from trials[:2]
        raise stop

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    with pytest.raises((KeyboardInterrupt, UsageError)):
        write_study(SPACE, stopped(), storage=storage, name="x", **more)
    assert len(write_study(SPACE, trials, storage=storage, name="x", **more).trials) == 4


def test_no_password_is_in_what_the_command_prints(tmp_path, capfd):
    """Neither on the screen nor in Optuna's log. Tried: with the URL as it was given, the last line has it."""
    folder = RunFolder.create(tmp_path / "run", ExperimentConfig(name="small", space=SPACE), {})
    folder.store.close()
    app = typer.Typer()
    app.command()(export_optuna)
    place = f"sqlite:///{tmp_path / 'study.db'}?password=hunter2"
    with pytest.warns(Warning, match="password"):
        done = CliRunner().invoke(app, [str(tmp_path / "run"), "--storage", place], catch_exceptions=False)
    assert done.exit_code == 0
    assert "password=***: study 'run' with 0 trials" in done.stdout
    assert "hunter2" not in "".join([done.output, *capfd.readouterr()])
