"""The third kind of task: searched, trained, exported and predicted with, from one file."""

import json

import pytest

import netwright


@pytest.mark.slow
def test_signals_go_all_the_way(example, tmp_path):
    module = example("own_task")
    accuracy = module.main(tmp_path, trials=4)
    assert accuracy > 0.8  # a third by chance
    run = netwright.load_run(tmp_path / "search", module.SIGNALS)
    assert len(run.trials()) == 4
    assert run.config.data.kind == "own"
    assert json.loads((tmp_path / "search" / "task.json").read_text())["measure"]["name"] == "accuracy"
    assert accuracy == pytest.approx(json.loads((tmp_path / "training" / "result.json").read_text())["test_mean"])


def test_a_run_of_another_kind_of_task_cannot_be_built_without_it(example, tmp_path):
    module = example("own_task")
    data = module.Signals(train=module.waves(8, 0), validation=module.waves(8, 1), test=module.waves(8, 2))
    assert data.train[0].shape == (8, 1, 64)
    evaluator = module.SignalEvaluator(data, module.SIGNALS.training, "cpu")
    architecture = module.SPACE.decode([0] * len(module.SPACE.plan()))
    assert 0 <= evaluator.evaluate(architecture, 0, lambda epoch, valid: None).valid <= 1
