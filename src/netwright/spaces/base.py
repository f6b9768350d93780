"""The search space: which decisions there are, and what a string of tokens means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Sequence
from random import Random
from typing import Protocol, runtime_checkable

from netwright.spaces.architecture import Architecture
from netwright.spaces.grammar import Plan, Tokens, indicators


class SearchSpace(ABC):
    """A set of architectures and the grammar that writes them.

    Implementations are pure Python and hold no random state. ``netwright.testing.spaces`` has the contract suite that a
    space of your own should pass.
    """

    @abstractmethod
    def plan(self, size: int | None = None) -> Plan:
        """The decisions of an architecture of ``size``, in the order in which they are taken.

        Args:
            size: What a growing space counts (layers of a convolutional network); spaces of one size ignore it.
                None means the full size.

        Raises:
            ValueError: The space has no architectures of that size.
        """

    def plan_of(self, tokens: Sequence[int]) -> Plan:
        """The plan of a string's own size: that of the full size, unless overridden by a space of several sizes.

        Args:
            tokens: A string of this space.

        Raises:
            ArchitectureError: No plan has that many decisions; not every space looks.
        """
        return self.plan()

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> Architecture:
        """The architecture that ``tokens`` describe; the only door from genotype to phenotype.

        Raises:
            ArchitectureError: The tokens fit no plan of this space.
        """

    @abstractmethod
    def encode(self, architecture: Architecture) -> Tokens:
        """The tokens of an architecture: ``decode(encode(a)) == a``.

        Raises:
            ArchitectureError: The architecture is not in this space.
        """

    @property
    def scaled_by(self) -> str | None:
        """The setting that would scale all networks to a budget; None where there is no such setting, or it is on."""
        return None

    def canonical(self, architecture: Architecture) -> Architecture:
        """The one representative of all architectures that are the same network; the identity unless overridden."""
        return architecture

    def effect(self, architecture: Architecture) -> Hashable:
        """What is equal for architectures that differ, as networks, in nothing that has an effect.

        They compute and learn the same, but maybe with their weights in another order or with weights that do nothing.
        The representative, unless overridden.
        """
        return self.canonical(architecture)

    def features(self, plan: Plan, tokens: Tokens) -> tuple[float, ...]:
        """What the worth of a network is predicted from: as many numbers for every string of a plan, of any scale.

        A one for each option that is chosen and a zero for each other, unless overridden by something that says more
        about the network: strings that are far apart may be much the same, and the other way round.

        Args:
            plan: Of the string's size.
            tokens: The string.
        """
        return indicators(plan, tokens)

    def nearest_form(self, tokens: Tokens, other: Tokens) -> Tokens:
        """Of all strings of the network of ``other`` the one that is most like ``tokens``; ``other`` unless overridden.

        Args:
            tokens: A string of full size.
            other: Another one.
        """
        return other

    def names(self) -> tuple[str, ...]:
        """What each decision of full size is about, for a person.

        The kind of the decision, with its number from 0 where there are several of the kind, unless overridden.
        """
        kinds = [decision.kind for decision in self.plan()]
        several, met = Counter(kinds), Counter[str]()
        names = []
        for kind in kinds:
            names.append(f"{kind} {met[kind]}" if several[kind] > 1 else kind)
            met[kind] += 1
        return tuple(names)


@runtime_checkable
class Crossable(Protocol):
    """A space that says what a part of a string is, so that one string can take over a part of another."""

    def cross(self, tokens: Tokens, donor: Tokens, random: Random) -> Tokens:
        """``tokens`` with a part of ``donor``: a string of this space, of the size of ``tokens``.

        Args:
            tokens: A string.
            donor: Another one, of any size.
            random: Draws the part.
        """
        ...
