"""REINFORCE as a strategy: batches of architectures from the controller, one update per finished batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from netwright.config import LearnerSettings
from netwright.controller.learner import Learner
from netwright.controller.policy import Policy
from netwright.search.curriculum import full_size
from netwright.search.strategy import Curriculum, trials_told
from netwright.seeding import derive_seed
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Plan, Tokens
from netwright.trial import Proposal, Trial, Update


class Reinforce:
    """The paper's strategy (Zoph & Le 2017, sec. 3.2), synchronous: a batch is sampled when the last one is finished.

    Trial ``i`` belongs to batch ``i // batch``, and batch ``b`` is sampled from a stream derived from the seed and
    ``b``, so the controller's weights depend on the rewards alone and not on who finished first.

    Args:
        space: What to design.
        settings: The controller's.
        batch: Architectures per update (the paper's m, 8).
        seed: Of the weights and of every sample.
        curriculum: Size of the architecture by trial number.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: LearnerSettings | None = None,
        *,
        batch: int = 8,
        seed: int = 0,
        curriculum: Curriculum = full_size,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch: expected at least 1, got {batch}")
        self.space = space
        self.batch = batch
        self.seed = seed
        self.curriculum = curriculum
        self.learner = Learner(space.plan(), settings or LearnerSettings(), derive_seed(seed, "controller"))
        self._waiting: list[Proposal] = []
        self._told: dict[int, Trial] = {}
        self._next_id = 0

    def ask(self, count: int) -> list[Proposal]:
        """Proposals of the current batch; none once all of it is out. See :meth:`Strategy.ask`."""
        if not self._waiting and self._next_id == self.learner.updates * self.batch:
            self._waiting = self._sample_batch()
        asked, self._waiting = self._waiting[:count], self._waiting[count:]
        self._next_id += len(asked)
        return asked

    def _sample_batch(self) -> list[Proposal]:
        """The batch that follows the last update, whole."""
        number = self.learner.updates
        return sample_batch(self.learner.policy, self.space, self.curriculum, self.seed, number, self.batch)

    def tell(self, trials: Sequence[Trial] | Proposal, reward: float | None = None) -> Update | None:
        """Keeps the trials until their batch is whole, then updates. See :meth:`Strategy.tell`.

        A loop of your own tells one proposal with its reward; see :func:`trials_told`.
        """
        update = None
        self._told |= {trial.id: trial for trial in trials_told(trials, reward)}
        while len(batch := self._next_batch()) == self.batch:
            update = self.learner.update(*lesson(batch, self.space, self.curriculum))
            for trial in batch:
                del self._told[trial.id]
        return update

    def _next_batch(self) -> list[Trial]:
        """Those trials of the batch under way that have been told, by number."""
        first = self.learner.updates * self.batch
        return [self._told[i] for i in range(first, first + self.batch) if i in self._told]

    @property
    def has_begun(self) -> bool:
        """See :attr:`~netwright.search.strategy.Counting.has_begun`."""
        return self._next_id > 0 or self.learner.updates > 0 or bool(self._told)

    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """Repeats every update that the learner has not made; see :meth:`Strategy.restore`.

        Loading a checkpoint into ``learner`` first only makes this quicker.
        """
        done = self.learner.updates * self.batch
        self.tell([trial for trial in told if trial.id >= done])
        self._next_id = next_id
        first = self.learner.updates * self.batch
        self._waiting = self._sample_batch()[next_id - first :] if next_id > first else []

    def state(self) -> bytes:
        """The learner as safetensors; see :meth:`Checkpointed.state`."""
        return self.learner.checkpoint()

    def load_state(self, state: bytes) -> None:
        """See :meth:`Checkpointed.load_state`."""
        self.learner.load_checkpoint(state)


def sample_batch(
    policy: Policy, space: SearchSpace, curriculum: Curriculum, seed: int, number: int, size: int
) -> list[Proposal]:
    """Batch ``number`` of a search, whole: the trials from ``number * size`` on, drawn from the policy as it is.

    Args:
        policy: Draws the tokens.
        space: Plans the strings.
        curriculum: Size of the architecture by trial number.
        seed: The run's; the batch has a stream derived from it and ``number``.
        number: From 0.
        size: Architectures in a batch.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "sample", number))
    ids_of: dict[int | None, list[int]] = {}
    for trial_id in range(number * size, (number + 1) * size):
        ids_of.setdefault(curriculum(trial_id), []).append(trial_id)
    proposals = []
    for length, ids in ids_of.items():
        sample = policy.sample(space.plan(length), len(ids), generator)
        rows = zip(ids, sample.tokens.tolist(), sample.log_prob.tolist(), sample.entropy.tolist(), strict=True)
        for trial_id, tokens, log_prob, entropy in rows:
            notes = {"log_prob": log_prob, "entropy": entropy}
            proposals.append(Proposal(id=trial_id, tokens=tuple(tokens), notes=notes))
    return sorted(proposals, key=lambda proposal: proposal.id)


def lesson(
    batch: Sequence[Trial], space: SearchSpace, curriculum: Curriculum
) -> tuple[list[tuple[Plan, Tokens]], list[float]]:
    """What a learner takes from finished trials: plans with tokens, and rewards; lost trials are left out."""
    rewarded = [(trial, trial.reward) for trial in batch if trial.reward is not None]
    strings = [(space.plan(curriculum(trial.id)), trial.tokens) for trial, _ in rewarded]
    return strings, [reward for _, reward in rewarded]
