"""Runs of any length and kind, written without training anything."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from netwright.answer import field_of, references_json, results_of
from netwright.config import ExperimentConfig
from netwright.recipes import find_recipe
from netwright.search.loop import conclude, rate
from netwright.search.reward import reward_of
from netwright.settings_file import override
from netwright.spaces.grammar import uniform_tokens
from netwright.store.rows import Session, running_row, utc_now
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import REFERENCES
from netwright.trial import Evaluation, Failure, FailureKind, Outcome, Phase, Proposal, Update

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


@pytest.fixture
def write_answered_run(write_run):
    """Writes a run with two references, ``drawn-a`` and ``drawn-b``, and a verdict; returns its folder."""

    def write(*, found=0.9, trials=8, settings=None, **options) -> RunFolder:
        small = {
            "reference_seeds": 1,
            "contenders": 1,
            "finalists": 2,
            "seeds": 2,
            "references": ["drawn-a", "drawn-b"],
        }
        small = {f"verdict.{name}": value for name, value in small.items()}
        folder = write_run(trials=trials, settings=small | (settings or {}), **options)
        config, random = folder.config, Random(1)
        names = {
            name: config.space.decode(uniform_tokens(config.space.plan(), random)) for name in ("drawn-a", "drawn-b")
        }
        drawn = {architecture.digest for architecture in names.values()}
        folder.set_task({**folder.task(), REFERENCES: references_json({name: (a, None) for name, a in names.items()})})
        while True:
            rows = folder.store.rows()
            field = field_of(config, config.verdict, folder.task(), rows)
            missing = field.missing(results_of(rows, config.search.seed))
            if not missing:
                return folder
            for number, training in enumerate(missing, len(rows)):
                own = training.architecture.digest not in drawn
                phase = Phase.REFERENCE if training.purpose == "reference" else Phase.FINAL
                proposal = Proposal(id=number, tokens=(), seed=training.seed(config.search.seed), phase=phase)
                folder.store.insert([running_row(proposal, training.architecture)])
                valid = (found if own else 0.7) + number / 1000
                result = Evaluation(valid=valid, metrics={"parameters": 1000}, curve=(0.3, valid))
                outcome, reward = rate(
                    Outcome(id=number, result=result, seconds=1.0, worker=0), lambda r: reward_of(r, config.reward)
                )
                folder.store.finish(folder.store.concluded(conclude(proposal, outcome, reward), outcome), None)

    return write
