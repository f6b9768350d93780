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
