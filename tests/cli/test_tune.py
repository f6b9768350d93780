"""``netwright tune``: the grid as a search, which can be stopped and gone on with."""

import json
import time

import pytest

from helpers.commands import SMALL_RECIPE, begin, finished, netwright
from netwright.cli.search import _ways_to_train
from netwright.cli.tune import _forecast
from netwright.config import ImageTraining, LanguageModelTraining
from netwright.errors import UsageError
from netwright.experiment import make_strategy
from netwright.networks.finding import find_network, trial_network
from netwright.networks.tuning import default_grid, tuned, tuning_config, tuning_space
from netwright.recipes import find_recipe
from netwright.settings_file import override
from netwright.spaces.conv import ConvSpace
from netwright.spaces.grammar import count_strings, every_string
from netwright.store.run_folder import RunFolder
from netwright.strategies.grid import Grid
from netwright.tasks import IMAGES, KINDS

GRID = "tuning.grid={learning_rate=[0.05, 0.2], weight_decay=[0, 1e-3]}"


@pytest.mark.parametrize(
    ("child", "points"),
    [
        (ImageTraining(), 54),
        (ImageTraining(schedule="one-cycle"), 18),
        (LanguageModelTraining(), 81),
        (LanguageModelTraining(schedule="linear"), 27),
    ],
)
def test_every_point_of_the_default_grid_is_a_configuration(child, points):
    recipe = "digits" if isinstance(child, ImageTraining) else "text"
    config = find_recipe(recipe).model_copy(
        update={"child": child, "tuning": default_grid(KINDS[find_recipe(recipe).data.kind], child)}
    )
    config = tuning_config(config, candidates=2)
    space = tuning_space(config.tuning, ("3", "5"))
    settings = [tuned(config, space.decode(tokens)).child for tokens in every_string(space.plan())]
    assert len(settings) == config.search.trials == 2 * points  # of each of the two networks
    assert len(set(settings)) == points


@pytest.mark.parametrize(("recipe", "points"), [("cifar10", 54), ("digits", 18), ("text", 36)])
def test_a_search_tells_of_as_many_ways_to_train_as_a_tuning_tries(recipe, points):
    """Tried: with all settings of the kind counted, it told of 54 after a search for digits."""
    assert _ways_to_train(find_recipe(recipe)) == points


@pytest.mark.parametrize("recipe", ["digits", "cifar10-small", "images", "text", "text-words", "penn-treebank"])
def test_what_a_run_trains_with_is_a_point_of_its_grid(recipe):
    """Tried: without, a tuning of ``text``, which has no dropout, tried 0.35 at the least."""
    config = find_recipe(recipe)
    grid = default_grid(KINDS[config.data.kind], config.child).grid
    assert all(getattr(config.child, name) in values for name, values in grid.items())
    assert all(len(set(values)) == len(values) for values in grid.values())


def test_settings_that_change_nothing_are_no_grid():
    """Tried: of 54 trainings under ``one-cycle`` only 18 differed."""
    config = find_recipe("digits")
    with pytest.raises(UsageError, match=r"tuning\.grid\.decay_at: changes nothing under the run's child\.schedule"):
        tuning_config(override(config, {"tuning.grid": {"decay_at": [[0.5], [0.8]]}}), 1)
    either = override(config, {"tuning.grid": {"decay_at": [[0.5], [0.8]], "schedule": ["steps", "cosine"]}})
    assert tuning_config(either, 1).search.trials == 4


def test_a_grid_of_nonsense_is_refused():
    def configure(grid):
        return tuning_config(override(find_recipe("digits"), {"tuning.grid": grid}), 1)

    with pytest.raises(UsageError, match="did you mean learning_rate"):
        configure({"learning_rat": [0.1]})
    with pytest.raises(UsageError, match="learning_rate"):
        configure({"learning_rate": [0.1, -1]})
    with pytest.raises(UsageError, match="learning_rate"):
        configure({"learning_rate": []})


def test_the_grid_proposes_each_string_once_and_goes_on_where_it_stopped():
    space = tuning_space(default_grid(IMAGES, ImageTraining()), ("3",))
    every = list(every_string(space.plan()))
    grid = Grid(space)
    first = grid.ask(5)
    again = Grid(space)
    again.restore([], next_id=5)
    rest = again.ask(count_strings(space.plan()))
    assert [p.tokens for p in first + rest] == every
    assert [p.id for p in first + rest] == list(range(len(every)))
    assert again.ask(1) == []


def test_a_sample_of_the_grid_is_different_points_of_it_by_the_seed():
    """Tried: with the trials alone cut, the first points are tried, which share their learning rate."""
    config = find_recipe("cifar10").model_copy(update={"tuning": default_grid(IMAGES, ImageTraining())})
    config = tuning_config(config, 1, trials=10)
    assert config.search.trials == 10
    space = tuning_space(config.tuning, ("3",))
    asked = [proposal.tokens for proposal in make_strategy(config, space).ask(99)]
    assert len(set(asked)) == 10
    assert set(asked) <= set(every_string(space.plan()))
    assert len({tokens[1] for tokens in asked}) == 3
    assert [proposal.tokens for proposal in make_strategy(config, space).ask(99)] == asked
    other = override(config, {"search.seed": 1})
    assert [proposal.tokens for proposal in make_strategy(other, space).ask(99)] != asked
    assert tuning_config(config, 1, trials=1000).search.trials == 54
    with pytest.raises(ValueError, match="the strategy random takes any space"):
        Grid(ConvSpace(depth=15), sample=5)
    assert Grid(ConvSpace(depth=15)).ask(1)[0].tokens == (0,) * len(ConvSpace(depth=15).plan())


def test_before_a_tuning_its_trainings_and_their_time_are_told():
    config = override(find_recipe("digits"), {"child.epochs": 6, "child.schedule": "steps"})
    config = config.model_copy(update={"tuning": default_grid(IMAGES, config.child)})
    whole, some = tuning_config(config, 2), tuning_config(config, 2, trials=30)
    assert _forecast(whole, 2, 5.0, 2).startswith("108 trainings, about 27 minutes: 30 seconds each by their times")
    assert _forecast(some, 2, 5.0, 2).startswith(
        "30 of the 108 trainings of the grid, about 7.5 minutes: 30 seconds each"
    )
    assert _forecast(whole, 2, None, 2) == "108 trainings, of 6 epochs each"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small search."""
    folder = tmp_path_factory.mktemp("tune") / "run"
    small = [
        "--set",
        "child.epochs=2",
        "--set",
        "data.train_limit=100",
        "--set",
        "space.depth=2",
        "--set",
        "space.filters=[4, 8]",
    ]
    done = netwright("search", SMALL_RECIPE, "--trials", 4, "--out", folder, "--workers", 1, *small)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_killed_tuning_goes_on_and_is_trained(run, tmp_path):
    out = tmp_path / "tuning"
    process = begin("tune", run, "--top", 2, "--out", out, "--set", GRID, "--workers", 1)
    while finished(out) < 3 and process.poll() is None:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    done = netwright("tune", "--resume", out, "--json", "--workers", 1)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["states"] == {"complete": 8}

    folder = RunFolder.open(out)
    rows = folder.store.rows()
    assert len({row.tokens for row in rows}) == 8
    best = max(rows, key=lambda row: row.valid)
    choice = dict(json.loads(best.architecture)["choices"])
    network = trial_network(folder, folder.store.row(summary["best"]["id"]))
    assert network.architecture == find_network(str(run), choice["architecture"]).architecture
    assert network.config.child.learning_rate == json.loads(choice["learning_rate"])
    assert list(network.config.child.decay_at) == json.loads(choice["decay_at"])

    table = netwright("trials", out).stdout
    assert len(table.splitlines()) == 1 + 8 + 2  # with what trains the best
    assert "learning rate" in table
    assert netwright("train", out, "--epochs", 1).returncode == 0
    trained = find_network(str(out)).trained()
    assert trained.weights is not None
    assert trained.config.child.learning_rate == network.config.child.learning_rate
    assert "netwright tune --resume" in netwright("search", "--resume", out).stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wrong_usage_is_said(run, tmp_path):
    for arguments, text in [
        (["tune"], "name what to tune"),
        (["tune", run, "--set", "tuning.grid.epocs=[1]"], "unknown key child.epocs"),
        (["tune", "--resume", run], "netwright search --resume"),
    ]:
        done = netwright(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert text in done.stderr
