"""Which networks have been evaluated already, whatever tokens wrote them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from netwright.spaces.architecture import Architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Tokens
from netwright.trial import Trial


class Archive:
    """Told trials by network: two strings that decode to one network share an entry.

    Args:
        space: Decodes tokens, and knows which architectures are the same network.
        by_effect: Whether networks of the same effect count as one, too; see :meth:`SearchSpace.effect`.
    """

    def __init__(self, space: SearchSpace, *, by_effect: bool = False) -> None:
        self.space = space
        self._identity: Callable[[Architecture], Hashable] = space.effect if by_effect else space.canonical
        self._network: dict[Tokens, Hashable] = {}
        self._reward: dict[Hashable, float | None] = {}

    def network(self, tokens: Tokens) -> Hashable:
        """What all strings of the network of ``tokens`` have in common, and no others."""
        known = self._network.get(tokens)
        if known is None:
            known = self._network[tokens] = self._identity(self.space.decode(tokens))
        return known

    def add(self, trial: Trial) -> None:
        """Takes a trial in; of several evaluations of a network the first one stands."""
        self._reward.setdefault(self.network(trial.tokens), trial.reward)

    def fresh(self, out: Iterable[Tokens]) -> Callable[[Tokens], bool]:
        """Whether a string's network is new: neither known nor that of one of the strings that are ``out``."""
        away = {self.network(tokens) for tokens in out}
        return lambda tokens: tokens not in self and self.network(tokens) not in away

    def __contains__(self, tokens: Tokens) -> bool:
        return self.network(tokens) in self._reward

    def reward(self, tokens: Tokens) -> float | None:
        """The reward of the network of ``tokens``; None when it is unknown or its trial was lost."""
        return self._reward.get(self.network(tokens))
