"""What a search asks of whoever proposes architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, final, runtime_checkable

from netwright.spaces.grammar import Tokens
from netwright.trial import Proposal, State, Trial, Update

Curriculum = Callable[[int], int | None]
"""Trial number -> size of the architecture to propose (None: the space's full size)."""


class Strategy(Protocol):
    """Proposes tokens and is told what came of them; sees tokens and rewards only.

    A strategy is a deterministic function of its settings, its seed, the trials it was told, in the order it was told
    them, and the proposals that are out with workers. That is the whole of its state: ``restore`` on a fresh instance
    brings it back, which is how a search resumes. Random numbers for trial ``i`` come from a stream derived from the
    seed and ``i``.

    A strategy that answers for each trial by itself is easiest to write as a :class:`Numbered`.
    ``netwright.testing.strategies`` has the contract suite.
    """

    def ask(self, count: int) -> list[Proposal]:
        """At most ``count`` new proposals, numbered on from the last one; none while it waits to be told."""
        ...

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """Learns from finished trials, which may come in any order.

        Returns:
            What a controller's update looked like, where these trials brought one about.
        """
        ...

    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """Brings a fresh instance to where another one was.

        Args:
            told: The trials the other was told, in that order.
            next_id: The number of its next proposal.
            out: Its proposals that it has not been told of, by number. They are not proposed again: whoever resumes
                evaluates them, and tells.
        """
        ...


class Numbered(ABC):
    """A strategy in two methods: ``propose`` for one trial, ``learn`` from one trial; the rest is counted here.

    Attributes:
        told: How many trials it was told, lost ones included.
        out: The tokens of the proposals that are out with workers, by trial number.
    """

    told: int = 0
    out: Mapping[int, Tokens] = MappingProxyType({})
    _next_id: int = 0

    @abstractmethod
    def propose(self, trial_id: int) -> Tokens | None:
        """The tokens of trial ``trial_id``; None when there is nothing left to propose.

        A function of the settings, the seed, ``trial_id``, the trials learned so far and :attr:`out`, so that a search
        can resume: draw random numbers from ``Random(derive_seed(seed, "mine", trial_id))``.
        """

    @abstractmethod
    def learn(self, trial: Trial) -> Update | None:
        """Takes one finished trial in; a reward of None means that it was lost.

        Returns:
            What a controller's update looked like, where this trial brought one about.
        """

    @final
    def ask(self, count: int) -> list[Proposal]:
        """See :meth:`Strategy.ask`."""
        proposals: list[Proposal] = []
        while len(proposals) < count and (tokens := self.propose(self._next_id)) is not None:
            proposals.append(Proposal(id=self._next_id, tokens=tokens))
            self.out = {**self.out, self._next_id: tokens}
            self._next_id += 1
        return proposals

    @final
    def tell(self, trials: Sequence[Trial] | Proposal, reward: float | None = None) -> Update | None:
        """Learns from one trial after the other, and returns the last update; see :meth:`Strategy.tell`.

        A loop of your own tells one proposal with its reward; see :func:`trials_told`.
        """
        update = None
        for trial in trials_told(trials, reward):
            self.told += 1
            self.out = {number: tokens for number, tokens in self.out.items() if number != trial.id}
            update = self.learn(trial) or update
        return update

    @final
    @property
    def has_begun(self) -> bool:
        """See :attr:`Counting.has_begun`."""
        return self._next_id > 0 or self.told > 0

    @final
    def restore(self, told: Sequence[Trial], next_id: int, out: Sequence[Proposal] = ()) -> None:
        """See :meth:`Strategy.restore`."""
        self.tell(told)
        self.out = {proposal.id: proposal.tokens for proposal in out}
        self._next_id = next_id


def trials_told(trials: Sequence[Trial] | Proposal, reward: float | None) -> Sequence[Trial]:
    """What a strategy is told, in the one form that it learns from.

    Args:
        trials: Finished trials; or one proposal, whose evaluation a loop outside of a search has made.
        reward: What the proposal earned; None where that is not known, and no lesson.

    Raises:
        ValueError: The reward is not a finite number, or was given for trials, which have their own.
    """
    if isinstance(trials, Proposal):
        state = State.FAILED if reward is None else State.COMPLETE
        return [Trial(id=trials.id, tokens=trials.tokens, state=state, reward=reward, notes=trials.notes)]
    if reward is not None:
        raise ValueError("tell: expected trials, which have their rewards, or one proposal and its reward; got both")
    return trials


@runtime_checkable
class Counting(Strategy, Protocol):
    """A strategy that knows whether it is fresh, as one has to be with which a search begins or is resumed."""

    @property
    def has_begun(self) -> bool:
        """Whether it has proposed or was told anything."""
        ...


@runtime_checkable
class Finite(Strategy, Protocol):
    """A strategy that has nothing more to propose after so many proposals."""

    @property
    def supply(self) -> int:
        """How many, from its first one on."""
        ...


@runtime_checkable
class Informed(Strategy, Protocol):
    """A strategy that can begin from networks whose reward is known, such as those that people draw."""

    def begin(self, known: Sequence[tuple[Tokens, float]]) -> None:
        """Takes them in, as tokens of any size with their rewards; on a fresh instance, before anything else."""
        ...


@runtime_checkable
class Checkpointed(Strategy, Protocol):
    """A strategy for which telling everything again takes long enough to be worth a checkpoint after each update."""

    def state(self) -> bytes:
        """What the last update left, as safetensors."""
        ...

    def load_state(self, state: bytes) -> None:
        """Takes over another instance's state, before ``restore`` repeats what came after it.

        Raises:
            ValueError: The state is not of such a strategy.
        """
        ...


def checkpoint_of(strategy: Strategy) -> Callable[[], bytes] | None:
    """What gives the state of a strategy after an update; None for one that keeps no checkpoints."""
    return strategy.state if isinstance(strategy, Checkpointed) else None
