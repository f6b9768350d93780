"""The text form of a configuration: what ``--set`` changes, and what it refuses."""

import re

import pytest

from netwright.config import CONTROLLER_SETTINGS_USED, TextDataSettings
from netwright.errors import UsageError
from netwright.recipes import find_recipe
from netwright.settings_file import override, parse_assignments, parse_config

DIGITS = find_recipe("digits")


def changed(*assignments):
    return override(DIGITS, parse_assignments(assignments))


@pytest.mark.parametrize("part", ["1.0", "2.0"])
def test_the_whole_of_the_data_is_not_one_image(part):
    """Tried: with a lax count, ``data.validation=1.0`` holds out one image."""
    message = (
        f"data.validation: expected a number of examples without a decimal point, or a fraction below 1, got {part}"
    )
    with pytest.raises(UsageError, match=re.escape(message)):
        changed(f"data.validation={part}")
    with pytest.raises(UsageError, match=r"data\.validation"):
        changed("data.validation=true")


def test_all_of_a_vocabulary_stays_all_of_it_in_a_file():
    """Tried: None is not in a file, so whoever resumes reads the default of 10,000."""
    config = find_recipe("text").model_copy(update={"data": TextDataSettings(max_vocabulary=None)})
    assert override(config, {"search.trials": 3}).data.max_vocabulary == 0
    assert parse_config(config.to_toml(), "config.toml").data == config.data


@pytest.mark.parametrize("part", [1, 200, 0.25])
def test_a_number_of_images_and_a_fraction_stay_what_they_are_in_a_file(part):
    config = changed(f"data.validation={part}")
    again = parse_config(config.to_toml(), "config.toml").data.validation
    assert (again, type(again)) == (part, type(part))


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ("strategy.name=reinforce-replay", "controller.learning_rate=0.3"),
            "controller.learning_rate: the strategy reinforce-replay does not use it; of [controller] it uses clip_",
        ),
        (
            ("strategy.name=reinforce-replay", "controller.baseline_decay=0.3"),
            "controller.baseline_decay: the strat",
        ),
        (
            ("controller.hidden=64", "strategy.name=evolution"),
            "controller.hidden: the strategy evolution does not use it; of [controller] it uses nothing",
        ),
        (("strategy.name=optuna:tpe", "controller.hidden=64"), "controller.hidden: the strategy optuna:tpe does not "),
    ],
)
def test_a_setting_that_the_strategy_does_not_use_is_refused(assignments, message):
    """Tried: without ``_refuse_unused`` the search runs, and the setting changes nothing."""
    with pytest.raises(UsageError, match=re.escape(message)):
        changed(*assignments)


@pytest.mark.parametrize("strategy", CONTROLLER_SETTINGS_USED)
def test_a_setting_that_the_strategy_uses_is_taken(strategy):
    assert changed(f"strategy.name={strategy}", "controller.hidden=7").controller.hidden == 7


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"strategy.name": "evolution"}, {}),
        ({"strategy.options.population": 8, "strategy.name": "evolution"}, {"population": 8}),
        ({"strategy.name": "evolution", "strategy.options": {"population": 8}}, {"population": 8}),
    ],
)
def test_another_strategy_begins_without_the_options_of_the_recipes(changes, options):
    """Tried: with them, ``--set strategy.name=evolution`` was refused, since evolution has no ``warmup``."""
    config = override(find_recipe("digits"), changes)
    assert (config.strategy.name, config.strategy.options) == ("evolution", options)


def test_the_same_strategy_named_again_keeps_its_options():
    recipe = find_recipe("digits")
    assert override(recipe, {"strategy.name": recipe.strategy.name}) == recipe


def test_a_recipes_own_settings_of_the_controller_are_no_fault_of_who_chooses_another_strategy():
    assert changed("strategy.name=evolution").controller == DIGITS.controller


@pytest.mark.parametrize(
    ("source", "located"),
    [
        ("images:photos", "images:{}/photos"),
        ("text:a b/text.txt", "text:{}/a b/text.txt"),
        ("images:/there/photos", "images:/there/photos"),
        ("digits", "digits"),
        ("hf:owner/name", "hf:owner/name"),
        ("images:", "images:"),
    ],
)
def test_data_is_found_from_any_directory(tmp_path, monkeypatch, source, located):
    monkeypatch.chdir(tmp_path)
    config = changed(f"data.source={source}") if source != "text:a b/text.txt" else text_from(source)
    assert config.located().data.source == located.format(tmp_path)
    assert config.located().located() == config.located()


def text_from(source):
    return override(find_recipe("text"), {"data.source": source})


def test_references_in_files_are_found_from_any_directory(tmp_path, monkeypatch):
    """Tried: by a relative path, a search cannot be resumed from elsewhere."""
    monkeypatch.chdir(tmp_path)
    config = override(DIGITS, {"verdict.references": ["vgg", "mine.json"]}).located()
    assert config.verdict.references == ("vgg", str(tmp_path / "mine.json"))


def test_home_is_what_a_shell_does_not_see_after_a_colon(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert changed("data.source=images:~/photos").located().data.source == "images:/home/me/photos"
