"""The contract of a strategy, as tests: subclass :class:`StrategyContract` in a test file and say how yours is made."""

# ruff: noqa: D102  the tests' names are their sentences

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

from netwright.benchmarks.toy import SPACE, ToyConvEvaluator, toy_table
from netwright.config import DepthSchedule
from netwright.search.curriculum import full_size
from netwright.search.executor import Evaluator
from netwright.search.strategy import Curriculum, Strategy
from netwright.spaces.base import SearchSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import check_tokens
from netwright.strategies.random_search import RandomSearch
from netwright.trial import Evaluation, Proposal, State, Trial

GROWING_SPACE = ConvSpace(depth=4, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
GROWING = DepthSchedule(start=1, step=1, interval=12, cap=4)


def judge(space: SearchSpace, evaluator: Evaluator, proposal: Proposal) -> Trial:
    """The finished trial of a proposal; the reward is the validation accuracy."""
    evaluation = evaluator.evaluate(space.decode(proposal.tokens), proposal.id, lambda epoch, value: None)
    valid = evaluation.valid if isinstance(evaluation, Evaluation) else float(evaluation)
    return Trial(id=proposal.id, tokens=proposal.tokens, state=State.COMPLETE, reward=valid, valid=valid)


def fail(proposal: Proposal, reward: float | None) -> Trial:
    """The failed trial of a proposal; a reward of None means that it was lost."""
    return Trial(id=proposal.id, tokens=proposal.tokens, state=State.FAILED, reward=reward)


def drive(strategy: Strategy, space: SearchSpace, evaluator: Evaluator, count: int) -> list[Trial]:
    """One worker: ask for one, evaluate it, tell it."""
    trials = []
    for _ in range(count):
        (proposal,) = strategy.ask(1)
        trials.append(judge(space, evaluator, proposal))
        strategy.tell(trials[-1:])
    return trials


class StrategyContract(ABC):
    """What every strategy promises.

    ``budget`` is how many evaluations it may need for the toy table's best network, of 1,024.
    """

    budget = 400

    @abstractmethod
    def make(self, space: SearchSpace, *, seed: int, curriculum: Curriculum) -> Strategy:
        """A fresh instance."""

    def test_proposals_are_numbered_without_gaps_and_are_of_the_space(self) -> None:
        trials = drive(self.make(SPACE, seed=1, curriculum=full_size), SPACE, toy_table(), 40)
        assert [trial.id for trial in trials] == list(range(40))
        for trial in trials:
            check_tokens(SPACE.plan(), trial.tokens)

    def test_the_seed_alone_decides(self) -> None:
        one, same, other = (
            drive(self.make(SPACE, seed=seed, curriculum=full_size), SPACE, toy_table(), 40) for seed in (1, 1, 2)
        )
        assert one == same
        assert one != other

    def test_restored_equals_uninterrupted(self) -> None:
        table = toy_table()
        whole = drive(self.make(SPACE, seed=3, curriculum=full_size), SPACE, table, 48)
        for stop in (1, 7, 16, 29):
            resumed = self.make(SPACE, seed=3, curriculum=full_size)
            resumed.restore(whole[:stop], stop)
            assert whole[:stop] + drive(resumed, SPACE, table, 48 - stop) == whole

    def test_restored_while_some_are_out(self) -> None:
        table = toy_table()
        first = self.make(SPACE, seed=4, curriculum=full_size)
        told = drive(first, SPACE, table, 24)
        out = first.ask(5)
        second = self.make(SPACE, seed=4, curriculum=full_size)
        second.restore(told, 24 + len(out), out)
        late = [judge(SPACE, table, proposal) for proposal in out]
        for trial in late[::-1]:
            assert first.ask(1) == second.ask(1)
            for strategy in (first, second):
                strategy.tell([trial])
        assert first.ask(4) == second.ask(4)

    def test_many_workers_finish_in_any_order(self) -> None:
        table = toy_table()
        strategy = self.make(SPACE, seed=5, curriculum=full_size)
        shuffle = random.Random(5)
        out: list[Proposal] = []
        told = 0
        while told < 80:
            out += strategy.ask(8 - len(out))
            assert out, "nothing is out, and nothing is proposed"
            strategy.tell([judge(SPACE, table, out.pop(shuffle.randrange(len(out))))])
            told += 1

    def test_failed_and_lost_trials_are_survived(self) -> None:
        strategy = self.make(SPACE, seed=6, curriculum=full_size)
        table = toy_table()
        for number in range(60):
            (proposal,) = strategy.ask(1)
            endings: Sequence[Trial] = (fail(proposal, 0.0), fail(proposal, None), judge(SPACE, table, proposal))
            strategy.tell([endings[min(number // 10, 2) if number < 30 else number % 3]])

    def test_architectures_grow_with_the_curriculum(self) -> None:
        strategy = self.make(GROWING_SPACE, seed=7, curriculum=GROWING)
        for trial in drive(strategy, GROWING_SPACE, ToyConvEvaluator(), 60):
            check_tokens(GROWING_SPACE.plan(GROWING(trial.id)), trial.tokens)

    def test_finds_the_best_and_beats_random(self) -> None:
        table = toy_table()
        lead = 0.0
        for seed in range(3):
            mine = drive(self.make(SPACE, seed=seed, curriculum=full_size), SPACE, table, self.budget)
            control = drive(RandomSearch(SPACE, seed=seed), SPACE, table, self.budget)
            lead += sum(trial.reward or 0.0 for trial in mine) - sum(trial.reward or 0.0 for trial in control)
            assert max(trial.reward or 0.0 for trial in mine) > 0.99
        assert lead > 0
