"""Decisions, plans and tokens."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.errors import ArchitectureError
from netwright.spaces.grammar import (
    MAX_ANCHOR_BITS,
    Anchor,
    Choice,
    check_tokens,
    count_strings,
    every_string,
    uniform_tokens,
)

PLAN = (Choice("filters", (24, 36, 48)), Anchor(0), Choice("filters", (24, 36, 48)), Anchor(1), Anchor(2))


def test_a_choice_token_is_the_place_of_its_option():
    choice = Choice("filters", (24, 36, 48))
    assert choice.cardinality == 3
    assert [choice.token(option) for option in (24, 36, 48)] == [0, 1, 2]
    with pytest.raises(ArchitectureError, match="filters: expected one of 24, 36, 48, got 64"):
        choice.token(64)


@given(st.data())
def test_an_anchor_token_is_a_mask_of_earlier_anchors(data):
    earlier = data.draw(st.integers(0, MAX_ANCHOR_BITS))
    chosen = data.draw(st.sets(st.integers(0, earlier - 1)) if earlier else st.just(set()))
    anchor = Anchor(earlier)
    token = anchor.token(sorted(chosen))
    assert 0 <= token < anchor.cardinality
    assert anchor.chosen(token) == tuple(sorted(chosen))


def test_an_anchor_of_the_third_layer_by_hand():
    # Layer 2 may be fed by 0 and 1: none, only 0, only 1, both.
    assert [Anchor(2).chosen(token) for token in range(4)] == [(), (0,), (1,), (0, 1)]


@pytest.mark.parametrize("earlier", [-1, MAX_ANCHOR_BITS + 1])
def test_an_anchor_has_as_many_bits_as_a_token_can_hold(earlier):
    with pytest.raises(ValueError, match="0 to 62"):
        Anchor(earlier)


def test_every_string_is_counted_and_unlike_the_others():
    strings = list(every_string(PLAN))
    assert len(strings) == len(set(strings)) == count_strings(PLAN) == 3 * 1 * 3 * 2 * 4
    assert strings == sorted(strings)


def test_uniform_tokens_are_uniform():
    random = Random(0)
    draws = [uniform_tokens(PLAN, random) for _ in range(6000)]
    for step, decision in enumerate(PLAN):
        for token in range(decision.cardinality):
            p = 1 / decision.cardinality
            share = sum(draw[step] == token for draw in draws) / len(draws)
            assert abs(share - p) <= 5 * (p * (1 - p) / len(draws)) ** 0.5


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ((0, 0, 0, 0), "expected 5 tokens, got 4"),
        ((3, 0, 0, 0, 0), r"token 0 \(filters\): expected 0 to 2, got 3"),
        ((0, 1, 0, 0, 0), r"token 1 \(anchor\): expected 0 to 0, got 1"),
        ((0, 0, 0, 0, -1), r"token 4 \(anchor\): expected 0 to 3, got -1"),
    ],
)
def test_wrong_tokens_are_refused_by_place(tokens, message):
    with pytest.raises(ArchitectureError, match=message):
        check_tokens(PLAN, tokens)


def test_right_tokens_pass_as_a_tuple():
    assert check_tokens(PLAN, [2, 0, 1, 1, 3]) == (2, 0, 1, 1, 3)
