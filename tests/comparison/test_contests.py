"""Comparisons on a table: numbers worked out by hand, and one over processes."""

import numpy as np
import pytest

from netwright.benchmarks import tables
from netwright.benchmarks.toy import toy_table
from netwright.comparison.contests import Contest, Standing, compare, run_course, to_json
from netwright.comparison.plots import plot_against_random, plot_best_so_far
from netwright.errors import UsageError
from netwright.strategies.by_name import make_strategy
from netwright.strategies.random_search import RandomSearch

STANDING = Standing(
    strategy="mine",
    valid=np.array([[0.5, 0.7, 0.7, 0.6, 0.8], [0.9, 0.1, 0.9, 0.2, 0.3]]),
    test=np.array([[0.4, 0.6, 0.1, 0.9, 0.7], [0.5, 0.8, 0.2, 0.9, 0.9]]),
    networks=np.array([[0, 1, 2, 0, 3], [0, 1, 0, 2, 3]]),
    seconds=0.5,
)


@pytest.fixture
def _toy(monkeypatch):
    monkeypatch.setattr(tables, "TABLES", {"toy": (lambda path: toy_table(), "toy")})
    monkeypatch.setenv("NETWRIGHT_DATA", "nowhere")


def test_best_so_far_is_tested_where_validation_was_best():
    assert STANDING.best_valid.tolist() == [[0.5, 0.7, 0.7, 0.7, 0.8], [0.9] * 5]
    # Of equal validation accuracies the first one counts, and a higher test accuracy never does.
    assert STANDING.best_test.tolist() == [[0.4, 0.6, 0.6, 0.6, 0.7], [0.5] * 5]


def test_top_networks_are_unlike():
    assert STANDING.repeats == 1.0
    assert STANDING.top(1).tolist() == STANDING.best_valid.tolist()
    expected = [[np.nan, 0.6, 0.7, 0.7, 0.75], [np.nan, 0.5, 0.5, 0.55, 0.6]]
    np.testing.assert_allclose(STANDING.top(2), expected)


def test_json_has_the_documented_form():
    """Of two seeds the deviation is their distance over the root of two. Tried: of all there are, it is half of it."""
    assert to_json("toy", 5, [STANDING]) == {
        "table": "toy",
        "evaluations": 5,
        "results": [
            {
                "strategy": "mine",
                "seeds": 2,
                "valid": {"mean": 85.0, "std": 7.0711, "standard_error": 5.0, "values": [80.0, 90.0]},
                "test": {"mean": 60.0, "std": 14.1421, "standard_error": 10.0, "values": [70.0, 50.0]},
                "curve": {
                    "evaluations": [1, 2, 3, 4, 5],
                    "test_mean": [45.0, 55.0, 55.0, 55.0, 60.0],
                    "test_std": [7.0711, 7.0711, 7.0711, 7.0711, 14.1421],
                },
                "repeats": 1.0,
                "seconds": 0.5,
            }
        ],
    }


def test_a_single_seed_has_no_deviation():
    """Tried: with a deviation of 0, its result looks certain."""
    one = Standing("mine", STANDING.valid[:1], STANDING.test[:1], STANDING.networks[:1], 0.5)
    [row] = to_json("toy", 5, [one])["results"]
    assert row["valid"] == {"mean": 80.0, "std": None, "standard_error": None, "values": [80.0]}
    assert row["curve"]["test_std"] is None


def test_a_course_holds_every_evaluation():
    table = toy_table()
    course = run_course(RandomSearch(table.space, seed=1), table, 30, seed=1)
    proposals = RandomSearch(table.space, seed=1).ask(30)
    assert list(course.valid) == [table.evaluate(table.space.decode(p.tokens), 0).valid for p in proposals]
    assert len(set(course.networks)) == len({p.tokens for p in proposals})


@pytest.mark.usefixtures("_toy")
def test_seeds_make_the_standing():
    done = []
    contests = [Contest(table="toy", strategy=name, evaluations=40) for name in ("random", "evolution")]
    standings = compare(contests, 3, processes=1, on_course=lambda: done.append(1))
    assert len(done) == 6
    assert [standing.strategy for standing in standings] == ["random", "evolution"]
    table = toy_table()
    again = run_course(make_strategy("evolution", table.space, seed=2), table, 40, seed=2)
    assert standings[1].valid[2].tolist() == list(again.valid)


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize(
    ("contest", "message"),
    [
        ({"strategy": "evolution", "settings": {"size": 1}}, "evolution has no setting 'size'"),
        ({"strategy": "grid", "settings": {"sample": 3}}, "grid: has 3 networks to propose, expected 5"),
        ({"strategy": "reinforce", "controller": {"hidden": 0}}, "controller.hidden: Input should be greater"),
    ],
)
def test_wrong_settings_are_found_before_any_search(contest, message):
    good = Contest(table="toy", strategy="random", evaluations=5)
    with pytest.raises(UsageError, match=message):
        compare([good, Contest(table="toy", evaluations=5, **contest)], 2, processes=1, on_course=pytest.fail)


@pytest.mark.usefixtures("_toy")
def test_a_controller_is_taken_over(tmp_path):
    first = Contest(table="toy", strategy="reinforce-replay", evaluations=120, keep_in=tmp_path)
    compare([first], 2, processes=1)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "reinforce-replay-0000.safetensors",
        "reinforce-replay-0001.safetensors",
    ]
    again = Contest(table="toy", strategy="reinforce-replay", evaluations=16, take_over=tmp_path)
    afresh = Contest(table="toy", strategy="reinforce-replay", evaluations=16)
    started, scratch = compare([again, afresh], 2, processes=1)
    assert started.valid.mean() > scratch.valid.mean() + 0.1
    with pytest.raises(UsageError, match="taken over by reinforce and reinforce-replay, not by Evolution"):
        compare([Contest(table="toy", strategy="evolution", evaluations=5, take_over=tmp_path)], 1, processes=1)
    (tmp_path / "broken.safetensors").write_bytes(b"{")
    broken = Contest(table="toy", strategy="reinforce", evaluations=5, take_over=tmp_path / "broken.safetensors")
    with pytest.raises(UsageError, match="not the checkpoint of a controller"):
        compare([broken], 1, processes=1)


@pytest.mark.usefixtures("_toy")
def test_each_seed_takes_over_its_own_controller(tmp_path):
    """Tried: with all files of a folder in a row, seed 1 of reinforce-replay starts from seed 1 of reinforce."""

    def after(strategy, **more):
        return Contest(table="toy", strategy=strategy, evaluations=16, **more)

    both, single = tmp_path / "both", tmp_path / "single"
    both.mkdir()
    single.mkdir()
    compare([after(name, keep_in=both) for name in ("reinforce", "reinforce-replay")], 2, processes=1)
    compare([after("reinforce-replay", keep_in=single)], 2, processes=1)
    of_both, of_one, of_its_own = (
        compare([after(name, take_over=folder)], 2, processes=1)
        for name, folder in (("reinforce-replay", both), ("reinforce-replay", single), ("reinforce", both))
    )
    assert of_both[0].valid.tolist() == of_one[0].valid.tolist()
    (alone,) = compare([after("reinforce", take_over=single)], 2, processes=1)
    assert alone.valid.tolist() != of_its_own[0].valid.tolist(), "another strategy's, where it is the only one"
    with pytest.raises(UsageError, match=r"expected reinforce-0002\.safetensors, the controller that seed 2 of rein"):
        compare([after("reinforce", take_over=both)], 3, processes=1, on_course=pytest.fail)
    (single / "reinforce-replay-0000.safetensors").rename(single / "other-0000.safetensors")
    with pytest.raises(UsageError, match="found 2 others, other-0000"):
        compare([after("reinforce", take_over=single)], 1, processes=1, on_course=pytest.fail)


def test_pictures(tmp_path):
    def standing(name, seed):
        values = np.random.default_rng(seed).random((2, 2, 20))
        return Standing(name, values[0], values[1], np.arange(40).reshape(2, 20), 0.1)

    random, mine = standing("random", 0), standing("mine", 1)
    plot_best_so_far([random, mine], tmp_path / "a.png")
    plot_against_random([random, mine], random, tmp_path / "b.png")
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("a.png", "b.png"))
