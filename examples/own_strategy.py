"""A strategy of your own against random search, on a table that needs no download.

A strategy is any class with ``ask``, ``tell`` and ``restore``. This one changes one token of the best string so far; a
fifth of its proposals are random. Run it with ``python examples/own_strategy.py``.
"""

from collections.abc import Sequence
from random import Random

from netwright.benchmarks.toy import toy_table
from netwright.comparison.contests import run_course
from netwright.search.strategy import Strategy
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import uniform_tokens
from netwright.strategies.mutation import mutate
from netwright.strategies.random_search import RandomSearch
from netwright.trial import Proposal, Trial


class Greedy:
    """Mutates the best trial so far."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.plan = space.plan()
        self.seed = seed
        self.best: Trial | None = None
        self.next_id = 0

    def ask(self, count: int) -> list[Proposal]:
        """New proposals; what is drawn for a trial depends on its number, so that a search can be resumed."""
        proposals = []
        for number in range(self.next_id, self.next_id + count):
            random = Random(derive_seed(self.seed, "greedy", number))
            if self.best is None or random.random() < 0.2:
                tokens = uniform_tokens(self.plan, random)
            else:
                tokens = mutate(self.plan, self.best.tokens, random)
            proposals.append(Proposal(id=number, tokens=tokens))
        self.next_id += count
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Keeps the best; a reward of None means that the trial was lost."""
        for trial in trials:
            if trial.reward is not None and (self.best is None or trial.reward > (self.best.reward or 0)):
                self.best = trial

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """Back to where another instance was."""
        self.tell(told)
        self.next_id = next_id


def main() -> None:
    """Prints the best accuracy of either strategy after 100 evaluations, over five seeds."""
    table = toy_table()
    for seed in range(5):
        contestants: dict[str, Strategy] = {
            "greedy": Greedy(table.space, seed),
            "random": RandomSearch(table.space, seed=seed),
        }
        best = {name: max(run_course(strategy, table, 100, seed).valid) for name, strategy in contestants.items()}
        print(f"seed {seed}: " + ", ".join(f"{name} {value:.2f}" for name, value in best.items()))


if __name__ == "__main__":
    main()
