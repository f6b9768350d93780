"""What ``netwright train`` says of each class."""

from netwright.measure import ACCURACY, BALANCED_ACCURACY
from netwright.report.classes import MOST, accuracy, beside, class_table

CONFUSION = [[8, 1, 1], [0, 10, 0], [3, 3, 4]]


def test_the_worst_class_is_first_with_what_it_is_taken_for():
    lines = class_table(["cat", "dog", "axolotl"], {"seeds": [{"confusion": CONFUSION}]})
    assert lines == [
        "class    images   right  most often taken for",
        "axolotl      10   40.0%  cat (30.0%)",
        "cat          10   80.0%  dog (10.0%)",
        "dog          10  100.0%",
    ]


def test_seeds_are_counted_together_and_classes_without_images_are_left_out():
    other = [[10, 0, 0], [0, 10, 0], [0, 0, 0]]
    result = {"seeds": [{"confusion": [[6, 4, 0], [0, 10, 0], [0, 0, 0]]}, {"confusion": other}]}
    lines = class_table(["a", "b", "c"], result)
    assert lines[1:] == ["a          10   80.0%  b (20.0%)", "b          10  100.0%"]


def test_trainings_of_before_and_of_text_have_none():
    assert class_table(["a", "b"], {"seeds": [{"test": 0.5}]}) == []
    assert class_table([], {"seeds": [{"test": 80.5, "confusion": None}]}) == []


def test_of_many_classes_the_worst_are_shown():
    many = [[int(i == j) * (i + 1) + int(i != j) for j in range(20)] for i in range(20)]
    lines = class_table([f"c{i}" for i in range(20)], {"seeds": [{"confusion": many}]})
    assert len(lines) == MOST + 2
    assert lines[-1] == f"and {20 - MOST} classes that do better"


def test_the_accuracy_stands_beside_another_measure_and_not_beside_itself():
    result = {"seeds": [{"confusion": CONFUSION}, {"confusion": [[10, 0, 0], [0, 10, 0], [0, 0, 10]]}]}
    assert accuracy(result) == (22 + 30) / 60
    assert beside(BALANCED_ACCURACY, result) == " (accuracy 0.8667)"
    assert beside(ACCURACY, result) == ""
    assert beside(BALANCED_ACCURACY, {"seeds": [{"test": 0.5}]}) == ""
