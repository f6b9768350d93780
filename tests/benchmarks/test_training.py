"""What a benchmark says about a way of training, by hand."""

import pytest


@pytest.fixture(scope="module")
def compared(benchmark_script):
    return benchmark_script("training").compared


def test_a_line_about_a_way_of_training(compared):
    """Ahead by 0.1, 0.1, 0.3 and 0.3; seeds lie 0.02 apart (deviation 0.02 / root 2), means of networks 0.4."""
    first = [[0.10, 0.12], [0.30, 0.32]], [[2.0, 2.0], [2.0, 2.0]]
    way = [[0.20, 0.22], [0.60, 0.62]], [[1.0, 2.0], [3.0, 4.0]]
    assert compared(way, first) == "0.4100, +0.2000 ± 0.0577, seeds 0.0141, networks 0.2827, time 1.25"


def test_networks_that_differ_by_less_than_their_seeds_do_not_differ(compared):
    alike = [[0.1, 0.3], [0.2, 0.2]], [[1.0, 1.0], [1.0, 1.0]]
    assert "networks 0.0000" in compared(alike, alike)
