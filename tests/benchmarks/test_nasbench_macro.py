"""The NAS-Bench-Macro space and its file."""

import pytest

from netwright.benchmarks.nasbench_macro import SPACE, load, without_idle_order
from netwright.errors import DataError
from netwright.spaces.grammar import every_string


def test_6561_codes_are_3969_networks():
    representatives = {without_idle_order(tokens) for tokens in every_string(SPACE.plan())}
    assert len(representatives) == 3_969
    assert all(without_idle_order(tokens) == tokens for tokens in representatives)


def test_the_same_network_has_one_digest():
    one, same, other = (SPACE.decode(tuple(map(int, code))) for code in ("22201201", "22210210", "22021201"))
    assert SPACE.canonical(one).digest == SPACE.canonical(same).digest != SPACE.canonical(other).digest


def test_reward_is_the_mean_or_one_training(chains, write_chains):
    path = write_chains(chains)
    network = SPACE.decode((2, 2, 1, 0, 0, 1, 2, 2))
    runs = [value / 100 for value in chains["22100122"]["test_acc"]]
    mean = sum(runs) / 3
    evaluation = load(path).evaluate(network, seed=11)
    assert evaluation.valid == pytest.approx(mean)
    assert evaluation.metrics["test"] == pytest.approx(mean)
    noisy = load(path, reward="one")
    assert [noisy.evaluate(network, seed=seed).valid for seed in range(3)] == pytest.approx(runs)
    assert noisy.evaluate(network, seed=1).metrics["test"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda table: [], "expected an object of codes, got list"),
        (lambda table: {k: v for k, v in table.items() if k != "00000001"}, "all 6,561 codes .*; 00000001 is missing"),
        (lambda table: table | {"00000002": {}}, "00000002: expected a list of accuracies as test_acc, got None"),
        (lambda table: table | {"00000002": {"test_acc": [80, "x"]}}, r"00000002.test_acc\[1\]: expected an accuracy"),
    ],
)
def test_every_defect_is_one_clear_error(chains, write_chains, damage, message):
    with pytest.raises(DataError, match=message):
        load(write_chains(damage(chains)))


def test_no_json(tmp_path):
    (tmp_path / "macro.json").write_text("{\n'a': 1}")
    with pytest.raises(DataError, match="line 2: not JSON"):
        load(tmp_path / "macro.json")
