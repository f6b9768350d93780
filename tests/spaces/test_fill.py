"""Networks scaled to one budget: all of it is used, proportions stay, and tokens come back."""

from contextlib import suppress
from dataclasses import replace
from math import gcd
from random import Random

import pytest

from netwright.errors import ArchitectureError
from netwright.recipes.small import drawn_space
from netwright.spaces.conv import ConvSpace
from netwright.spaces.cost import Shape, cost
from netwright.spaces.difference import changes
from netwright.spaces.fill import Budget, FilledSpace, fill, with_filters
from netwright.spaces.grammar import every_string, uniform_tokens
from netwright.spaces.references import REFERENCES, reference

BUDGET = Budget(multiply_adds=500_000, image=Shape(3, 16, 16), classes=10)
SHAPES = drawn_space(width_multiple=1)
SPACE = FilledSpace(shapes=SHAPES, budget=BUDGET)


def price(architecture):
    return cost(architecture, BUDGET.image, BUDGET.classes).multiply_adds


def test_a_filled_network_fits_and_no_layer_can_be_wider_by_one_filter():
    """Tried: without the second step, single layers could be wider by one."""
    random = Random(0)
    for _ in range(40):
        architecture = SPACE.decode(uniform_tokens(SPACE.plan(), random))
        widths = [layer.filters for layer in architecture.layers]
        assert price(architecture) <= BUDGET.multiply_adds
        for index in range(len(widths)):
            wider = with_filters(architecture, [width + (i == index) for i, width in enumerate(widths)])
            assert price(wider) > BUDGET.multiply_adds


def test_filling_changes_nothing_but_the_widths_and_keeps_their_proportions():
    shape = SHAPES.decode(uniform_tokens(SHAPES.plan(), Random(3)))
    filled = fill(shape, Budget(multiply_adds=50_000_000, image=BUDGET.image, classes=10))
    assert with_filters(filled, [layer.filters for layer in shape.layers]) == shape
    ratios = [ours.filters / theirs.filters for ours, theirs in zip(filled.layers, shape.layers, strict=True)]
    assert max(ratios) / min(ratios) < 1.15


def test_widths_are_multiples_as_far_as_the_budget_allows():
    """Tried: without the halving, the dense network of 5x5 filters would be over the budget."""
    random, budget = Random(2), replace(BUDGET, width_multiple=8)
    steps = set()
    for _ in range(40):
        shape = SHAPES.decode(uniform_tokens(SHAPES.plan(), random))
        filled = fill(shape, budget)
        step = gcd(8, *(layer.filters for layer in filled.layers))
        steps.add(step)
        assert price(filled) <= BUDGET.multiply_adds
        if step < 8:
            narrowest = with_filters(shape, [2 * step] * 6)
            assert price(narrowest) > BUDGET.multiply_adds
        widths = [layer.filters for layer in filled.layers]
        for index in range(6):
            wider = with_filters(filled, [width + step * (i == index) for i, width in enumerate(widths)])
            assert price(wider) > BUDGET.multiply_adds
    assert 8 in steps
    tight = replace(budget, multiply_adds=100_000)
    assert 1 < gcd(8, *(layer.filters for layer in fill(reference("dense"), tight).layers)) < 8


def test_multiples_of_one_are_any_numbers():
    shape = SHAPES.decode(uniform_tokens(SHAPES.plan(), Random(5)))
    assert fill(shape, replace(BUDGET, width_multiple=1)) == fill(shape, BUDGET)


def test_where_not_even_one_filter_fits_the_smallest_network_is_returned():
    least = fill(reference("vgg"), Budget(multiply_adds=10, image=BUDGET.image, classes=10))
    assert [layer.filters for layer in least.layers] == [1] * 6


def test_filled_networks_have_tokens_that_give_them_again_unless_rounding_hides_them():
    random, found = Random(1), 0
    for _ in range(20):
        architecture = SPACE.decode(uniform_tokens(SPACE.plan(), random))
        with suppress(ArchitectureError):
            assert SPACE.decode(SPACE.encode(architecture)) == architecture
            found += 1
    assert found >= 14
    with pytest.raises(ArchitectureError, match="proportions"):
        SPACE.encode(with_filters(architecture, [1, 99, 1, 1, 1, 1]))


def test_extra_filters_are_part_of_the_proportions():
    """Tried: with the options alone, a network of the space itself cannot be written."""
    shapes = ConvSpace(depth=2, filters=(16, 32), extra_filters=8, filter_heights=(3,), filter_widths=(3,), fill=True)
    space = FilledSpace(shapes=shapes, budget=BUDGET)
    for tokens in every_string(space.plan()):
        architecture = space.decode(tokens)
        assert space.decode(space.encode(architecture)) == architecture


def test_widths_that_scaling_makes_nothing_of_are_no_difference():
    """Tried: by the strings, a quarter of all changes of one width are counted that change no network."""
    space = replace(SPACE, budget=replace(BUDGET, width_multiple=8))
    random, plan, same = Random(5), space.plan(), 0
    widths = [step for step, decision in enumerate(plan) if decision.kind == "filters"]
    for _ in range(30):
        one, step = uniform_tokens(plan, random), random.choice(widths)
        other = (*one[:step], (one[step] + 1) % plan[step].cardinality, *one[step + 1 :])
        equal = space.decode(one) == space.decode(other)
        assert bool(changes(space, one, other)) != equal
        same += equal
    assert 0 < same < 30
    for _ in range(10):
        one, other = uniform_tokens(plan, random), uniform_tokens(plan, random)
        assert len(changes(space, one, other)) == len(changes(space, other, one))
        form = space.nearest_form(one, other)
        assert space.decode(form) == space.decode(other)
        assert {step for step in range(len(plan)) if form[step] != other[step]} <= set(widths)
    doubled = replace(space, shapes=replace(SHAPES, filters=(16, 32)))
    narrow = (0,) * len(plan)
    wide = tuple(int(step in widths) for step in range(len(plan)))
    assert changes(doubled, narrow, wide) == (), "all of them doubled"


@pytest.mark.parametrize(
    "name", ["vgg", "vgg-pointwise", "vgg-skips", "vgg-pooled", "vgg-pointwise-pooled", "dense", "chain"]
)
def test_references_have_tokens_by_their_shapes(name):
    shapes = ConvSpace(depth=6, filters=(24, 48, 64), pool_decided=True, skip_over_pool="pool")
    space = FilledSpace(shapes=shapes, budget=BUDGET)
    assert space.decode(space.encode_shape(reference(name))) == fill(reference(name), BUDGET)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("multiple", "used"), [(1, 0.97), (8, 0.9)])
def test_references_fill_the_budget(name, multiple, used):
    filled = fill(reference(name), replace(BUDGET, width_multiple=multiple))
    assert used * BUDGET.multiply_adds < price(filled) <= BUDGET.multiply_adds
