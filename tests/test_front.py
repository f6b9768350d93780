"""The front: what nothing cheaper beats, from means over all trainings of a network."""

from hypothesis import given
from hypothesis import strategies as st

from netwright.front import PricedNetwork, front, known_costs, priced, within
from netwright.store.rows import TrialRow
from netwright.trial import Phase, State


def row(number, digest, valid, phase=Phase.SEARCH, state=State.COMPLETE, **metrics):
    return TrialRow(
        id=number, tokens=(), architecture="", digest=digest, notes={}, state=state, valid=valid, metrics=metrics,
        started_at="", phase=phase,
    )  # fmt: skip


def test_a_network_counts_once_by_the_mean_of_its_trainings():
    """Tried: with the best training of each, "a" stands at 0.9."""
    rows = [
        row(0, "r", 0.6, Phase.REFERENCE, parameters=10),
        row(1, "a", 0.9, parameters=20, latency_ms=1.0),
        row(2, "b", None, state=State.FAILED),
        row(3, "a", 0.5, Phase.FINAL, parameters=20, latency_ms=2.0),
    ]
    drawn, found = priced(rows, {"r": "vgg"})
    assert (drawn.label, drawn.trainings) == ("vgg (by hand)", 1)
    assert (found.label, found.trainings, found.valid) == ("trial 1", 2, 0.7)
    assert found.costs == {"parameters": 20, "latency_ms": 1.5}
    assert known_costs([drawn, found]) == ["parameters", "latency_ms"]
    assert front([drawn, found], "latency_ms", lower_is_better=False) == [found]


def network(number, valid, cost):
    return PricedNetwork(
        trial=number, digest=str(number), name=None, valid=valid, trainings=1, costs={"parameters": cost}
    )


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12), st.booleans())
def test_nothing_on_the_front_is_beaten_and_all_else_is(pairs, lower_is_better):
    networks = [network(number, valid, cost) for number, (valid, cost) in enumerate(pairs)]

    def worth(one):
        return -one.valid if lower_is_better else one.valid

    def beats(one, other):
        a, b = (worth(one), -one.costs["parameters"]), (worth(other), -other.costs["parameters"])
        return all(x >= y for x, y in zip(a, b, strict=True)) and a != b

    best = front(networks, "parameters", lower_is_better=lower_is_better)
    for one in networks:
        beaten = any(beats(other, one) for other in networks)
        twin = any(worth(one) == worth(other) and one.costs == other.costs for other in best)
        assert twin is not beaten
    costs = [one.costs["parameters"] for one in best]
    assert costs == sorted(set(costs))


def test_the_best_within_limits_has_known_costs():
    cheap, dear, unknown = network(0, 0.5, 10), network(1, 0.9, 30), network(2, 0.99, 5)
    unknown = PricedNetwork(trial=2, digest="2", name=None, valid=0.99, trainings=1, costs={"latency_ms": 1.0})
    networks = [cheap, dear, unknown]
    assert within(networks, {"parameters": 29}, lower_is_better=False) == cheap
    assert within(networks, {"parameters": 30}, lower_is_better=False) == dear
    assert within(networks, {"parameters": 30}, lower_is_better=True) == cheap
    assert within(networks, {"parameters": 9}, lower_is_better=False) is None
