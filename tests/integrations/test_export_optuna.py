"""``netwright export-optuna`` on the folder of a run."""

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
