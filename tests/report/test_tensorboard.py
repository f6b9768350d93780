"""The curves, read back."""

import pytest

from netwright.report.tensorboard import write_curves
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SPACE = ChoiceSpace("perceptrons", (Choice("width", (4, 8)), Choice("activation", ("relu", "tanh"))))


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


@pytest.mark.parametrize("arguments", [{"recipe": "digits"}, {"recipe": "text"}, {"space": SPACE}])
def test_the_curves_are_the_trials(write_run, arguments):
    folder = write_run(trials=17, failures={3: "boom"}, **arguments)
    for _ in range(2):  # written again, not added to
        curves = read(write_curves(folder))
    rows = folder.store.rows()
    assert curves["trials/reward"] == [(row.id, pytest.approx(row.reward)) for row in rows]
    assert curves["trials/valid"] == [(row.id, pytest.approx(row.valid)) for row in rows if row.valid is not None]
    best = [value for _, value in curves["trials/best_reward"]]
    assert best == sorted(best)
    assert best[-1] == pytest.approx(max(row.reward for row in rows))
    assert curves["controller/entropy"] == [(1, 9.0), (2, 9.0)]


def test_a_child_has_its_curve_and_hyperparameters(write_run):
    folder = write_run(trials=2)
    child = read(write_curves(folder) / "trial-000001")
    row = folder.store.row(1)
    assert child["child/valid"] == [(1, pytest.approx(row.curve[0])), (2, pytest.approx(row.curve[1]))]
    assert child["parameters"] == [(0, row.metrics["parameters"])]
