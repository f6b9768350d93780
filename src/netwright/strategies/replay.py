"""The controller made sample-efficient: it trains on the best recent architectures and proposes none twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import safetensors.torch
import torch

from netwright.config import LearnerSettings
from netwright.controller.learner import Learner
from netwright.controller.weights import to_bytes
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum
from netwright.seeding import derive_seed
from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Anchor, Plan, Tokens, uniform_tokens
from netwright.strategies.archive import Archive
from netwright.strategies.mutation import mutate
from netwright.trial import Proposal, State, Trial, Update

HEATING = 1.08
"""Ratio of the temperatures of two rungs of the ladder on which strings are drawn."""

RUNGS = 24

MAX_DRAWS = 100
"""Uniform draws for an unknown network, once the ladder has none left."""


GIVEN = -1
"""In place of a trial's number, of networks that the search was given."""


class _Member(NamedTuple):
    """A string that may be replayed.

    Attributes:
        reward: What it earned.
        id: Number of its trial.
        plan: Of its size.
        tokens: The string.
    """

    reward: float
    id: int
    plan: Plan
    tokens: Tokens

    @property
    def connections(self) -> Tokens:
        """The tokens of its anchors; in a space without any, the whole string."""
        anchors = tuple(t for d, t in zip(self.plan, self.tokens, strict=True) if isinstance(d, Anchor))
        return anchors or self.tokens


class ReinforceReplay:
    """The policy gradient over replayed trials: after every few results the best recent ones are made likelier.

    Priority queue training (Abolafia et al. 2018) of the paper's own RNN, with two changes: the queue holds recent
    trials only, and networks that are known already are not proposed. Together they make the controller leave an
    optimum once its surroundings are exhausted, as tabu search does. Only the order of rewards matters, never their
    scale.

    What it does is a function of the told trials in their order, so that any number of workers is kept busy; a proposal
    takes into account by count those that are still out, as in :class:`LocalSearch`.

    Args:
        space: What to design.
        settings: Sizes of the controller; its learning rate is ``step_size`` below.
        batch: Results between two updates.
        warmup: Results before the first update.
        window: Trials that count as recent.
        queue: How many of them are replayed, the best.
        steps: Steps of Adam per update.
        step_size: Of Adam.
        smoothing: Weight of uniform choices against the replayed ones at each decision; what keeps the neighbours of
            the best likely, as mutation does in evolution.
        clone: Steps of Adam by which the policy learns to write the networks of :meth:`begin`.
        families: Whether the queue holds at most one string of each set of connections, so that it does not fill up
            with neighbours of one network.
        mutants: Share of the proposals, in [0, 1], that are a member of the queue with one decision changed instead of
            a string of the policy: steps as small as those of evolution, around the best that is known.
        seed: Of the weights and of every sample.
        curriculum: Size of the architecture by trial number.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: LearnerSettings | None = None,
        *,
        batch: int = 4,
        warmup: int = 16,
        window: int = 100,
        queue: int = 3,
        steps: int = 8,
        step_size: float = 0.01,
        smoothing: float = 0.1,
        clone: int = 200,
        families: bool = False,
        mutants: float = 0.0,
        seed: int = 0,
        curriculum: Curriculum = full_size,
    ) -> None:
        if min(batch, window, queue, steps) < 1:
            raise ValueError(f"expected at least 1, got {batch=}, {window=}, {queue=}, {steps=}")
        if not 0 <= mutants <= 1:
            raise ValueError(f"expected mutants in [0, 1], got {mutants}")
        if not 0 <= smoothing < 1:
            raise ValueError(f"expected smoothing in [0, 1), got {smoothing}")
        controller = (settings or LearnerSettings()).model_copy(update={"learning_rate": step_size})
        self.space = space
        self.batch = batch
        self.warmup = warmup
        self.queue = queue
        self.steps = steps
        self.smoothing = smoothing
        self.clone = clone
        self.families = families
        self.mutants = mutants
        self.seed = seed
        self.curriculum = curriculum
        self.learner = Learner(space.plan(), controller, derive_seed(seed, "controller"))
        self._known = Archive(space)
        self._recent: deque[_Member] = deque(maxlen=window)
        self._given: list[_Member] = []
        self._drawn: dict[tuple[int | None, int], list[Tokens]] = {}
        self._told = 0
        self._next_id = 0

    def begin(self, known: Sequence[tuple[Tokens, float]]) -> None:
        """Starts a fresh strategy from networks whose reward is known, such as those that people draw.

        The policy first learns to write the best of them; none is ever proposed, and they are replayed for as long as
        nothing better is found. What it makes of them depends on nothing but them, the settings and the seed.

        Args:
            known: Tokens of full size, and rewards.
        """
        plan = self.space.plan()
        for tokens, reward in known:
            self._known.add(Trial(id=GIVEN, tokens=tokens, state=State.COMPLETE, reward=reward))
            self._given.append(_Member(reward, GIVEN, plan, tokens))
        if known and self.clone:
            strings = [(member.plan, member.tokens) for member in self._queue()]
            self.learner.imitate(strings, steps=self.clone, smoothing=self.smoothing)

    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        ids = range(self._next_id, self._next_id + count)
        self._next_id += count
        return [Proposal(id=i, tokens=self._propose(i)) for i in ids]

    def _propose(self, trial_id: int) -> Tokens:
        """The first unknown network that the policy draws, after as many as are out; or a mutant."""
        random = Random(derive_seed(self.seed, "mutant", trial_id))
        if random.random() < self.mutants and (mutant := self._mutant(random)) is not None:
            return mutant
        out = trial_id - self._told
        met: set[Architecture] = set()
        for width in self._widths(out):
            for tokens in self._draw(self.curriculum(trial_id), width):
                if tokens not in self._known:
                    met.add(self._known.network(tokens))
                if len(met) > out:
                    return tokens
                if len(met) == width:
                    break
        return self._uniform(trial_id)

    def _mutant(self, random: Random) -> Tokens | None:
        """A member of the queue with one decision changed, unknown; None where that is not easy to find."""
        members = self._queue()
        for _ in range(MAX_DRAWS if members else 0):
            member = random.choice(members)
            tokens = mutate(member.plan, member.tokens, random)
            if tokens not in self._known:
                return tokens
        return None

    def _widths(self, out: int) -> Iterator[int]:
        """The batch, doubled until it leaves room for one more than are out."""
        width = self.batch
        while width <= out:
            yield width
            width *= 2
        yield width

    def _draw(self, size: int | None, width: int) -> list[Tokens]:
        """Strings from the policy as it is, ever hotter, ``width`` of them at each temperature.

        A policy that is sure of itself draws what is known already. So the temperature rises along the list, and
        proposals stay as close to the policy as the known networks let them. The more proposals are out, the wider.
        """
        if (size, width) not in self._drawn:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "sample", self.learner.updates, width))
            temperature = (HEATING ** torch.arange(RUNGS)).repeat_interleave(width)
            sample = self.learner.policy.sample(self.space.plan(size), len(temperature), generator, temperature)
            self._drawn[size, width] = [tuple(tokens) for tokens in sample.tokens.tolist()]
        return self._drawn[size, width]

    def _uniform(self, trial_id: int) -> Tokens:
        """Any string, unknown if that is easy to find."""
        random = Random(derive_seed(self.seed, "uniform", trial_id))
        plan = self.space.plan(self.curriculum(trial_id))
        draws = [uniform_tokens(plan, random) for _ in range(MAX_DRAWS)]
        return next((tokens for tokens in draws if tokens not in self._known), draws[0])

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """Trains after every ``batch`` results. See :meth:`Strategy.tell`."""
        update = None
        for trial in trials:
            self._told += 1
            self._known.add(trial)
            if trial.state is State.COMPLETE and trial.reward is not None:
                plan = self.space.plan(self.curriculum(trial.id))
                self._recent.append(_Member(trial.reward, trial.id, plan, trial.tokens))
            if self._told % self.batch == 0 and self._told // self.batch > self.learner.updates:
                update = self._train()
        return update

    def _train(self) -> Update | None:
        """Replays the best of the recent trials and of the given ones; of equally good ones the latest."""
        best = self._queue() if self._told >= self.warmup else []
        self._drawn.clear()
        return self.learner.replay(
            [(member.plan, member.tokens) for member in best],
            [member.reward for member in best],
            steps=self.steps,
            smoothing=self.smoothing,
        )

    def _queue(self) -> list[_Member]:
        ranked = sorted([*self._recent, *self._given], key=lambda member: (member.reward, member.id), reverse=True)
        if self.families:
            first: dict[Tokens, _Member] = {}
            for member in ranked:
                first.setdefault(member.connections, member)
            ranked = list(first.values())
        return ranked[: self.queue]

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """Repeats every update that the learner has not made; see :meth:`Strategy.restore`."""
        self.tell(told)
        self._next_id = next_id

    def state(self) -> bytes:
        """The learner as safetensors; see :meth:`Checkpointed.state`."""
        return to_bytes(self.learner.state())

    def load_state(self, state: bytes) -> None:
        """See :meth:`Checkpointed.load_state`."""
        self.learner.load_state(safetensors.torch.load(state))
