"""The grammar's vocabulary: decisions, plans and tokens.

An architecture is written as one token per decision. A *plan* is the sequence of decisions for architectures of one
size; it depends on the size alone and never on the tokens, which is what lets a controller sample and re-evaluate a
whole batch in lockstep (ADR 0002).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite, prod
from numbers import Integral, Real
from random import Random
from typing import cast

from netwright.errors import ArchitectureError

Tokens = tuple[int, ...]
"""The genotype: one non-negative integer per decision of a plan."""

Option = bool | int | float | str | None
"""What a choice is among; Optuna's set."""

MAX_ANCHOR_BITS = 62
"""An anchor's bits travel as one signed 64-bit token."""


def _plain(kind: str, option: object) -> Option:
    """An option as a plain value.

    Raises:
        ValueError: It is none that can be written down and read again.
    """
    if option is None or type(option) in (int, str, bool):
        return cast(Option, option)
    if isinstance(option, str):
        return str(option)
    if isinstance(option, Integral):
        return int(option)
    if isinstance(option, Real) and isfinite(option):
        return float(option)
    if type(option).__name__ in ("bool_", "bool") and option in (True, False):  # of NumPy, which is not imported here
        return bool(option)
    raise ValueError(
        f"{kind}: expected options that are numbers, texts, True, False or None, got {option!r}; give such things "
        "names, and look them up in the evaluator"
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision among a closed list of options: one softmax head.

    Attributes:
        kind: Decisions of one kind share an embedding and a head of the controller.
        options: What each token value means; token ``t`` is ``options[t]``. Numbers of NumPy become plain ones.

    Raises:
        ValueError: No options, two that are equal, or one of another type; names the decision.
    """

    kind: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or not self.kind:
            raise ValueError(f"expected the name of a choice as a text, got {self.kind!r}")
        if isinstance(self.options, str) or not isinstance(self.options, Iterable):
            raise ValueError(f"{self.kind}: expected a tuple of options, got {self.options!r}")
        options = tuple(_plain(self.kind, option) for option in self.options)
        if not options:
            raise ValueError(f"{self.kind}: expected options to choose among, got none")
        if len(set(options)) < len(options):
            twice = [one for place, one in enumerate(options) if one in options[:place]]
            raise ValueError(f"{self.kind}: expected options that differ, got {twice[0]!r} and its equal")
        object.__setattr__(self, "options", options)

    @property
    def cardinality(self) -> int:
        """The number of token values."""
        return len(self.options)

    def token(self, option: Option) -> int:
        """The token that means ``option``.

        Raises:
            ArchitectureError: ``option`` is not one of the options.
        """
        try:
            return self.options.index(option)
        except ValueError:
            expected = ", ".join(map(str, self.options))
            raise ArchitectureError(f"{self.kind}: expected one of {expected}, got {option!r}") from None


@dataclass(frozen=True, slots=True)
class Anchor:
    """An anchor point: one Bernoulli bit per earlier anchor of the plan (Zoph & Le 2017, sec. 3.3).

    The token is the bit mask: bit ``j`` is set when the layer of the ``j``-th anchor (0-based) feeds this one.

    Attributes:
        earlier: The number of earlier anchors, 0 to ``MAX_ANCHOR_BITS``.
        kind: As in :class:`Choice`.
    """

    earlier: int
    kind: str = "anchor"

    def __post_init__(self) -> None:
        if not 0 <= self.earlier <= MAX_ANCHOR_BITS:
            raise ValueError(f"an anchor chooses among 0 to {MAX_ANCHOR_BITS} earlier ones, got {self.earlier}")

    @property
    def cardinality(self) -> int:
        """The number of token values."""
        return 1 << self.earlier

    def chosen(self, token: int) -> tuple[int, ...]:
        """The 0-based anchors that the mask ``token`` selects, ascending."""
        return tuple(j for j in range(self.earlier) if token >> j & 1)

    @staticmethod
    def token(chosen: Sequence[int]) -> int:
        """The mask that selects ``chosen``."""
        return sum(1 << j for j in chosen)


Decision = Choice | Anchor
Plan = tuple[Decision, ...]


def indicators(plan: Plan, tokens: Tokens) -> tuple[float, ...]:
    """A string as zeros and ones: of a choice one number for each option, of an anchor one for each earlier anchor.

    Args:
        plan: The decisions.
        tokens: A value of each.
    """
    numbers: list[float] = []
    for decision, token in zip(plan, tokens, strict=True):
        if isinstance(decision, Anchor):
            numbers += (float(token >> bit & 1) for bit in range(decision.earlier))
        else:
            numbers += (float(option == token) for option in range(decision.cardinality))
    return tuple(numbers)


def check_tokens(plan: Plan, tokens: Sequence[int]) -> Tokens:
    """``tokens`` as a tuple, after checking that each is a value of its decision.

    Raises:
        ArchitectureError: The number of tokens is not the plan's, or a token is outside its decision.
    """
    if len(tokens) != len(plan):
        raise ArchitectureError(f"expected {len(plan)} tokens, got {len(tokens)}")
    for step, (decision, token) in enumerate(zip(plan, tokens, strict=True)):
        if not 0 <= token < decision.cardinality:
            raise ArchitectureError(
                f"token {step} ({decision.kind}): expected 0 to {decision.cardinality - 1}, got {token}"
            )
    return tuple(tokens)


def check_options(name: str, options: Sequence[Option]) -> None:
    """Checks that there are options of a space's setting ``name``, no two alike.

    Raises:
        ValueError: There are none, or one is there twice.
    """
    if not options or len(set(options)) < len(options):
        raise ValueError(f"{name}: expected distinct options, got {list(options)}")


def count_strings(plan: Plan) -> int:
    """How many token strings the plan has: the size of the search space."""
    return prod(decision.cardinality for decision in plan)


def every_string(plan: Plan) -> Iterator[Tokens]:
    """All token strings of a plan, in lexicographic order; for spaces small enough to enumerate."""
    return product(*(range(decision.cardinality) for decision in plan))


def uniform_tokens(plan: Plan, random: Random) -> Tokens:
    """One string with every token uniform over its decision (the control of Zoph & Le 2017, sec. 4.2)."""
    return tuple(random.randrange(decision.cardinality) for decision in plan)
