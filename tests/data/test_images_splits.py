"""Divisions of labelled examples: disjoint, exhaustive, in proportion, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.data import hold_out, stratified_order
from netwright.data.splits import divide
from netwright.errors import DataError

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=120)
SEEDS = st.integers(0, 2**62)


@given(LABELS, SEEDS)
def test_an_order_holds_every_position_once_and_is_the_same_every_time(labels: list[int], seed: int) -> None:
    order = stratified_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    assert order.tolist() == stratified_order(np.array(labels), seed).tolist()


@given(st.integers(2, 6), st.integers(1, 20), SEEDS, st.data())
def test_beginnings_of_balanced_classes_are_balanced(classes: int, each: int, seed: int, data: st.DataObject) -> None:
    labels = np.tile(np.arange(classes), each)
    size = data.draw(st.integers(1, len(labels)))
    counts = np.bincount(labels[stratified_order(labels, seed)[:size]], minlength=classes)
    assert counts.max() - counts.min() <= 1


@given(LABELS, SEEDS, st.data())
def test_beginnings_are_in_proportion_and_miss_no_class(labels: list[int], seed: int, data: st.DataObject) -> None:
    sizes = np.bincount(labels)
    length = data.draw(st.integers(1, len(labels)))
    counts = np.bincount(np.array(labels)[stratified_order(labels, seed)[:length]], minlength=len(sizes))
    classes = np.count_nonzero(sizes)
    assert np.count_nonzero(counts) >= min(length, classes)
    # Rounding is off by less than one in each class, and all classes together move the quota of each by their share.
    quota = length * sizes / len(labels)
    assert (np.abs(counts - quota) <= 1 + classes * sizes / len(labels)).all()


@given(LABELS, st.integers(1, 40), SEEDS)
def test_holding_out_is_disjoint_exhaustive_and_leaves_every_class(labels: list[int], part: int, seed: int) -> None:
    if len(labels) - part < len(set(labels)):
        with pytest.raises(DataError, match="expected at least"):
            hold_out(labels, part, seed)
        return
    kept, held = hold_out(labels, part, seed)
    assert len(held) == part
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert {labels[position] for position in kept} == set(labels)


def test_seeds_give_different_divisions() -> None:
    labels = [0, 1] * 50
    assert set(hold_out(labels, 10, seed=1)[1]) != set(hold_out(labels, 10, seed=2)[1])


def test_an_order_is_the_same_on_every_machine() -> None:
    assert stratified_order([0, 0, 0, 1, 1, 2], seed=3).tolist() == [5, 0, 3, 2, 4, 1]


@pytest.mark.parametrize(("part", "held"), [(0.1, 10), (0.004, 2), (7, 7)])
def test_a_part_is_a_share_or_a_number(part: float, held: int) -> None:
    assert len(hold_out([0, 1] * 50, part, seed=0)[1]) == held


@pytest.mark.parametrize("part", [0, -3, 0.0, 1.0, 2.5])
def test_a_part_out_of_range_is_refused(part: float) -> None:
    with pytest.raises(ValueError, match="a share in"):
        hold_out([0, 1] * 50, part, seed=0)


def test_too_few_images_say_how_many_are_needed() -> None:
    with pytest.raises(
        DataError, match="expected at least 52 images, to hold out 50 and keep one of each of 2 classes, got 40"
    ):
        hold_out([0, 1] * 20, 50, seed=0)


@pytest.mark.parametrize(
    ("labels", "groups"),
    [([0] * 100 + [1] * 100, [0] * 100 + [1] * 100), ([0] * 100 + [1] * 50, [0] * 50 + [1] * 50 + [2] * 50)],
    ids=["a folder per class", "two patients of one class and one of the other"],
)
def test_groups_that_somebody_named_are_never_divided(labels, groups):
    """Tried: where none can be held out whole, images are held out by chance, and nobody says so."""
    with pytest.raises(DataError, match="a class of a single group cannot be in two parts"):
        divide({"train": labels}, validation=0.2, seed=0, groups={"train": groups}, named=True)
    parts = divide({"train": labels}, validation=0.2, seed=0, groups={"train": groups})
    assert all(len(places) > 0 for _, places in parts.values()), (
        "images that are merely equal are held out all the same"
    )


def test_groups_in_parts_that_somebody_brought_stay_together_in_what_is_held_out():
    """The parts themselves stay as they are, which is warned of where the groups have names."""
    labels = {"train": [0, 1] * 30, "test": [0, 1] * 5}
    groups = {"train": np.repeat(np.arange(15), 4), "test": np.repeat(np.arange(5), 2)}
    parts = divide(labels, validation=0.2, seed=0, groups=groups, named=True)
    assert parts["test"][0] == "test"
    assert len(parts["test"][1]) == 10
    learned, chosen = (set(groups["train"][parts[part][1]].tolist()) for part in ("train", "validation"))
    assert chosen
    assert learned | chosen == set(range(15))
    assert not learned & chosen
