"""The wiring: what a resumed search starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from netwright.errors import UsageError
from netwright.experiment import drawn_by_hand, make_strategy, threads_of
from netwright.phases import begin
from netwright.recipes import find_recipe
from netwright.session import known_evaluations
from netwright.settings_file import load_config, override
from netwright.spaces.published import published
from netwright.spaces.references import vgg
from netwright.store.files import write_atomically
from netwright.store.run_folder import RunFolder
from netwright.strategies.reinforce import Reinforce
from netwright.tasks import IMAGES, TEXT
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, State, Trial

CONFIG = load_config(Path(__file__).parent / "helpers" / "small.toml")
SPACE = CONFIG.space
assert SPACE is not None


def restore(strategy: Reinforce, folder: RunFolder) -> None:
    """Brings a fresh strategy to where the folder's last session left it."""
    begin(strategy, folder, folder.history)
    strategy.restore(folder.history.told, next_id=folder.history.next_id)


def reinforce() -> Reinforce:
    strategy = make_strategy(CONFIG, SPACE)
    assert isinstance(strategy, Reinforce)
    return strategy


def test_a_search_starts_again_from_the_controller_that_it_was_given(tmp_path: Path) -> None:
    """Without the copy in the folder, a resumption before the first update would continue from fresh weights."""
    other = Reinforce(SPACE, CONFIG.controller, seed=99)
    folder = RunFolder.create(tmp_path / "run", CONFIG, {})
    fresh = reinforce().ask(8)
    write_atomically(folder.initial_controller, other.state())
    first, again = reinforce(), reinforce()
    restore(first, folder)
    proposals = first.ask(8)
    folder.start([(proposal, SPACE.decode(proposal.tokens)) for proposal in proposals[:3]])
    folder.store.close()
    restore(again, RunFolder.open(tmp_path / "run", read_only=False))
    assert [p.tokens for p in again.ask(8)] == [p.tokens for p in proposals[3:]]
    assert [p.tokens for p in proposals] != [p.tokens for p in fresh]
    for ours, theirs in zip(first.learner.policy.parameters(), other.learner.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("name", "instead"), [("seed", "search.seed"), ("learner", r"\[controller\]")])
def test_what_every_strategy_is_given_is_none_of_its_options(name: str, instead: str) -> None:
    """Tried: unrefused, a TypeError of Python's about a keyword that is there twice."""
    config = override(find_recipe("digits"), {f"strategy.options.{name}": 3})
    with pytest.raises(UsageError, match=rf"strategy\.options\.{name}: no setting of a strategy; see {instead}"):
        make_strategy(config, config.space)


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


def test_threads_are_those_that_somebody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried: without the look at the environment, one worker takes all cores from whoever shares the machine."""
    monkeypatch.setattr("netwright.children.devices.cores", lambda: 8)
    open_to_all = override(CONFIG, {"search.threads": 0, "search.workers": 2, "search.device": "cpu"})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_of(open_to_all) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of(open_to_all) == 3
    assert threads_of(override(open_to_all, {"search.threads": 2})) == 2


def test_reused_evaluations_come_from_complete_trials_only(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", CONFIG, {})
    proposals = reinforce().ask(2)
    folder.start([(proposal, SPACE.decode(proposal.tokens)) for proposal in proposals])
    good = Evaluation(valid=0.5, metrics={"parameters": 7})
    bad = Failure(kind=FailureKind.ERROR, message="broken")
    for proposal, result, state in zip(proposals, (good, bad), (State.COMPLETE, State.FAILED), strict=True):
        finish(folder, proposal, result, state)
    assert known_evaluations(folder.store.history(), SPACE) == {SPACE.decode(proposals[0].tokens): good}


def finish(folder: RunFolder, proposal: Proposal, result: Evaluation | Failure, state: State) -> None:
    trial = Trial(id=proposal.id, tokens=proposal.tokens, state=state, reward=0.1)
    folder.finish(trial, Outcome(id=proposal.id, result=result, seconds=1.0), None, None)
