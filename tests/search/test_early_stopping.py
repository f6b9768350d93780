"""Children that fall behind: who is stopped, what becomes of them, and that nothing depends on who was faster."""

import pytest

from netwright.config import AccuracyReward, CostTarget
from netwright.search.early_stopping import StoppingExecutor, quantile_from_worst
from netwright.search.executor import Job, Limits, SerialExecutor
from netwright.search.reward import reward_of
from netwright.spaces.architecture import ChoiceArchitecture
from netwright.trial import STOPPED_AFTER, Evaluation, announce


class Curves:
    """Children whose validation numbers are known beforehand; notes how many epochs each was trained."""

    def __init__(self, curves):
        self.curves = curves
        self.trained = {}

    def evaluate(self, architecture, seed, report):
        for epoch, valid in enumerate(self.curves[seed], 1):
            self.trained[seed] = epoch
            report(epoch, valid)
        return Evaluation(valid=max(self.curves[seed]), curve=self.curves[seed], metrics={"parameters": 1})


def run(curves, order=None, **settings):
    """Runs children one after another; what came of each, and how long each was trained."""
    children = Curves(curves)
    executor = StoppingExecutor(SerialExecutor(children), **{"quantile": 0.5, "least": 2, "batch": 2} | settings)
    results = {}
    for number in order or range(len(curves)):
        executor.submit(Job(id=number, architecture=ChoiceArchitecture(space="none", choices=()), seed=number))
        (outcome,) = executor.wait()
        results[outcome.id] = outcome.result
    return results, children.trained


GOOD, FAIR, BAD = (0.5, 0.7, 0.9), (0.4, 0.6, 0.8), (0.3, 0.2, 0.1)


def test_a_child_below_the_median_is_stopped_and_keeps_what_it_reached():
    results, trained = run([GOOD, FAIR, BAD, GOOD])
    assert trained == {0: 3, 1: 3, 2: 2, 3: 3}
    assert results[2] == Evaluation(valid=0.3, curve=(0.3, 0.2), metrics={"stopped_after": 2})
    assert results[3].metrics == {"parameters": 1}


def test_none_is_stopped_in_the_warm_up_nor_before_there_are_enough_curves():
    assert run([GOOD, FAIR, BAD], warmup=2)[1][2] == 3
    assert run([GOOD, FAIR, BAD], least=3)[1][2] == 3


def test_only_whole_batches_count_so_the_order_within_one_does_not_matter():
    curves = [GOOD, FAIR, BAD, GOOD, FAIR, BAD]
    assert run(curves)[1] == run(curves, order=[1, 0, 3, 2, 5, 4])[1]
    assert run(curves, batch=6)[1] == dict.fromkeys(range(6), 3)


def test_batches_are_of_the_search_however_many_trials_the_run_has_beside_it():
    """Five references come first. Tried: by the run's numbers a batch ends within one, and who is faster decides."""
    children = Curves(dict(enumerate([GOOD, FAIR, BAD, BAD], 5)))
    executor = StoppingExecutor(SerialExecutor(children), quantile=0.5, least=2, batch=2, own=lambda trial: trial - 5)
    for number in (5, 6, 8, 7):
        executor.submit(Job(id=number, architecture=ChoiceArchitecture(space="none", choices=()), seed=number))
        executor.wait()
    assert children.trained == {5: 3, 6: 3, 8: 2, 7: 2}


def test_none_is_stopped_after_its_last_epoch():
    """Tried: there its evaluation, with what the network costs, is thrown away, and nothing is saved."""
    late = (0.5, 0.7, 0.1)
    results, trained = run([GOOD, FAIR, late])
    assert trained[2] == 3
    assert results[2] == Evaluation(valid=0.7, curve=late, metrics={"parameters": 1})


def test_a_stopped_child_has_the_costs_that_were_told_before_its_first_epoch():
    """Tried: without them, a reward with a target of a cost ends the search."""

    class Priced(Curves):
        def evaluate(self, architecture, seed, report):
            announce(report, {"parameters": 7})
            return super().evaluate(architecture, seed, report)

    executor = StoppingExecutor(SerialExecutor(Priced({2: BAD})), quantile=0.5, least=1, curves={0: GOOD}, batch=2)
    executor.submit(Job(id=2, architecture=ChoiceArchitecture(space="none", choices=()), seed=2))
    (outcome,) = executor.wait()
    assert outcome.result.metrics == {"parameters": 7, STOPPED_AFTER: 2}
    reward = AccuracyReward(target=CostTarget(parameters=7, above=-1.0, below=0.0))
    assert reward_of(outcome.result, reward) == pytest.approx(0.3**3)


def test_an_earlier_session_counts():
    children = Curves({2: BAD})
    executor = StoppingExecutor(SerialExecutor(children), quantile=0.5, least=2, batch=2, curves={0: GOOD, 1: FAIR})
    executor.submit(Job(id=2, architecture=ChoiceArchitecture(space="none", choices=()), seed=2))
    executor.wait()
    assert children.trained == {2: 2}


def test_of_perplexities_the_high_ones_are_stopped():
    limits = Limits(worst=(None, 90.0), lower_is_better=True)
    assert [limits.allow(epoch, valid) for epoch, valid in [(1, 500), (2, 90), (2, 91), (3, 500)]] == [
        True,
        True,
        False,
        True,
    ]
    assert limits.best((200, 91, 95)) == 91


@pytest.mark.parametrize(
    ("quantile", "lower_is_better", "value"),
    [(0.5, False, 2), (0.25, False, 1), (0.75, False, 3), (0.9, False, 4), (0.25, True, 4), (0.5, True, 3)],
)
def test_quantiles_are_counted_from_the_worst(quantile, lower_is_better, value):
    assert quantile_from_worst([3, 1, 4, 2], quantile, lower_is_better=lower_is_better) == value
