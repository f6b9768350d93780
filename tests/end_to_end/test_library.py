"""``netwright.run_search``: a search from Python, with worker processes and an evaluator of one's own."""

from contextlib import closing

import pytest

import netwright
from helpers.commands import SMALL_RECIPE, result
from helpers.own import ByDigest, Erring, Fails, Flat
from netwright.errors import AllChildrenFailError, UsageError
from netwright.spaces.conv import ConvSpace
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.store.sqlite import TrialStore
from netwright.tasks import IMAGES
from netwright.trial import Evaluation

SPACE = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))


def search(out, trials, **settings):
    changes = {"search.trials": trials, "search.workers": 1, "strategy.options.batch": 4} | settings
    netwright.run_search(SMALL_RECIPE, out, space=SPACE, evaluator=ByDigest(), settings=changes)
    with closing(TrialStore.open(out / "trials.db")) as store:
        return store.rows()


def test_a_search_continued_from_python_equals_one_in_a_piece_whatever_the_workers(tmp_path):
    rows = search(tmp_path / "whole", 18, **{"search.workers": 2})
    assert len(rows) == 18
    assert all((row.valid, row.metrics) == (ByDigest.worth(row.digest), {}) for row in rows)
    for trials in (5, 12, 18):
        search(tmp_path / "pieces", trials)
    assert result(tmp_path / "pieces") == result(tmp_path / "whole")


def test_when_all_trials_have_failed_the_table_still_has_its_columns(tmp_path):
    """Tried: without the column, ``trials()["valid"]`` is a KeyError."""
    with pytest.raises(AllChildrenFailError):
        netwright.run_search(SMALL_RECIPE, tmp_path / "run", space=SPACE, evaluator=Fails(), trials=6)
    with netwright.load_run(tmp_path / "run") as run:
        assert run.trials()["valid"].isna().all()
        assert len(run.trials()) >= 5


@pytest.mark.parametrize("progress", [True, False, None])
def test_a_search_shows_how_it_does_where_somebody_looks(tmp_path, capsys, progress):
    """Where standard error is neither a terminal nor a notebook only if told so; once, and nothing on the output."""
    netwright.run_search(SMALL_RECIPE, tmp_path / "run", space=SPACE, evaluator=Flat(), trials=3, progress=progress)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("[3/3] trial") == (1 if progress else 0)
    if progress:
        assert "validation number 0.2500" in err
        assert "mean reward (last 20) 0.015" in err


def test_a_finished_search_is_returned_as_it_is(tmp_path):
    first = search(tmp_path / "run", 2)
    assert search(tmp_path / "run", 2) == first


def test_another_search_does_not_go_on_in_the_same_folder(tmp_path):
    """It would mix two experiments in one table, silently."""
    rows = search(tmp_path / "run", 1)
    for key, value in (("search.seed", 5), ("controller.learning_rate", 1.0), ("child.epochs", 9)):
        with pytest.raises(UsageError, match=rf"holds another search: {key} is \S+ there and {value} here"):
            search(tmp_path / "run", 3, **{key: value})
    with closing(TrialStore.open(tmp_path / "run" / "trials.db")) as store:
        assert store.rows() == rows


def test_the_front_door_has_what_it_says():
    for name in netwright.__all__:
        assert getattr(netwright, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_that_kind"):
        _ = netwright.nothing_of_that_kind


def test_an_evaluation_of_ones_own_is_a_plain_record():
    assert Evaluation(valid=0.5) == Evaluation(valid=0.5, metrics={}, curve=())


def test_a_metric_that_is_called_as_a_column_of_trials_does_not_take_its_place(tmp_path):
    """Tried: the column of errors, which are texts, has numbers."""
    with netwright.run_search("digits", tmp_path / "run", space=SPACE, evaluator=Erring(), trials=1) as run:
        (trial,) = run.trials().to_dict("records")
    assert trial["error"] is None
    assert (trial["metric_error"], trial["size"], trial["valid"]) == (0.5, 3, 0.5)


@pytest.mark.slow
def test_a_run_gets_its_answer_later_also_one_with_a_strategy_from_python(tmp_path):
    """Tried: with the strategy asked for again, nobody who has none left gets an answer."""
    few = {"child.epochs": 1, "data.train_limit": 60, "search.workers": 1, "child.max_multiply_adds": 300_000}
    strategy = netwright.RandomSearch(SPACE)
    run = netwright.run_search(
        "digits", tmp_path / "run", space=SPACE, strategy=strategy, trials=2, settings=few, verdict=False
    )
    assert run.verdict is None
    with pytest.raises(UsageError, match=r"search\.seed"):
        netwright.verdict(run, settings={"search.seed": 3})
    found = netwright.verdict(run, seeds=2, finalists=1, references=["vgg"])
    assert [standing.entrant.name for standing in found.references] == ["vgg"]
    assert found.found.seeds == 2
    assert run.verdict == found
    with netwright.load_run(tmp_path / "run") as again:
        assert again.verdict == found
        trials = len(again.trials())
        assert netwright.verdict(again) == found
        assert len(again.trials()) == trials, "nothing was trained again"


def test_an_evaluator_of_ones_own_is_asked_for_trials_only_unless_a_verdict_is_wanted(tmp_path):
    """With the recipe's own verdict, two trials would come with trainings that nobody asked for."""
    arguments = {"space": SPACE, "evaluator": ByDigest(), "trials": 2}
    with netwright.run_search("digits", tmp_path / "plain", **arguments) as run:
        assert list(run.trials()["phase"]) == ["search"] * 2
        assert run.verdict is None
    wanted = {"verdict.finalists": 2, "verdict.seeds": 2, "search.workers": 1}
    with netwright.run_search("digits", tmp_path / "wanted", settings=wanted, **arguments) as run:
        assert list(run.trials()["phase"])[:2] == ["search"] * 2
        assert "final" in set(run.trials()["phase"])


def test_data_without_a_test_part_is_trained_on_and_not_tested(tmp_path):
    """Tried: measuring anyway, the training ends with an error after its last epoch."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    data = netwright.from_tensors(digits.images[:200] / 16, digits.target[:200], validation=0.4)
    evaluator, settings = ByDigest(), {"search.workers": 1}
    run = netwright.run_search(SMALL_RECIPE, tmp_path / "run", evaluator=evaluator, trials=1, settings=settings)
    found = run.best.architecture
    config = netwright.Network(architecture=found, task={}, config=run.config, kind=IMAGES)
    trained = config.train(tmp_path / "training", epochs=1, data=data, settings={"data.source": "digits"})
    assert trained.weights is not None
    assert trained.test()["test_mean"] is None
    assert (tmp_path / "training" / "seed-0" / "result.json").is_file()


def test_a_space_that_a_file_can_hold_stays_in_the_configuration(tmp_path):
    """Tried: with convolutional spaces alone kept, the command line has no space to resume with."""
    space = RecurrentCellSpace(base=4)
    with netwright.run_search(
        "text", tmp_path / "run", space=space, evaluator=ByDigest(), trials=1, settings={"search.workers": 1}
    ) as run:
        assert run.config.space == space
        assert run.best.architecture.base == 4
        assert "a0" in run.summary()
