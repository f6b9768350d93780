"""A space of plain choices: so many decisions, each among a closed list of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import Architecture, ChoiceArchitecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Choice, Plan, Tokens, check_tokens


def _itself(tokens: Tokens) -> Tokens:
    return tokens


@dataclass(frozen=True, slots=True)
class ChoiceSpace(SearchSpace):
    """Named choices, of which each is a decision with a head of its own; the space of most tables and of most users.

    Attributes:
        name: What the space is called; an architecture of another space is refused.
        decisions: The choices, in the order in which they are taken; no two of one kind.
        representative: Tokens -> the one string that stands for all strings of the same network, itself among them.

    Raises:
        ValueError: No decisions, or two of one kind.
    """

    name: str
    decisions: tuple[Choice, ...]
    representative: Callable[[Tokens], Tokens] = _itself

    def __post_init__(self) -> None:
        kinds = [decision.kind for decision in self.decisions]
        if not kinds or len(set(kinds)) != len(kinds):
            raise ValueError(f"expected one or more decisions, each of its own kind, got {kinds}")

    def plan(self, size: int | None = None) -> Plan:
        """All decisions: the space has one size. See :meth:`SearchSpace.plan`."""
        return self.decisions

    def decode(self, tokens: Sequence[int]) -> ChoiceArchitecture:
        """The choices that ``tokens`` make; see :meth:`SearchSpace.decode`."""
        tokens = check_tokens(self.decisions, tokens)
        choices = tuple((d.kind, d.options[token]) for d, token in zip(self.decisions, tokens, strict=True))
        return ChoiceArchitecture(space=self.name, choices=choices)

    def encode(self, architecture: Architecture) -> Tokens:
        """The tokens of a point of this space; see :meth:`SearchSpace.encode`."""
        if not isinstance(architecture, ChoiceArchitecture) or architecture.space != self.name:
            got = architecture.space if isinstance(architecture, ChoiceArchitecture) else type(architecture).__name__
            raise ArchitectureError(f"expected an architecture of the space {self.name!r}, got one of {got!r}")
        expected = [decision.kind for decision in self.decisions]
        if (got_names := [name for name, _ in architecture.choices]) != expected:
            raise ArchitectureError(f"expected the choices {', '.join(expected)}, got {', '.join(got_names)}")
        return tuple(d.token(option) for d, (_, option) in zip(self.decisions, architecture.choices, strict=True))

    def cross(self, tokens: Tokens, donor: Tokens, random: Random) -> Tokens:
        """Each choice is of the one or of the other, equally likely; see :class:`netwright.spaces.base.Crossable`."""
        return tuple(random.choice(pair) for pair in zip(tokens, donor, strict=True))

    def canonical(self, architecture: Architecture) -> ChoiceArchitecture:
        """The representative of all choices that give the same network; see :meth:`SearchSpace.canonical`."""
        return self.decode(self.representative(self.encode(architecture)))
