"""The controller as a sampler of real Optuna studies."""

import os
import statistics

import pytest

from netwright.benchmarks.tables import load_table
from netwright.benchmarks.toy import BEST, SPACE, toy_table
from netwright.errors import UsageError
from netwright.spaces.conv import ConvSpace
from netwright.strategies.replay import ReplaySettings
from netwright.trial import State, Trial

optuna = pytest.importorskip("optuna")

from netwright.integrations.optuna import ControllerSampler, write_study  # noqa: E402  only where Optuna is installed

TABLE = toy_table()


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def accuracy(trial):
    tokens = tuple(
        decision.options.index(trial.suggest_categorical(decision.kind, decision.options))
        for decision in SPACE.decisions
    )
    return TABLE.evaluate(SPACE.decode(tokens), trial.number).valid


def test_one_suggestion_is_one_step_and_the_seed_decides():
    def run(seed):
        study = optuna.create_study(direction="maximize", sampler=ControllerSampler(seed=seed))
        study.optimize(accuracy, n_trials=30)
        return [trial.params for trial in study.trials]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_finds_the_best_and_beats_random():
    def best_and_mean(sampler, direction):
        study = optuna.create_study(direction=direction, sampler=sampler)
        sign = 1 if direction == "maximize" else -1
        study.optimize(lambda trial: sign * accuracy(trial), n_trials=120)
        values = [sign * trial.value for trial in study.trials]
        return max(values), sum(values) / len(values)

    for direction in ("maximize", "minimize"):
        best, mean = best_and_mean(ControllerSampler(seed=3), direction)
        _, control = best_and_mean(optuna.samplers.RandomSampler(seed=3), direction)
        assert best == pytest.approx(1.0)
        assert mean > control + 0.1


@pytest.mark.data
@pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder with the table")
def test_beats_optunas_random_sampler_on_nasbench201():
    """Ten studies of 150 trials each; the value is the 12-epoch validation accuracy."""
    table = load_table("nasbench201")

    def objective(trial):
        tokens = [choice.token(trial.suggest_categorical(choice.kind, choice.options)) for choice in table.space.plan()]
        return table.evaluate(table.space.decode(tokens), 0).valid

    def means(make_sampler):
        """Over all studies: the mean of the best value, and of the last fifty."""
        studies = [optuna.create_study(direction="maximize", sampler=make_sampler(seed)) for seed in range(10)]
        for study in studies:
            study.optimize(objective, n_trials=150)
        late = [trial.value for study in studies for trial in study.trials[-50:]]
        return statistics.mean(study.best_value for study in studies), statistics.mean(late)

    best, late = means(lambda seed: ControllerSampler(seed=seed))
    best_at_random, late_at_random = means(lambda seed: optuna.samplers.RandomSampler(seed=seed))
    print(f"best {best:.4f} and {best_at_random:.4f}, last fifty {late:.4f} and {late_at_random:.4f}")
    assert best > best_at_random
    assert late > late_at_random + 0.02


def test_sqlite_two_threads_pruned_and_failed_trials(tmp_path):
    def objective(trial):
        value = accuracy(trial)
        trial.report(value, 0)
        if trial.params["step_0"] == "d":
            raise optuna.TrialPruned
        if trial.params["step_1"] == "d":
            raise RuntimeError("this child fails")
        return value

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize", sampler=ControllerSampler())
    study.optimize(objective, n_trials=40, n_jobs=2, catch=(RuntimeError,))
    states = [trial.state for trial in study.trials]
    assert len(states) == 40
    assert {optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL} < set(states)

    # Another worker, of another process say, learns from all of them before its first trial.
    other = optuna.load_study(storage=storage, study_name="s", sampler=ControllerSampler(seed=7))
    other.optimize(objective, n_trials=16, catch=(RuntimeError,))
    late = [trial.value for trial in other.trials[-16:] if trial.value is not None]
    early = [trial.value for trial in other.trials[:16] if trial.value is not None]
    assert sum(late) / len(late) > sum(early) / len(early)


def test_parameters_may_depend_on_others_and_be_integers():
    def objective(trial):
        layers = trial.suggest_int("layers", 1, 3)
        sides = [trial.suggest_categorical(f"layer.{layer}", (1, 3, 5)) for layer in range(layers)]
        return sum(side == 3 for side in sides)

    study = optuna.create_study(direction="maximize", sampler=ControllerSampler(seed=2))
    study.optimize(objective, n_trials=80)
    assert study.best_value == 3


def test_a_range_that_changes_is_another_decision_and_is_learned_as_well():
    """Tried: with parameters known by name alone, ``IndexError: range object index out of range`` ends the study."""

    def objective(trial):
        depth = trial.suggest_int("depth", 1, 4)
        width = trial.suggest_int("width", 0, depth)
        return depth + width

    study = optuna.create_study(direction="maximize", sampler=ControllerSampler(seed=1))
    study.optimize(objective, n_trials=80)
    assert len(study.trials) == 80
    assert study.best_value == 8
    assert sum(trial.value for trial in study.trials[-10:]) / 10 > 5


def test_enqueued_trials_are_learned_from():
    sampler = ControllerSampler(seed=4, replay=ReplaySettings(warmup=4))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    best = {d.kind: d.options[token] for d, token in zip(SPACE.decisions, BEST, strict=True)}
    for _ in range(4):
        study.enqueue_trial(best)
    study.enqueue_trial(dict(list(best.items())[:2]))
    study.optimize(accuracy, n_trials=40)
    assert sum(trial.value for trial in study.trials[-10:]) / 10 > 0.5


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_an_enqueued_value_out_of_its_range_is_left_out():
    """Optuna warns of it and takes it. Tried: with its place in the list looked up, no study of it goes any further."""

    def objective(trial):
        return trial.suggest_int("w", 0, 10) + trial.suggest_int("v", 0, 1)

    sampler = ControllerSampler(seed=1, replay=ReplaySettings(warmup=4, batch=2))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({"w": 20, "v": 1})
    study.enqueue_trial({"w": 20})  # v is suggested while w is out of its range
    study.optimize(objective, n_trials=20)
    assert [trial.params["w"] for trial in study.trials[:2]] == [20, 20]
    assert all(trial.params["w"] <= 10 for trial in study.trials[2:])


def test_a_string_that_is_repeated_is_replayed_by_its_mean(monkeypatch):
    """Tried: by its last value alone, the luck of one trial decides."""
    replayed = []
    monkeypatch.setattr(ReplaySettings, "replay", lambda settings, learner, recent: replayed.append(list(recent)))
    sampler, values = ControllerSampler(replay=ReplaySettings(warmup=3, batch=1)), iter((0.9, 0.5, 0.1, 0.0))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for width in (1, 0, 1, 0):
        study.enqueue_trial({"width": width})
    study.optimize(lambda trial: next(values) + 0 * trial.suggest_int("width", 0, 1), n_trials=4)
    assert [[reward for reward, _ in recent] for recent in replayed] == [[0.5, 0.5]]


@pytest.mark.parametrize(
    "vain", [{"evaluations": 2}, {"clone": 0}, {"screen": 16, "mutants": 0.5}, {"families": True}, {"by_effect": True}]
)
def test_settings_that_have_no_effect_are_refused(vain):
    with pytest.raises(ValueError, match=f"replay: {', '.join(reversed(vain))} without effect"):
        ControllerSampler(replay=ReplaySettings(queue=4, **vain))


def test_what_has_no_list_of_values_is_refused():
    study = optuna.create_study(sampler=ControllerSampler())
    with pytest.raises(ValueError, match="rate: expected a categorical parameter or an integer with at most 1024"):
        study.optimize(lambda trial: trial.suggest_float("rate", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="expected one objective, got 2"):
        optuna.create_study(directions=["minimize", "maximize"], sampler=ControllerSampler()).optimize(
            lambda trial: (0, 0), n_trials=1
        )


def test_trials_become_a_study():
    space = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(3,), filters=(8, 16))
    done = Trial(id=0, tokens=(1, 0, 0, 1, 0, 0, 1, 0), state=State.COMPLETE, reward=0.5, valid=0.8)
    lost = Trial(id=1, tokens=(1, 0, 0, 1, 0, 0, 0, 0), state=State.FAILED, reward=None)
    study = write_study(space, [done, lost])
    first, second = study.trials
    assert first.value == 0.5
    assert first.user_attrs == {"trial": 0, "valid": 0.8}
    assert first.params == {
        "0.filter_height": 3,
        "1.filter_width": 3,
        "3.filters": 16,
        "4.filter_height": 1,
        "5.filter_width": 3,
        "6.anchor.0": 1,
        "7.filters": 8,
    }
    assert second.state is optuna.trial.TrialState.FAIL


def test_curves_and_costs_go_along():
    """Tried: with the curves by position instead of by number, trial 7 has none."""
    space = ConvSpace(depth=1, filter_heights=(1, 3), filter_widths=(3,), filters=(8, 16))
    done = Trial(id=7, tokens=(1, 0, 0, 0), state=State.COMPLETE, reward=0.5, valid=0.8)
    costs = {"parameters": 120, "multiply_adds": 4000}
    (trial,) = write_study(space, [done], curves={7: (0.5, 0.8)}, metrics={7: costs}).trials
    assert trial.intermediate_values == {1: 0.5, 2: 0.8}
    assert trial.user_attrs == {"trial": 7, "valid": 0.8, **costs}


def test_a_study_is_not_written_over(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    write_study(SPACE, [], storage=storage, name="mine")
    with pytest.raises(UsageError, match="has a study 'mine' already; choose another name"):
        write_study(SPACE, [], storage=storage, name="mine")
