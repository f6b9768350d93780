"""A strategy of your own against random search, on a table that needs no download.

A strategy is two methods: ``propose`` tokens for a trial, ``learn`` from a trial. This one changes one token
of the best string so far; a fifth of its proposals are random. Run it with ``python examples/own_strategy.py``.
"""

from random import Random

from netwright.benchmarks.toy import toy_table
from netwright.comparison.contests import run_course
from netwright.search.strategy import Numbered, Strategy
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens, uniform_tokens
from netwright.strategies.mutation import mutate
from netwright.strategies.random_search import RandomSearch
from netwright.trial import Trial


class Greedy(Numbered):
    """Mutates the best trial so far."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.plan = space.plan()
        self.seed = seed
        self.best: Trial | None = None

    def propose(self, trial_id: int) -> Tokens:
        """What is drawn for a trial depends on its number and on what was learned, so that a search can be resumed."""
        random = Random(derive_seed(self.seed, "greedy", trial_id))
        if self.best is None or random.random() < 0.2:
            return uniform_tokens(self.plan, random)
        return mutate(self.plan, self.best.tokens, random)

    def learn(self, trial: Trial) -> None:
        """Keeps the best; a reward of None means that the trial was lost."""
        if trial.reward is not None and (self.best is None or trial.reward > (self.best.reward or 0)):
            self.best = trial


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
