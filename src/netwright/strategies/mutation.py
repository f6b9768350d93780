"""Small changes to token strings: what evolution and local search move by."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from netwright.spaces.grammar import Anchor, Decision, Plan, Tokens


def neighbours(plan: Plan, tokens: Tokens) -> Iterator[Tokens]:
    """All strings of ``plan`` that differ from ``tokens`` in one choice, or in one bit of an anchor."""
    for step, decision in enumerate(plan):
        for token in _others(decision, tokens[step]):
            yield (*tokens[:step], token, *tokens[step + 1 :])


def mutate(plan: Plan, tokens: Tokens, random: Random) -> Tokens:
    """``tokens`` with one decision, drawn uniformly, changed: another option, or one bit of an anchor flipped.

    A plan that leaves nothing to decide gives ``tokens`` back.
    """
    open_steps = [step for step, decision in enumerate(plan) if decision.cardinality > 1]
    if not open_steps:
        return tokens
    step = random.choice(open_steps)
    token = random.choice(list(_others(plan[step], tokens[step])))
    return (*tokens[:step], token, *tokens[step + 1 :])


def fit(plan: Plan, tokens: Tokens, random: Random) -> Tokens:
    """``tokens`` cut or continued to the length of ``plan``; what is new, or does not fit, is uniform."""
    old = tokens[: len(plan)] + (-1,) * (len(plan) - len(tokens))
    return tuple(
        token if 0 <= token < decision.cardinality else random.randrange(decision.cardinality)
        for token, decision in zip(old, plan, strict=True)
    )


def _others(decision: Decision, token: int) -> Iterator[int]:
    """The values one step away from ``token``."""
    if isinstance(decision, Anchor):
        yield from (token ^ 1 << bit for bit in range(decision.earlier))
    else:
        yield from (other for other in range(decision.cardinality) if other != token)
