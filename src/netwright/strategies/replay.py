"""The controller made sample-efficient: it trains on the best recent architectures and proposes none twice."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from random import Random
from statistics import fmean
from typing import Annotated, Self

import torch
from pydantic import Field, model_validator

from netwright.config import Count, LearnerSettings, Section
from netwright.controller.learner import Learner
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, Numbered
from netwright.seeding import derive_seed
from netwright.spaces.base import Crossable, SearchSpace
from netwright.spaces.grammar import Anchor, Plan, Tokens, uniform_tokens
from netwright.strategies.archive import Archive
from netwright.strategies.foresight import Foresight
from netwright.strategies.mutation import fit, mutate
from netwright.trial import State, Trial, Update

HEATING = 1.08
"""Ratio of the temperatures of two rungs of the ladder on which strings are drawn."""

RUNGS = 24

GIVEN = -1
"""In place of a trial's number, of networks that the search was given."""

GIVEN_TRAININGS = 3
"""How many trainings the reward of a given network counts as."""

MAX_DRAWS = 100
"""Mutants, crossings, or uniform strings that are drawn for one that is an unknown network."""


PlannedString = tuple[Plan, Tokens]
"""Tokens, and the plan that they follow."""


class ReplaySettings(Section):
    """How a controller learns from replayed trials.

    Attributes:
        batch: Results between two updates.
        warmup: Results before the first update.
        window: Trials that count as recent.
        queue: How many of them are replayed, the best.
        evaluations: How often a network is trained that comes into the queue, each time from another seed; its place is
            that of its mean reward. With one training, a network that was lucky keeps its place for long, and what is
            truly better than it does not come in. A trial of the search each; networks that were given are known well
            enough.
        steps: Steps of Adam per update.
        step_size: Step size of Adam.
        smoothing: Weight of uniform choices against the replayed ones at each decision; what keeps the neighbours of
            the best likely, as mutation does in evolution.
        clone: Steps of Adam by which the policy learns to write the best of the networks that a search begins from,
            such as those that people draw; see :meth:`ReinforceReplay.begin`.
        families: Whether the queue holds at most one string of each set of connections, so that it does not fill up
            with neighbours of one network.
        mutants: Share of the proposals, in [0, 1], that are a member of the queue with one decision changed instead of
            a string of the policy: steps as small as those of evolution, around the best that is known.
        crossovers: Share of the proposals, in [0, 1], that are a member of the queue with a part of another member: a
            subtree of a cell, some layers of a convolutional network. The space must say how
            (:class:`netwright.spaces.base.Crossable`). With ``mutants`` it is at most 1.
        screen: How many new networks are drawn for each proposal. Of several, the most promising by the known ones is
            proposed; see :class:`~netwright.strategies.foresight.Foresight`.
        by_effect: Whether a network is also passed over that differs from a known one in nothing that has an effect,
            such as a cell with the order of a sum changed; see :meth:`netwright.spaces.base.SearchSpace.effect`.

    Raises:
        ValueError: A value out of its range.
    """

    batch: Count = 4
    warmup: Annotated[int, Field(ge=0)] = 16
    window: Count = 100
    queue: Count = 3
    evaluations: Count = 1
    steps: Count = 8
    step_size: Annotated[float, Field(gt=0)] = 0.01
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    clone: Annotated[int, Field(ge=0)] = 200
    families: bool = False
    mutants: Annotated[float, Field(ge=0, le=1)] = 0.0
    crossovers: Annotated[float, Field(ge=0, le=1)] = 0.0
    screen: Count = 1
    by_effect: bool = False

    @property
    def changes(self) -> float:
        """Share of the proposals that are changes of the queue's members."""
        return self.mutants + self.crossovers

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.changes > 1:
            raise ValueError(
                f"mutants and crossovers: expected at most 1 together, got {self.mutants:g} and {self.crossovers:g}"
            )
        return self

    def learner(self, plan: Plan, settings: LearnerSettings | None, seed: int) -> Learner:
        """A learner that takes steps of ``step_size``; its other arguments are those of :class:`Learner`."""
        sized = (settings or LearnerSettings()).model_copy(update={"learning_rate": self.step_size})
        return Learner(plan, sized, seed)

    def best(self, recent: Iterable[tuple[float, PlannedString]]) -> list[tuple[float, PlannedString]]:
        """The queue: the best strings with their rewards; of equally good ones those that come first."""
        ranked = sorted(recent, key=itemgetter(0), reverse=True)
        if self.families:
            first: dict[Tokens, tuple[float, PlannedString]] = {}
            for reward, string in ranked:
                first.setdefault(connections(*string), (reward, string))
            ranked = list(first.values())
        return ranked[: self.queue]

    def replay(self, learner: Learner, recent: Iterable[tuple[float, PlannedString]]) -> Update | None:
        """Makes the best of the recent strings likelier.

        Args:
            learner: Made by :meth:`learner`.
            recent: Rewards and strings; of equally good ones the first ones are taken.
        """
        best = self.best(recent)
        return learner.replay(
            [string for _, string in best],
            [reward for reward, _ in best],
            steps=self.steps,
            smoothing=self.smoothing,
        )


def connections(plan: Plan, tokens: Tokens) -> Tokens:
    """The tokens of a string's anchors; where it has none, the whole string."""
    anchors = tuple(token for decision, token in zip(plan, tokens, strict=True) if isinstance(decision, Anchor))
    return anchors or tokens


class ReinforceReplay(Numbered):
    """The policy gradient over replayed trials: after every few results the best recent ones are made likelier.

    Priority queue training (Abolafia et al. 2018) of the paper's own RNN, with two changes: the queue holds recent
    trials only, and networks that are known already are not proposed. Together they make the controller leave an
    optimum once its surroundings are exhausted, as tabu search does. Only the order of rewards matters, never their
    scale. With noisy rewards the best are trained again (``evaluations``) before they are relied on.

    What it does is a function of the told trials in their order and of the proposals that are out: any number of
    workers is kept busy, and no network is with two of them.

    Args:
        space: What to design.
        settings: Sizes of the controller; its learning rate is ``replay.step_size``.
        replay: What is replayed, and when.
        seed: Of the weights and of every sample.
        curriculum: Size of the architecture by trial number.

    Raises:
        ValueError: Crossovers are wanted in a space that does not say how strings are crossed.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: LearnerSettings | None = None,
        *,
        replay: ReplaySettings | None = None,
        seed: int = 0,
        curriculum: Curriculum = full_size,
    ) -> None:
        self.space = space
        self.replay = replay or ReplaySettings()
        if self.replay.crossovers and not isinstance(space, Crossable):
            raise ValueError(
                f"crossovers: expected 0, got {self.replay.crossovers:g}: {type(space).__name__} does not say how two "
                "strings are crossed; give it a method cross(tokens, donor, random)"
            )
        self.seed = seed
        self.curriculum = curriculum
        self.learner = self.replay.learner(space.plan(), settings, derive_seed(seed, "controller"))
        self._known = Archive(space, by_effect=self.replay.by_effect)
        self._recent: deque[tuple[float, int, Tokens]] = deque(maxlen=self.replay.window)
        self._given: list[tuple[float, PlannedString]] = []
        self._foresight = Foresight(space)
        self._tried: Counter[Tokens] = Counter()
        self._drawn: dict[tuple[int | None, int], list[Tokens]] = {}

    def begin(self, known: Sequence[tuple[Tokens, float]]) -> None:
        """Starts a fresh strategy from networks whose reward is known, such as those that people draw.

        The policy first learns to write the best of them; none is ever proposed, and they are replayed for as long as
        nothing better is found. What it makes of them depends on nothing but them, the settings and the seed.

        Args:
            known: Tokens of any size of the space, and rewards.
        """
        written = {decision.kind for decision in self.space.plan()}
        for tokens, reward in known:
            self._known.add(Trial(id=GIVEN, tokens=tokens, state=State.COMPLETE, reward=reward))
            self._foresight.add(tokens, reward, trainings=GIVEN_TRAININGS)
            plan = self.space.plan_of(tokens)
            # A policy that writes one layer, say, decides nothing about pooling, and cannot be taught to write more.
            if written.issuperset(decision.kind for decision in plan):
                self._given.append((reward, (plan, tokens)))
        if self._given and self.replay.clone:
            strings = [string for _, string in self.replay.best(self._given)]
            self.learner.imitate(strings, steps=self.replay.clone, smoothing=self.replay.smoothing)

    def propose(self, trial_id: int) -> Tokens:
        """The first network that the policy draws and that is neither known nor out; or a change of the best.

        Where more than one is drawn, the most promising of them. Before any of that comes a member of the queue that
        was not trained often enough.
        """
        if (doubtful := self._doubtful(trial_id)) is not None:
            return doubtful
        plan = self.space.plan(self.curriculum(trial_id))
        candidates = list(islice(self._candidates(trial_id, plan), self.replay.screen))
        return candidates[0] if len(candidates) == 1 else self._foresight.most_promising(plan, candidates)

    def _candidates(self, trial_id: int, plan: Plan) -> Iterator[Tokens]:
        """New networks that differ, at least one: the policy's draws and changes of the best, each in its share."""
        fresh = self._known.fresh(self.out.values())
        met: set[Tokens] = set()
        random = Random(derive_seed(self.seed, "mutant", trial_id))

        def new(tokens: Tokens) -> bool:
            return tokens not in met and fresh(tokens)

        members = [tokens for _, (_, tokens) in self.replay.best(self._replayable())] if self.replay.changes else []
        draws = filter(new, self._draws(self.curriculum(trial_id)))
        while (tokens := self._changed(plan, members, random, new) or next(draws, None)) is not None:
            met.add(tokens)
            yield tokens
        if not met:
            yield self._uniform(trial_id, plan, fresh)

    def _doubtful(self, trial_id: int) -> Tokens | None:
        """The best network of the queue that has been trained too few times, and is not out; None where there is none.

        A training that was lost counts, too: a network that the machine cannot train would be asked for without end.
        Those of another size than the curriculum now asks for are left alone.
        """
        if self.replay.evaluations == 1:  # whoever is in the queue has been trained once
            return None
        plan, out = self.space.plan(self.curriculum(trial_id)), set(self.out.values())
        for _, (written, tokens) in self.replay.best(self._replayable()):
            if 0 < self._tried[tokens] < self.replay.evaluations and tokens not in out and len(written) == len(plan):
                return tokens
        return None

    def _changed(
        self, plan: Plan, members: Sequence[Tokens], random: Random, new: Callable[[Tokens], bool]
    ) -> Tokens | None:
        """A mutant or a crossing of the queue, new; None where it is neither's turn, or none is easy to find."""
        drawn = random.random()
        if drawn >= self.replay.changes:
            return None
        mutating = drawn < self.replay.mutants
        for _ in range(MAX_DRAWS if len(members) >= (1 if mutating else 2) else 0):
            tokens = self._mutant(plan, members, random) if mutating else self._crossing(plan, members, random)
            if new(tokens):
                return tokens
        return None

    @staticmethod
    def _mutant(plan: Plan, members: Sequence[Tokens], random: Random) -> Tokens:
        """A member of the queue, of the plan's size, with one decision changed."""
        return mutate(plan, fit(plan, random.choice(members), random), random)

    def _crossing(self, plan: Plan, members: Sequence[Tokens], random: Random) -> Tokens:
        """A member of the queue, of the plan's size, with a part of another member."""
        assert isinstance(self.space, Crossable)
        member, donor = random.sample(members, 2)
        return self.space.cross(fit(plan, member, random), donor, random)

    def _draws(self, size: int | None) -> Iterator[Tokens]:
        """Strings from the policy as it is: at first a batch, and more until there is room for all that are needed."""
        width, needed = self.replay.batch, len(self.out) + self.replay.screen
        yield from self._draw(size, width)
        while width < needed:
            width *= 2
            yield from self._draw(size, width)

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

    def _uniform(self, trial_id: int, plan: Plan, fresh: Callable[[Tokens], bool]) -> Tokens:
        """Any string of the plan, new if that is easy to find."""
        random = Random(derive_seed(self.seed, "uniform", trial_id))
        draws = [uniform_tokens(plan, random) for _ in range(MAX_DRAWS)]
        return next(filter(fresh, draws), draws[0])

    def learn(self, trial: Trial) -> Update | None:
        """Trains after every ``replay.batch`` results, but for updates that a loaded checkpoint has made already."""
        self._known.add(trial)
        # A failure tells something of a network that was trained before; of another one, that it is not worth a place.
        counts = self._tried[trial.tokens] > 0 or trial.state is State.COMPLETE
        if counts:
            self._tried[trial.tokens] += 1
        if trial.reward is not None:
            self._foresight.add(trial.tokens, trial.reward)
            if counts:
                self._recent.append((trial.reward, trial.id, trial.tokens))
        due = self.told % self.replay.batch == 0 and self.told // self.replay.batch > self.learner.updates
        return self._train() if due else None

    def _train(self) -> Update | None:
        """Replays the best of the recent trials and of the given ones."""
        self._drawn.clear()
        return self.replay.replay(self.learner, self._replayable() if self.told >= self.replay.warmup else [])

    def _replayable(self) -> list[tuple[float, PlannedString]]:
        """Recent strings with their mean rewards, of equally good ones the latest first, then the given ones."""
        rewards: dict[Tokens, list[float]] = {}
        latest: dict[Tokens, int] = {}
        for reward, trial_id, tokens in self._recent:
            rewards.setdefault(tokens, []).append(reward)
            latest[tokens] = trial_id
        recent = sorted(((fmean(rewards[tokens]), latest[tokens], tokens) for tokens in rewards), reverse=True)
        plan = cache(self.space.plan)  # of few sizes, and asked for by each of a hundred trials
        strings = [(reward, (plan(self.curriculum(i)), tokens)) for reward, i, tokens in recent]
        return [*strings, *self._given]

    def state(self) -> bytes:
        """The learner as safetensors; see :meth:`Checkpointed.state`."""
        return self.learner.checkpoint()

    def load_state(self, state: bytes) -> None:
        """See :meth:`Checkpointed.load_state`."""
        self.learner.load_checkpoint(state)
