"""The space of plain choices."""

import pytest

from netwright.errors import ArchitectureError
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import Choice, every_string

SPACE = ChoiceSpace("tea", (Choice("leaf", ("green", "black")), Choice("minutes", (2, 4, 6))))


def test_tokens_and_architectures_are_one_to_one():
    assert [SPACE.encode(SPACE.decode(tokens)) for tokens in every_string(SPACE.plan())] == list(
        every_string(SPACE.plan())
    )
    assert SPACE.decode((1, 2))["minutes"] == 6
    assert SPACE.plan() == SPACE.plan(7)


def test_the_representative_stands_for_the_network():
    space = ChoiceSpace("pair", (Choice("a", (0, 1)), Choice("b", (0, 1))), representative=lambda t: tuple(sorted(t)))
    assert space.canonical(space.decode((1, 0))) == space.decode((0, 1))
    assert SPACE.canonical(SPACE.decode((1, 0))) == SPACE.decode((1, 0))


@pytest.mark.parametrize("tokens", [(0,), (0, 3), (0, -1), (0, 0, 0)])
def test_other_tokens_are_refused(tokens):
    with pytest.raises(ArchitectureError, match="expected"):
        SPACE.decode(tokens)


def test_other_architectures_are_refused():
    twin = ChoiceSpace("coffee", SPACE.decisions)
    with pytest.raises(ArchitectureError, match="expected an architecture of the space 'tea', got one of 'coffee'"):
        SPACE.encode(twin.decode((0, 0)))
    with pytest.raises(ArchitectureError, match="got one of 'ConvArchitecture'"):
        SPACE.encode(ConvSpace(depth=1).decode((0, 0, 0, 0)))
    with pytest.raises(ArchitectureError, match="expected the choices leaf, minutes, got minutes"):
        SPACE.encode(SPACE.decode((0, 0)).model_copy(update={"choices": (("minutes", 2),)}))
    with pytest.raises(ArchitectureError, match="minutes: expected one of 2, 4, 6, got 3"):
        SPACE.encode(SPACE.decode((0, 0)).model_copy(update={"choices": (("leaf", "green"), ("minutes", 3))}))


@pytest.mark.parametrize("decisions", [(), (Choice("a", (0, 1)), Choice("a", (0, 1)))])
def test_decisions_must_exist_and_differ(decisions):
    with pytest.raises(ValueError, match="expected one or more decisions, each of its own kind"):
        ChoiceSpace("none", decisions)
