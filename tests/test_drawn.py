"""Networks drawn by hand, from what a person names to what a run keeps of them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from netwright.answer import references_in
from netwright.drawn import check_new, drawn_by_hand
from netwright.errors import UsageError
from netwright.experiment import excess_by, prepare
from netwright.recipes import find_recipe
from netwright.settings_file import override
from netwright.spaces.published import published
from netwright.spaces.references import vgg
from netwright.store.task_file import REFERENCES
from netwright.tasks import IMAGES, TEXT
from netwright.verdicts import wanted_verdict


def test_references_of_one_name_or_of_one_network_are_refused(tmp_path: Path) -> None:
    """Tried: the second takes the first one's place, or both are trained under one seed."""
    config = find_recipe("text")
    for folder, cell in (("a", "lstm"), ("b", "nascell")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.json").write_text(published(cell).canonical_json(), encoding="utf-8")
    mine = [str(tmp_path / folder / "mine.json") for folder in "ab"]
    with pytest.raises(UsageError, match="two are called 'mine'"):
        drawn_by_hand(TEXT, mine, config, {}, config.space)
    with pytest.raises(UsageError, match="lstm and mine are the same network"):
        drawn_by_hand(TEXT, ["lstm", mine[0]], config, {}, config.space)
    assert set(drawn_by_hand(TEXT, ["lstm", mine[1]], config, {}, config.space)) == {"lstm", "mine"}


def test_networks_drawn_by_hand_have_activation_and_pooling_of_the_search_and_those_of_a_file_their_own(
    tmp_path: Path,
) -> None:
    """Else a search would be ahead of them by what anybody can have by naming another activation."""
    config = override(find_recipe("cifar10-small"), {"space.activation": "gelu", "space.pooling": "average"})
    task = {"image": [3, 16, 16], "classes": list("abcdefghij")}
    space = IMAGES.fit(config.space, config, task)
    (tmp_path / "mine.json").write_text(vgg().canonical_json(), encoding="utf-8")
    drawn = IMAGES.drawn(["vgg", "separable", str(tmp_path / "mine.json")], config, task, space)
    chosen = {name: (network.activation, network.pooling) for name, (network, _) in drawn.items()}
    assert chosen == {"vgg": ("gelu", "average"), "separable": ("gelu", "average"), "mine": ("relu", "max")}
    assert {name: tokens is not None for name, (_, tokens) in drawn.items()} == {
        "vgg": True,
        "separable": True,
        "mine": False,
    }


def test_what_a_run_knows_stays_as_it_is_also_where_its_file_is_gone(tmp_path: Path) -> None:
    """Tried: drawn anew at each resumption, a run that was copied to another machine cannot go on."""
    config, file = find_recipe("text"), tmp_path / "mine.json"
    file.write_text(published("nascell").canonical_json(), encoding="utf-8")
    known = drawn_by_hand(TEXT, [str(file)], config, {}, config.space)
    file.unlink()
    assert drawn_by_hand(TEXT, ["lstm", str(file)], config, {}, config.space, known)["mine"] == known["mine"]
    file.write_text(published("lstm").canonical_json(), encoding="utf-8")
    again = drawn_by_hand(TEXT, [str(file)], config, {}, config.space)
    with pytest.raises(UsageError, match="mine and lstm are the same network"):
        drawn_by_hand(TEXT, ["lstm"], config, {}, config.space, again)


def test_a_file_that_holds_another_network_than_the_run_knows_by_its_name_is_refused(tmp_path: Path) -> None:
    """Tried: unrefused, the old answer is printed again, as if it were about the new network."""
    config, file = find_recipe("digits"), tmp_path / "mine.json"
    file.write_text(vgg().canonical_json(), encoding="utf-8")
    known = drawn_by_hand(IMAGES, [str(file)], config, task_of_digits(), config.space)
    assert wanted_verdict(config, IMAGES, references=[str(file)], known=known).references == (str(file),)
    file.write_text(vgg().model_copy(update={"pool_after": (1,)}).canonical_json(), encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.json: this run was held against another network called 'mine'"):
        wanted_verdict(config, IMAGES, references=[str(file)], known=known)


def test_a_search_whose_references_are_all_over_the_budget_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Tried: unrefused, it trains for hours and ends without an answer, or a reason."""
    config = override(find_recipe("digits"), {"child.max_multiply_adds": 700})
    with pytest.raises(UsageError, match=r"no network drawn by hand is within the budget.* vgg has multiply_adds: "):
        prepare(config)
    some = prepare(override(config, {"child.max_multiply_adds": 1800})).task[REFERENCES]
    names = {name for name in some if f"{name}, drawn by hand, cannot be trained" in caplog.text}
    excess = excess_by(IMAGES, override(config, {"child.max_multiply_adds": 1800}), task_of_digits())
    assert excess is not None
    assert names == {name for name, (network, _) in references_in({REFERENCES: some}).items() if excess(network)}
    assert 0 < len(names) < len(some)
    caplog.clear()
    said: list[str] = []
    with caplog.at_level(logging.WARNING):
        check_new({name: entry for name, entry in some.items() if name not in names}, excess, said.append)
    assert not caplog.records
    assert not said
    check_new({"resnet": some["resnet"]}, None, said.append)
    assert "can write none of the networks drawn by hand" in said[0]


def task_of_digits() -> dict[str, object]:
    return {"image": [1, 8, 8], "classes": list("0123456789")}


def test_the_string_of_a_reference_is_that_of_what_was_trained() -> None:
    """Tried: kept where a target scales a reference further than the space does, a string has another one's reward."""
    for target in ({}, {"reward.target.parameters": 500}):
        config = override(find_recipe("digits"), target)
        space = IMAGES.fit(config.space, config, task_of_digits())
        drawn = IMAGES.drawn(config.verdict.references, config, task_of_digits(), space)
        written = {name: tokens for name, (_, tokens) in drawn.items() if tokens is not None}
        assert all(space.decode(tokens) == drawn[name][0] for name, tokens in written.items())
        assert ("vgg" in written) is not bool(target)
