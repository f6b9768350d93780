"""Runs of any length and kind, written without training anything."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from netwright.config import ExperimentConfig
from netwright.recipes import find_recipe
from netwright.search.loop import conclude, rate
from netwright.search.reward import reward_of
from netwright.settings_file import override
from netwright.spaces.grammar import uniform_tokens
from netwright.store.rows import Session, running_row, utc_now
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Proposal, Update

TASKS = {
    "image_classifier": {"image": [1, 8, 8], "classes": [str(digit) for digit in range(10)]},
    "language_model": {"unit": "word", "vocabulary": ["<unk>", "<eos>", "the"]},
}


@pytest.fixture
def write_run(tmp_path):
    """Writes a run: ``write_run("digits", trials=8, failures={3: "a text"})``, and returns its folder."""

    def write(recipe="digits", *, trials=0, failures=(), running=0, space=None, settings=None) -> RunFolder:
        config: ExperimentConfig = override(find_recipe(recipe), settings or {})
        task = TASKS[config.child.kind] if space is None else {}
        config = config if space is None else config.model_copy(update={"space": None})
        folder = RunFolder.create(tmp_path / f"run-{len(list(tmp_path.iterdir()))}", config, task)
        space, random, failures = space or config.space, Random(0), dict(failures)
        rows, updates = [], []
        for number in range(trials + running):
            proposal = Proposal(id=number, tokens=uniform_tokens(space.plan(), random))
            row = running_row(proposal, space.decode(proposal.tokens))
            rows.append(row)
            if number >= trials:
                continue
            if number in failures:
                result = Failure(kind=FailureKind.ERROR, message=failures[number])
            else:
                valid = random.uniform(0.2, 0.9) if config.reward.kind == "accuracy" else random.uniform(90, 400)
                metrics = {"parameters": random.randrange(1000, 100_000), "train_loss": 0.5}
                result = Evaluation(valid=valid, metrics=metrics, curve=(valid / 2, valid))
            outcome = Outcome(id=number, result=result, seconds=random.uniform(1, 3), worker=number % 2)
            outcome, reward = rate(outcome, lambda result: reward_of(result, config.reward))
            trial, result = conclude(proposal, outcome, reward), outcome.result
            failed = isinstance(result, Failure)
            rows[-1] = replace(
                row,
                state=trial.state,
                reward=reward,
                finished_at=utc_now(),
                seconds=outcome.seconds,
                worker=outcome.worker,
                told=number,
                **{"failure": result.kind.value, "error": result.message} if failed else {},
                **{} if failed else {"valid": result.valid, "metrics": dict(result.metrics), "curve": result.curve},
            )
            if number % 8 == 7:
                update = Update(number=number // 8 + 1, reward=0.5, baseline=0.4, entropy=9.0, gradient_norm=1.0)
                updates.append((number, update))
        folder.store.insert(rows)  # at once: a transaction for each of thousands would be most of the test
        with folder.store._connection:
            for number, update in updates:
                folder.store._insert_update(number, update, None)
        folder.store.spend(Session(id=0, started_at="", seconds=2.0 * trials + 1))
        return folder

    return write
