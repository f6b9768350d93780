"""The wiring: what a resumed search starts from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from netwright.children.image_evaluator import ImageEvaluator
from netwright.errors import UsageError
from netwright.experiment import make_strategy, prepare, threads_of
from netwright.phases import begin
from netwright.recipes import find_recipe
from netwright.session import known_evaluations
from netwright.settings_file import load_config, override
from netwright.store.files import write_atomically
from netwright.store.run_folder import RunFolder
from netwright.strategies.reinforce import Reinforce
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict.references": []}, "verdict.references: expected networks to hold the found one against"),
        (
            {"search.duplicates": "reuse", "strategy.options.evaluations": 2},
            "search.duplicates=reuse would answer from memory where strategy.options.evaluations=2",
        ),
        (
            {"space.fill": False, "reward.target.multiply_adds": 12_000},
            "reward.target.multiply_adds=12000: what costs more than child.max_multiply_adds=12000 is not trained",
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused_before_a_search(changes: dict[str, object], said: str) -> None:
    config = override(find_recipe("digits"), changes)
    with pytest.raises(UsageError, match=re.escape(said)):
        prepare(config)
    assert prepare(config, run=Path("run")).config.name == "digits", "what was begun can be resumed"


def test_threads_are_those_that_somebody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried: without the look at the environment, one worker takes all cores from whoever shares the machine."""
    monkeypatch.setattr("netwright.children.devices.cores", lambda: 8)
    open_to_all = override(CONFIG, {"search.threads": 0, "search.workers": 2, "search.device": "cpu"})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_of(open_to_all) == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of(open_to_all) == 3
    assert threads_of(override(open_to_all, {"search.threads": 2})) == 2


@pytest.mark.parametrize(
    ("taken", "device", "share"), [(0.5, "cuda", 0.5), (1, "cuda", 1), (2, "cuda", 1), (0, "cpu", 1)]
)
def test_on_ray_a_child_has_as_much_of_a_cards_memory_as_it_takes_of_the_card(
    taken: float, device: str, share: float
) -> None:
    """Tried: with the workers of this process counted, of which there is one, each of two children may take it all."""
    config = override(CONFIG, {"search.executor": "ray", "cluster.child_gpus": taken})
    (evaluator,) = prepare(config).evaluators
    assert isinstance(evaluator, ImageEvaluator)
    assert (evaluator.device, evaluator.device_share) == (device, share)


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
