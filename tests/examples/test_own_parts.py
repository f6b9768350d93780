"""The examples run as they stand: each in a folder of its own, with its worker processes."""

from __future__ import annotations

import pytest

import netwright
from netwright.errors import UsageError
from netwright.experiment import prepare


@pytest.mark.parametrize(
    ("name", "best"),
    [
        pytest.param("own_data", "2, by global average pooling", marks=pytest.mark.slow),
        pytest.param("own_space", "layer 2", marks=pytest.mark.slow),
        ("own_evaluator", "activation"),
    ],
)
def test_runs_and_shows_the_best(example, name, best, tmp_path, capsys):
    example(name).main(out=str(tmp_path / "run"), trials=2)
    assert best in capsys.readouterr().out
    run = netwright.load_run(tmp_path / "run")
    assert list(run.trials()["state"]) == ["complete"] * 2
    # The command line does not have the object, and must not continue with something else in its place.
    with pytest.raises(UsageError, match="came from Python"):
        prepare(run.config)
    run.close()


@pytest.mark.slow
def test_goes_on_where_it_stopped(example, tmp_path):
    own = example("own_evaluator")
    arguments = {"space": own.SPACE, "evaluator": own.TrainPerceptron(), "settings": {"search.workers": 1}}
    netwright.run_search("digits", tmp_path / "run", trials=2, **arguments).close()
    run = netwright.run_search("digits", tmp_path / "run", trials=3, **arguments)
    assert list(run.trials().index) == [0, 1, 2]
    run.close()
