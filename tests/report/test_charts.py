"""Charts: what they show can be read, on a page and on a telephone."""

import re
from itertools import pairwise

import pytest

from netwright.report.charts import BOTTOM, LEFT, LETTER, NAME_HEIGHT, NARROW, Axis, Chart

ALIKE = [(100.0 + place, 0.5 + place / 1000, name, "") for place, name in enumerate(("vgg", "vgg-pointwise", "dense"))]
"""Networks that are nearly at one place."""


def boxes(picture):
    """Where the names of a picture stand: left, top, right, bottom."""
    names = re.findall(r'<text class="name[^"]*" x="([\d.]+)" y="([\d.-]+)"[^>]*>([^<]*)<', picture)
    half = NAME_HEIGHT / 2 - 0.1
    return [(float(x), float(y) - half, float(x) + len(t) * LETTER, float(y) + half) for x, y, t in names]


def overlap(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def pictures(chart):
    """At each of its sizes: width, height, and what it shows."""
    found = re.findall(r'<svg width="(\d+)" height="(\d+)"(.*?)</svg>', chart.svg("names"))
    return [(int(width), int(height), picture) for width, height, picture in found]


def test_a_wide_chart_is_drawn_for_a_telephone_too():
    """Tried: made small by the browser, its letters are four pixels high; cut, its right half is out of sight."""
    x, y = Axis("parameters", [1.0, 200.0]), Axis("accuracy", [0.0, 1.0])
    wide = Chart(x, y)
    wide.line([(1.0, 0.5), (200.0, 0.9)], "best", "the front")
    assert [width for width, _, _ in pictures(wide)] == [880, NARROW]
    assert wide.svg("names").count("the front") == 1, "one legend for both"
    assert [width for width, _, _ in pictures(Chart(x, y, width=430))] == [430]


def test_names_of_dots_that_are_nearly_at_one_place_can_be_read():
    """Tried: each to the right of its dot, three names are one blot."""
    chart = Chart(Axis("parameters", [1.0, 200.0]), Axis("accuracy", [0.0, 1.0]))
    chart.steps([(1.0, 0.2), (100.0, 0.5)], 200.0, "best")
    chart.labels([*ALIKE, (199.0, 0.99, "at the edge", "")])
    drawn = pictures(chart)
    assert len(drawn) == 2
    for width, height, picture in drawn:
        names = boxes(picture)
        assert len(names) == 4
        assert not any(overlap(one, other) for place, one in enumerate(names) for other in names[:place])
        for left, top, right, bottom in names:
            assert left >= LEFT
            assert right <= width
            assert top >= 0
            assert bottom <= height - BOTTOM
        [path] = re.findall(r'<path class="best" d="M([^"]*)"', picture)
        (x0, y), (x1, _) = (map(float, corner.split(",")) for corner in path.split()[-2:])
        assert not any(overlap(name, (x0, y, x1, y + 0.1)) for name in names), "the line goes through a name"


def test_things_that_are_counted_have_no_halves():
    """Tried: a training of two epochs has an epoch 1.4."""
    assert Axis("epoch", [1, 2], whole=True).ticks() == [1, 2]
    assert Axis("epoch", [1, 2]).ticks() != [1, 2]
    assert Axis("epoch", [1, 300], whole=True).ticks() == Axis("epoch", [1, 300]).ticks()


def test_numbers_of_an_axis_do_not_run_into_each_other():
    chart = Chart(Axis("multiply-adds", [1_000_000_000.0, 1_000_005_000.0]), Axis("accuracy", [0.0, 1.0]))
    for _, _, picture in pictures(chart):
        ticks = re.findall(r'class="tick" x="([\d.]+)" y="[\d.]+" text-anchor="middle">([^<]*)<', picture)
        spans = [(float(x) - len(t) * LETTER / 2, float(x) + len(t) * LETTER / 2) for x, t in ticks]
        assert spans
        assert all(right <= left for (_, right), (left, _) in pairwise(spans))


@pytest.mark.parametrize("names", [["h0"], ["a-run-with-a-long-name"]])
def test_the_margin_for_names_is_as_wide_as_they_are(names):
    chart = Chart(Axis("trials", [0, 10]), Axis("accuracy", [0.0, 1.0]), right=200)
    chart.ends([(10.0, 0.5, name, "") for name in names])
    for width, _, picture in pictures(chart):
        axis = float(re.search(r'class="axis" d="M\d+ \d+H([\d.]+)"', picture)[1])
        assert width - axis == pytest.approx(max(map(len, names)) * LETTER + 14, abs=1)
