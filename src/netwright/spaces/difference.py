"""In which decisions two architectures of a space differ."""

from __future__ import annotations

from dataclasses import dataclass

from netwright.spaces.base import SearchSpace
from netwright.spaces.grammar import Anchor, Decision, Option, Tokens, check_tokens


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that was taken in two ways.

    Attributes:
        decision: What it is about, as :meth:`SearchSpace.names` says it.
        before: What it means in the one string; of an anchor, which earlier ones are chosen, from 0.
        after: What it means in the other.
    """

    decision: str
    before: Option | tuple[int, ...]
    after: Option | tuple[int, ...]


def changes(space: SearchSpace, before: Tokens, after: Tokens) -> tuple[Change, ...]:
    """The fewest decisions by which one string becomes another, or another string of the same network.

    Args:
        space: Of both; its full size is that of both.
        before: What is changed.
        after: What it becomes.

    Raises:
        ArchitectureError: A string is not of the space, or not of its full size.
    """
    plan = space.plan()
    before, after = check_tokens(plan, before), check_tokens(plan, after)
    # Either network may be the one that has another string which is more like that of the other network.
    ways = (space.nearest_form(after, before), after), (before, space.nearest_form(before, after))
    before, after = min(ways, key=lambda way: _apart(*way))
    steps = zip(plan, space.names(), before, after, strict=True)
    return tuple(
        Change(name, _meaning(decision, one), _meaning(decision, other))
        for decision, name, one, other in steps
        if one != other
    )


def _apart(one: Tokens, other: Tokens) -> int:
    return sum(mine != theirs for mine, theirs in zip(one, other, strict=True))


def _meaning(decision: Decision, token: int) -> Option | tuple[int, ...]:
    return decision.chosen(token) if isinstance(decision, Anchor) else decision.options[token]
