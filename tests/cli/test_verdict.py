"""How ``netwright verdict`` comes to its answer."""

from netwright.cli.verdict import settings_of
from netwright.recipes import find_recipe
from netwright.settings_file import override


def test_top_is_how_many_networks_are_trained_again_whatever_share_the_run_has():
    """Tried: with the run's share beside it, fifty are trained of a thousand."""
    config = override(find_recipe("cifar10-small"), {"verdict.finalist_share": 0.05})
    assert settings_of(config, top=3).finalists_among(1000) == 3
    assert settings_of(config).finalists_among(1000) == 50
