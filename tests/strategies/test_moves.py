"""Mutation, the archive, reuse, and what evolution and local search do with them, on cases worked out by hand."""

from random import Random

import pytest

from netwright.benchmarks import nasbench_macro
from netwright.benchmarks.tabular import TabularEvaluator
from netwright.search.executor import Job, SerialExecutor
from netwright.search.reuse import ReusingExecutor
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Anchor, Choice
from netwright.spaces.published import published
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.strategies.archive import Archive
from netwright.strategies.evolution import Evolution
from netwright.strategies.local_search import LocalSearch
from netwright.strategies.mutation import fit, mutate, neighbours
from netwright.testing.strategies import drive, fail
from netwright.trial import Evaluation, State, Trial

PLAN = (Choice("side", (1, 3, 5)), Anchor(2), Choice("fixed", (7,)))
LINE = ChoiceSpace("line", (Choice("x", (0, 1, 2)), Choice("y", (0, 1, 2))))


def told(number, tokens, reward):
    return Trial(id=number, tokens=tokens, state=State.COMPLETE, reward=reward, valid=reward)


def test_neighbours_change_one_choice_or_one_bit():
    assert set(neighbours(PLAN, (1, 0b10, 0))) == {(0, 0b10, 0), (2, 0b10, 0), (1, 0b11, 0), (1, 0b00, 0)}


def test_mutation_leads_to_every_neighbour_and_nowhere_else():
    random = Random(0)
    assert {mutate(PLAN, (1, 0b10, 0), random) for _ in range(200)} == set(neighbours(PLAN, (1, 0b10, 0)))
    assert mutate((Choice("fixed", (7,)),), (0,), random) == (0,)


def test_fitting_keeps_what_it_can():
    random = Random(0)
    assert fit(PLAN, (2, 0b11, 0, 5, 5), random) == (2, 0b11, 0)
    grown = {fit(PLAN, (2,), random) for _ in range(100)}
    assert grown == {(2, mask, 0) for mask in range(4)}


def test_the_archive_knows_networks_not_strings():
    archive = Archive(nasbench_macro.SPACE)
    archive.add(told(0, (2, 2, 2, 0, 1, 0, 0, 1), 0.9))
    archive.add(told(1, (2, 2, 2, 1, 0, 0, 1, 0), 0.1))
    assert (2, 2, 2, 1, 0, 0, 0, 1) in archive
    assert archive.reward((2, 2, 2, 1, 0, 0, 0, 1)) == 0.9
    assert (2, 2, 1, 2, 0, 0, 0, 1) not in archive


def test_an_archive_by_effect_knows_what_does_the_same():
    """Two cells that differ in which leaf of a sum of sums has a ReLU, beside one with a tanh."""
    space, lstm = RecurrentCellSpace(), published("lstm")

    def with_relu_at(leaf):
        nodes = list(lstm.nodes)
        nodes[0], nodes[leaf] = ("add", "tanh"), ("add", "relu")
        return space.encode(lstm.model_copy(update={"nodes": tuple(nodes)}))

    one, other = with_relu_at(1), with_relu_at(2)
    for by_effect in (False, True):
        archive = Archive(space, by_effect=by_effect)
        assert archive.fresh([one])(other) is not by_effect
        archive.add(told(0, one, 0.9))
        assert (other in archive) is by_effect
        assert archive.reward(other) == (0.9 if by_effect else None)


def test_a_network_proposed_again_is_not_evaluated_again():
    class Counting:
        calls = 0

        def evaluate(self, architecture, seed, report):
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("the first child fails")
            return Evaluation(valid=seed / 10, curve=(0.1,))

    evaluator, space = Counting(), nasbench_macro.SPACE
    executor = ReusingExecutor(SerialExecutor(evaluator), space)
    valid = []
    for number, tokens in enumerate([(2, 2, 2, 0, 1, 0, 0, 1), (2, 2, 2, 1, 0, 0, 1, 0), (2, 2, 2, 1, 0, 0, 0, 1)]):
        executor.submit(Job(id=number, architecture=space.decode(tokens), seed=number))
        assert executor.busy == 1
        (outcome,) = executor.wait()
        assert outcome.id == number
        valid.append(getattr(outcome.result, "valid", None))
    assert valid == [None, 0.1, 0.1]
    assert evaluator.calls == 2
    assert executor.wait() == []


def test_evolution_mutates_the_best_of_those_alive_and_the_oldest_die():
    strategy = Evolution(LINE, population=2, tournament=2, seed=1)
    strategy.tell([told(0, (0, 0), 0.9), told(1, (2, 2), 0.5)])
    assert {p.tokens for p in strategy.ask(60)} == set(neighbours(LINE.plan(), (0, 0)))
    strategy.tell([told(2, (1, 1), 0.4)])
    assert {p.tokens for p in strategy.ask(60)} == set(neighbours(LINE.plan(), (2, 2)))


@pytest.mark.parametrize(("population", "tournament"), [(2, 3), (0, 0), (5, 0)])
def test_evolution_needs_parents(population, tournament):
    with pytest.raises(ValueError, match="1 <= tournament <= population"):
        Evolution(LINE, population=population, tournament=tournament)


def test_local_search_moves_to_the_first_better_neighbour():
    strategy = LocalSearch(LINE, seed=1)
    strategy.tell([told(0, (0, 0), 0.5)])
    strategy.restore([], 1)
    first, second = strategy.ask(2)
    assert {first.tokens, second.tokens} < set(neighbours(LINE.plan(), (0, 0)))
    strategy.tell([told(1, first.tokens, 0.6)])
    assert {proposal.tokens for proposal in strategy.ask(2)} < set(neighbours(LINE.plan(), first.tokens))


def test_local_search_visits_everything_once_when_there_is_nothing_to_climb():
    flat = {LINE.decode((x, y)).choices: (Evaluation(valid=0.5),) for x in range(3) for y in range(3)}
    trials = drive(LocalSearch(LINE, seed=2), LINE, TabularEvaluator("flat", LINE, flat), 9)
    assert len({trial.tokens for trial in trials}) == 9


def test_local_search_goes_on_when_a_neighbour_is_lost():
    strategy = LocalSearch(LINE, seed=3)
    strategy.tell([told(0, (0, 0), 0.5)])
    strategy.restore([], 1)
    met = []
    for _ in range(4):
        (proposal,) = strategy.ask(1)
        met.append(proposal.tokens)
        strategy.tell([fail(proposal, None)])
    assert set(met) == set(neighbours(LINE.plan(), (0, 0)))
    assert strategy.ask(1)[0].tokens not in met
