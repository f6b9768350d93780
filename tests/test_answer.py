"""Who takes part in a verdict, as the trials of a run have it."""

from dataclasses import replace

from netwright.answer import field_of, proposed
from netwright.config import VerdictSettings
from netwright.recipes import find_recipe
from netwright.settings_file import override
from netwright.spaces.conv import ConvSpace
from netwright.spaces.fill import FilledSpace
from netwright.store.rows import TrialRow
from netwright.trial import Phase, State

SPACE = ConvSpace(depth=1, filter_heights=(1, 3, 5), filter_widths=(1,), filters=(4, 8), anchors=False)
TASK = {"image": [1, 8, 8], "classes": ["even", "odd"]}


def row(number, valid, cost, reward):
    architecture = SPACE.decode((number % 3, 0, number // 3))
    return TrialRow(
        id=number, tokens=(), architecture=architecture.canonical_json(), digest=architecture.digest, notes={},
        state=State.COMPLETE, valid=valid, reward=reward, metrics={"multiply_adds": cost}, started_at="",
        phase=Phase.SEARCH,
    )  # fmt: skip


ROWS = [
    row(0, 0.5, 10, 0.9),  # on the front, since nothing is cheaper
    row(1, 0.6, 30, 0.8),  # beaten by the next one in both
    row(2, 0.7, 20, 0.7),
    row(3, 0.9, 90, 0.1),
]


def finalists(config, rows=ROWS):
    return [entrant.trial for entrant in field_of(config, VerdictSettings(), TASK, rows).found]


def test_what_a_search_proposes_is_of_the_sizes_that_it_has():
    """Tried: by what the space can write, a network of six layers counts as found in a search of four."""
    config = find_recipe("digits")
    six = (0,) * len(config.space.plan(6))
    assert proposed(six, config) == six
    assert proposed(six, override(config, {"space.depth": 4})) is None
    growing = {"space.depth": 8, "depth.start": 4, "depth.step": 2, "depth.interval": 9, "depth.cap": 8}
    assert proposed(six, override(config, growing)) == six
    assert proposed(None, config) is None


def test_networks_are_held_against_each_other_as_the_search_scales_them():
    """Tried: in the configuration's space, which does not scale, a width is a difference though it changes nothing."""
    config = find_recipe("digits")
    assert isinstance(field_of(config, VerdictSettings(), TASK, ROWS).space, FilledSpace)
    assert field_of(config, VerdictSettings(), {}, ROWS).space is config.space, "an evaluator from Python"


def test_finalists_are_the_best_rewards_where_costs_do_not_count():
    config = find_recipe("digits")
    assert finalists(config) == [0, 1, 2, 3]
    assert not field_of(config, VerdictSettings(), TASK, ROWS).by_reward


def test_with_a_target_those_of_the_front_come_first():
    """Tried: by their rewards alone, trial 1 comes second, which trial 2 beats in both."""
    config = override(find_recipe("digits"), {"space.fill": False, "reward.target.multiply_adds": 20})
    assert finalists(config) == [0, 2, 3, 1]
    assert field_of(config, VerdictSettings(), TASK, ROWS).by_reward


def test_the_trainings_of_an_answer_do_not_change_whom_they_are_of():
    """Tried: with all trainings in the mean, trial 2 falls behind trial 1 as its fresh seeds turn out worse."""
    config = override(find_recipe("digits"), {"space.fill": False, "reward.target.multiply_adds": 20})
    again = [replace(ROWS[2], id=4 + number, valid=0.3, phase=Phase.FINAL) for number in range(3)]
    assert finalists(config, [*ROWS, *again]) == finalists(config)
