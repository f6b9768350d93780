"""Which sets of layers poolings are tried behind, by hand."""

import pytest


@pytest.fixture(scope="module")
def sets_of(benchmark_script):
    return benchmark_script("poolings").sets_of


def test_two_to_four_of_all_layers_but_the_last(sets_of):
    assert sets_of(4) == [(0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert len(sets_of(6)) == 10 + 10 + 5
    assert not any(5 in places for places in sets_of(6))
