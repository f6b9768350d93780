"""References, search, answer: the same trials and verdict wherever a run is stopped, by whatever executor."""

from __future__ import annotations

import hashlib
import os
import signal
import time
import warnings
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from netwright.answer import references_in, references_json, verdict_in
from netwright.config import ExperimentConfig, LearnerSettings, SearchSettings, StrategySettings, VerdictSettings
from netwright.experiment import Parts, make_strategy
from netwright.measure import PERPLEXITY
from netwright.phases import Phases, begin, known_references
from netwright.recipes import find_recipe
from netwright.recipes.small import drawn_space
from netwright.search.executor import Examiner, SerialExecutor
from netwright.search.finals import Purpose, Training
from netwright.search.observers import Observers
from netwright.search.shortcuts import Shortcuts
from netwright.settings_file import override
from netwright.spaces.architecture import ConvArchitecture, RecurrentCellArchitecture
from netwright.spaces.published import CELLS, published
from netwright.spaces.recurrent_cell import RecurrentCellSpace
from netwright.spaces.references import reference
from netwright.store.files import write_atomically
from netwright.store.run_folder import RunFolder
from netwright.store.task_file import MEASURE, REFERENCES
from netwright.tasks import IMAGES, KINDS
from netwright.testing.searches import Backwards
from netwright.trial import TEST, Evaluation, Phase, State

TRIALS = 14
CONFIG = override(
    ExperimentConfig(
        name="phases",
        space=drawn_space(),
        strategy=StrategySettings(
            name="reinforce-replay",
            options={"batch": 2, "warmup": 2, "clone": 5, "steps": 1, "mutants": 0.5, "screen": 4},
        ),
        controller=LearnerSettings(hidden=8),
        search=SearchSettings(trials=TRIALS, seed=5),
        verdict=VerdictSettings(references=("vgg", "dense", "resnet"), reference_seeds=2, finalists=4, seeds=2),
    ),
    {"child.max_multiply_adds": 30_000},
)
TASK = {"image": [1, 8, 8], "classes": list("0123456789")}


def cells(recipe: str) -> ExperimentConfig:
    """A recipe for cells with all that it searches by, but smaller; with rungs."""
    options = {
        "batch": 2,
        "warmup": 2,
        "queue": 4,
        "clone": 5,
        "steps": 1,
        "mutants": 0.4,
        "crossovers": 0.4,
        "screen": 3,
    }
    few = {"reference_seeds": 1, "contenders": 2, "finalists": 3, "seeds": 2}
    return override(
        find_recipe(recipe),
        {
            **{f"strategy.options.{name}": value for name, value in options.items()},
            **{f"verdict.{name}": value for name, value in few.items()},
            "controller.hidden": 4,
            "search.trials": 8,
            "search.seed": 5,
            "rungs.first_half": 0.3,
        },
    )


class Guess:
    """Worth by the number of connections, with noise by seed; an examiner, as those of images are."""

    def evaluate(self, architecture, seed, report):
        assert isinstance(architecture, ConvArchitecture)
        worth = 0.5 + 0.02 * sum(len(layer.inputs) for layer in architecture.layers) + 0.01 * Random(seed).random()
        report(1, worth)
        return Evaluation(valid=worth, metrics={"parameters": 7}, curve=(worth,))

    def evaluate_and_test(self, architecture, seed, report):
        found = self.evaluate(architecture, seed, report)
        blocks = (found.valid - 0.2, found.valid)
        return Evaluation(
            valid=found.valid, metrics={**found.metrics, TEST: found.valid - 0.1}, curve=found.curve, blocks=blocks
        )


class CellGuess:
    """A perplexity by the number of decisions that differ from ``nascell``, noise by seed; every third cell is bad."""

    BEST = RecurrentCellSpace().encode(published("nascell"))

    def evaluate(self, architecture, seed, report):
        digest, differ = int(architecture.digest, 16), 12
        if isinstance(architecture, RecurrentCellArchitecture):
            tokens = RecurrentCellSpace().encode(architecture)
            differ = sum(one != other for one, other in zip(tokens, self.BEST, strict=True))
        drawn = architecture.digest in {published(name).digest for name in CELLS}
        level = (90 + differ + Random(seed).random()) * (3 if digest % 3 == 0 and not drawn else 1)
        curve = tuple(level * (1 + (6 - epoch) / 10) for epoch in range(1, 7))
        for epoch, valid in enumerate(curve, 1):
            report(epoch, valid)
        return Evaluation(valid=min(curve), metrics={"parameters": 7}, curve=curve)

    def evaluate_and_test(self, architecture, seed, report):
        found = self.evaluate(architecture, seed, report)
        return replace(found, metrics={**found.metrics, TEST: found.valid + 1})


class Stopping:
    """An executor that is interrupted after so many outcomes."""

    def __init__(self, after, evaluator=None):
        self._inner, self._left = SerialExecutor(evaluator or Guess()), after

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def wait(self):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return self._inner.wait()


def session(path: Path, executor, say=lambda line: None, config=CONFIG):
    """One session of a run, from wherever it stands."""
    kind = KINDS[config.data.kind]
    task = {**TASK} if kind is IMAGES else {"unit": "word", "vocabulary": ["a", "b"], MEASURE: PERPLEXITY.to_json()}
    space = kind.fit(config.space, config, task)
    task[REFERENCES] = references_json(kind.drawn(config.verdict.references, config, task, space))
    strategy = make_strategy(config, space)
    parts = Parts(space=space, strategy=strategy, evaluators=[Guess()], task=task, config=config)
    folder = (
        RunFolder.open(path, read_only=False)
        if (path / "config.toml").exists()
        else RunFolder.create(path, config, task)
    )
    with closing(folder.store):
        Phases(folder, parts, executor, Observers(), say).run(Shortcuts(), searching=True)


def left(path: Path):
    """What must not depend on interruptions: trials, the controller's last weights, the verdict."""
    folder = RunFolder.open(path)
    weights = hashlib.sha256(folder.last_controller().read_bytes()).hexdigest()
    return trials(folder), weights, verdict_in(folder)


def trials(folder: RunFolder):
    """The trials of a run, without the clock's times."""
    return [
        (r.id, r.phase, r.seed, r.tokens, r.digest, r.state, r.reward, r.valid, r.metrics, r.curve, r.told, r.blocks)
        for r in folder.store.rows()
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    session(path, SerialExecutor(Guess()))
    return left(path)


def test_the_phases_follow_each_other_and_end_with_a_verdict(undisturbed):
    rows, _, verdict = undisturbed
    phases = [row[1] for row in rows]
    settings = CONFIG.verdict
    assert phases.count(Phase.REFERENCE) == settings.trainings_before == 6
    assert phases.count(Phase.SEARCH) == TRIALS
    assert phases.count(Phase.FINAL) == settings.trainings_at_end(TRIALS) == 4 + 2 * 2 + 2 * 3
    assert phases == sorted(phases, key=list(Phase).index)
    assert all(row[5] is State.COMPLETE for row in rows)
    assert verdict is not None
    assert rows[verdict.found.entrant.trial][1] is Phase.SEARCH
    assert verdict.found.test.mean == pytest.approx(verdict.found.valid.mean - 0.1)
    assert verdict.deciding is verdict.test_difference
    assert verdict.test_difference.of_examples == pytest.approx(0.0, abs=1e-9), "both are as far apart on either block"


def test_only_the_last_seeds_see_the_test_part(undisturbed):
    """Tried: with every job tested, the references and finalists have the metric, too."""
    rows, _, verdict = undisturbed
    last = {
        Training(architecture=standing.entrant.architecture, purpose=Purpose.LAST, number=n).seed(CONFIG.search.seed)
        for standing in (verdict.found, *verdict.references)
        for n in range(CONFIG.verdict.seeds)
    }
    assert {row[2] for row in rows if TEST in row[8]} == last
    assert isinstance(Guess(), Examiner)


@pytest.mark.parametrize("after", [0, 1, 5, 6, 7, 13, 20, 21, 24, 27, 33])
def test_a_run_that_is_stopped_in_any_phase_ends_as_an_undisturbed_one(tmp_path, undisturbed, after):
    """Tried: without the trials' seeds in the table, finals are trained twice; without ``begin``, weights differ."""
    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "run", Stopping(after))
    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "run", Stopping(0))
    session(tmp_path / "run", SerialExecutor(Guess()))
    assert left(tmp_path / "run") == undisturbed


class Telling(Stopping):
    """Writes a letter when a child is done, before anybody else knows of it."""

    def __init__(self, pipe, evaluator):
        super().__init__(10**6, evaluator)
        self._pipe = pipe

    def wait(self):
        outcomes = super().wait()
        os.write(self._pipe, b"." * len(outcomes))
        return outcomes


def killed(path: Path, after: int, delay: float, config=CONFIG, evaluator=None) -> bool:
    """A session in a process of its own, killed by -9 so many children and seconds later; whether it still ran."""
    told, pipe = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside torch's threads, of which it uses none
        pid = os.fork()
    if pid == 0:
        try:
            session(path, Telling(pipe, evaluator), config=config)
        finally:
            os._exit(0)
    os.close(pipe)
    for _ in range(after):
        os.read(told, 1)  # nothing, once it has ended
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    os.close(told)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_five_times_in_every_phase_it_ends_as_an_undisturbed_one(tmp_path, undisturbed):
    """At random moments, up to two children later each time: trials, the controller's weights and answer are equal.

    In the search a kill one child later mostly comes before that child is on disk, since the controller learns first.
    """
    kills = kill_until_it_ends(tmp_path / "run")
    session(tmp_path / "run", SerialExecutor(Guess()))
    assert left(tmp_path / "run") == undisturbed
    assert all(kills[phase] >= 5 for phase in Phase), kills


def kill_until_it_ends(run: Path, **options) -> Counter[Phase]:
    """Begins or resumes a run and kills it, again and again; how often in each phase.

    Until a phase of few trainings has had its kills, at once: a fast machine goes through some in the moment before.
    """
    chance, kills, phase = Random(3), Counter(), Phase.REFERENCE

    def children_later():
        if phase is Phase.SEARCH:
            return chance.choice([1, 2, 2])
        return chance.choice([0, 1, 1]) if kills[phase] >= 5 else 0

    while killed(run, children_later(), chance.random() * 0.02, **options):
        rows = RunFolder.open(run).store.rows() if (run / "trials.db").exists() else []
        phase = rows[-1].phase if rows else Phase.REFERENCE
        kills[phase] += 1
        assert sum(kills.values()) < 200, "it never ends"
    return kills


CELLS_RECIPES = [cells("text"), pytest.param(cells("penn-treebank-small"), marks=[pytest.mark.slow, pytest.mark.long])]


@pytest.fixture(scope="module", params=CELLS_RECIPES, ids=["text", "penn-treebank-small"])
def searched_cells(request, tmp_path_factory):
    """A recipe for cells, and what an undisturbed search of it leaves."""
    path = tmp_path_factory.mktemp("cells") / "run"
    session(path, SerialExecutor(CellGuess()), config=request.param)
    return request.param, left(path)


def in_phase(table, phase):
    return [row for row in table if row[1] is phase]


def test_a_search_for_cells_has_all_phases_and_rungs(searched_cells):
    """Tried: without rungs, nothing is stopped."""
    _, (rows, _, verdict) = searched_cells
    assert [len(in_phase(rows, phase)) for phase in Phase] == [5, 8, 3 + 2 * 2 + 3 * 2]
    stopped = [row for row in rows if "stopped_after" in row[8]]
    assert {row[1] for row in stopped} == {Phase.SEARCH}
    assert {row[8]["stopped_after"] for row in stopped} == {1}, "three times as bad, from the first epoch on"
    assert verdict.nearest.decisions == 34
    assert verdict.in_space.reference.entrant.name == "nascell"


def test_a_search_for_cells_that_is_stopped_in_every_phase_ends_as_an_undisturbed_one(tmp_path, searched_cells):
    """In the references, at their end, twice in the search, and in the rounds and last seeds of the answer."""
    config, undisturbed = searched_cells
    for after in (3, 2, 3, 2, 5, 6):
        with pytest.raises(KeyboardInterrupt):
            session(tmp_path / "run", Stopping(after, CellGuess()), config=config)
    session(tmp_path / "run", SerialExecutor(CellGuess()), config=config)
    assert left(tmp_path / "run") == undisturbed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_for_cells_that_is_killed_in_every_phase_ends_as_an_undisturbed_one(tmp_path, searched_cells):
    config, undisturbed = searched_cells
    kills = kill_until_it_ends(tmp_path / "run", config=config, evaluator=CellGuess())
    session(tmp_path / "run", SerialExecutor(CellGuess()), config=config)
    assert left(tmp_path / "run") == undisturbed
    assert all(kills[phase] >= 2 for phase in Phase), kills


class Noting(Backwards):
    """Two workers of which the one that began last is done first; notes what each child must reach."""

    def __init__(self):
        super().__init__(CellGuess(), room=2)
        self.limits = set()

    def submit(self, job):
        self.limits.add(job.limits)
        super().submit(job)


def test_two_workers_come_to_the_answer_of_one_about_the_same_cells(tmp_path):
    """Where what is proposed does not depend on who is faster."""
    config = cells("text").model_copy(update={"strategy": StrategySettings(name="random")})
    tables = []
    for name, executor in (("one", SerialExecutor(CellGuess())), ("two", Noting())):
        session(tmp_path / name, executor, config=config)
        rows, verdict = trials(folder := RunFolder.open(tmp_path / name)), verdict_in(folder)
        # By their seeds, without their numbers and the order of telling, which depend on who is faster.
        tables.append(([sorted(row[2:10] for row in in_phase(rows, phase)) for phase in Phase], verdict))
    assert tables[0] == tables[1]
    assert len(executor.limits) == 2, "those of the search, and none for references and finalists"


def test_two_workers_finish_what_one_has_searched_with_the_same_answer(tmp_path, searched_cells):
    config, (alone, _, answer) = searched_cells
    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "run", Stopping(5 + 8, CellGuess()), config=config)
    session(tmp_path / "run", Noting(), config=config)
    rows, _, verdict = left(tmp_path / "run")
    assert rows[:13] == alone[:13]
    assert {row[2:6] for row in rows} == {row[2:6] for row in alone}
    assert verdict == answer


def an_hour_each(monkeypatch, hours, after_references=1):
    """A class of executors whose trainings take an hour each, by a clock of their own, until this many have passed.

    Those after the six of the references may take several.
    """
    now = [0.0]
    monkeypatch.setattr("netwright.phases.time.monotonic", lambda: now[0])
    monkeypatch.setattr("netwright.search.loop.time.monotonic", lambda: now[0])
    monkeypatch.setattr("netwright.phases.deadline", lambda folder: hours * 3600)

    class Hourly(Stopping):
        def wait(self):
            (outcome,) = super().wait()
            seconds = 3600.0 * (after_references if outcome.id >= 6 else 1)
            now[0] += seconds
            return [replace(outcome, seconds=seconds)]

    Hourly.now = now
    return Hourly


@pytest.mark.parametrize(("hours", "searched"), [(34.5, TRIALS), (22.5, 9), (16.5, 6)])
def test_the_search_gets_half_of_what_is_left_however_little(tmp_path, monkeypatch, hours, searched):
    """A training takes an hour: six before the search, fourteen after it. Tried: with all of these set aside from 16.5
    hours, no network is searched, and there is no answer.
    """
    hourly = an_hour_each(monkeypatch, hours)
    said = []
    session(tmp_path / "run", hourly(99), said.append)
    rows, _, verdict = left(tmp_path / "run")
    assert [row[1] for row in rows].count(Phase.SEARCH) == searched
    assert verdict is not None
    assert ("beyond search.hours" in said[0]) is (hours < 30)


@pytest.mark.parametrize("stopped", [None, 10])
def test_the_answer_is_in_time_where_what_is_searched_takes_longer_than_what_people_draw(
    tmp_path, monkeypatch, stopped
):
    """A training takes an hour before the search and two after that: twenty networks and an answer of fourteen
    trainings fit into 74 hours, wherever it was stopped. Tried: by the references alone 27 networks are searched, and
    the answer is late by 14 hours.
    """
    hourly = an_hour_each(monkeypatch, hours=74, after_references=2)
    config = override(CONFIG, {"search.trials": 30})
    said = []
    if stopped is not None:
        with pytest.raises(KeyboardInterrupt):
            session(tmp_path / "run", hourly(stopped), config=config)
    session(tmp_path / "run", hourly(99), said.append, config=config)
    rows, _, verdict = left(tmp_path / "run")
    assert [row[1] for row in rows].count(Phase.SEARCH) == 20
    assert verdict is not None
    assert hourly.now[0] == 74 * 3600
    assert said[0].startswith(f"a training takes {'60 minutes' if stopped is None else '2 hours'} here")


def test_a_cluster_without_references_is_as_wide_as_its_settings_say(tmp_path):
    """Tried: by the workers of references, of which there are none, all dies of a division by zero."""
    config = override(CONFIG, {"search.executor": "ray", "verdict.references": [], "verdict.at_end": False})
    session(tmp_path / "run", SerialExecutor(Guess()), config=config)
    assert len(left(tmp_path / "run")[0]) == TRIALS


@pytest.mark.parametrize(("hours", "searched"), [(86.0, 60), (66.0, 48)])
def test_time_is_set_aside_for_as_many_finalists_as_there_will_be(tmp_path, monkeypatch, hours, searched):
    """A training takes an hour, six come before the search, and every tenth network is a finalist: of 60 six, whose
    answer takes 20 hours, of 48 four, whose answer takes 12. Tried: by the answer to 60 networks, 40 are searched.
    """
    hourly = an_hour_each(monkeypatch, hours)
    few = {"finalists": 2, "contenders": 1, "finalist_share": 0.1}
    config = override(CONFIG, {"search.trials": 60, **{f"verdict.{name}": value for name, value in few.items()}})
    session(tmp_path / "run", hourly(99), config=config)
    rows, _, verdict = left(tmp_path / "run")
    assert [row[1] for row in rows].count(Phase.SEARCH) == searched
    assert verdict is not None


def test_a_run_that_is_stopped_in_its_answer_searches_no_more(tmp_path, monkeypatch):
    """Tried: with half of what is left for the search, whatever has begun, a seventh network is searched."""
    hourly = an_hour_each(monkeypatch, hours=16.5)
    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "run", hourly(6 + 6 + 3))
    said = []
    session(tmp_path / "run", hourly(99), said.append)
    rows, _, verdict = left(tmp_path / "run")
    assert [row[1] for row in rows].count(Phase.SEARCH) == 6
    assert verdict is not None
    assert said == []


def test_a_finished_run_trains_nothing_when_resumed(tmp_path, undisturbed):
    session(tmp_path / "run", SerialExecutor(Guess()))
    said = []
    session(tmp_path / "run", Stopping(0), said.append)
    assert left(tmp_path / "run") == undisturbed
    assert said == [], "no time is told of a search that is over"


def test_references_and_their_seeds_do_not_depend_on_who_is_faster(tmp_path, undisturbed):
    session(tmp_path / "run", Backwards(Guess(), room=2))
    rows, _, verdict = left(tmp_path / "run")
    alone, _, _ = undisturbed

    def references(table):
        return {(row[2], row[4], row[7]) for row in table if row[1] is Phase.REFERENCE}

    assert references(rows) == references(alone)
    assert verdict is not None


def test_more_trials_after_the_answer_lead_to_an_answer_about_all(tmp_path):
    session(tmp_path / "run", SerialExecutor(Guess()))
    session(tmp_path / "run", SerialExecutor(Guess()), config=override(CONFIG, {"search.trials": TRIALS + 6}))
    folder = RunFolder.open(tmp_path / "run")
    # The folder's own configuration counts, which is changed by whoever resumes.
    assert sum(row.phase is Phase.SEARCH for row in folder.store.rows()) == TRIALS
    folder = RunFolder.open(tmp_path / "run", read_only=False)
    folder.set_config(override(CONFIG, {"search.trials": TRIALS + 6}))
    folder.store.close()
    session(tmp_path / "run", SerialExecutor(Guess()), config=override(CONFIG, {"search.trials": TRIALS + 6}))
    rows, _, verdict = left(tmp_path / "run")
    assert sum(row[1] is Phase.SEARCH for row in rows) == TRIALS + 6
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert verdict is not None


def test_a_controller_that_somebody_brings_is_not_taught_what_people_draw(tmp_path):
    """Tried: taught after it was brought, little is left of what it had learned."""
    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "run", Stopping(after=6))
    folder = RunFolder.open(tmp_path / "run", read_only=False)
    space = KINDS[CONFIG.data.kind].fit(CONFIG.space, CONFIG, TASK)
    other, strategy = make_strategy(override(CONFIG, {"search.seed": 99}), space), make_strategy(CONFIG, space)
    write_atomically(folder.initial_controller, other.learner.checkpoint())
    history = folder.store.history()
    assert known_references(folder, history), "there is something to be taught"
    begin(strategy, folder, history)
    for ours, theirs in zip(strategy.learner.policy.parameters(), other.learner.policy.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_network_drawn_by_hand_that_could_not_be_trained_is_no_head_start(tmp_path):
    """Tried: a failed one was known with the reward of a failure, and copied where all had failed."""
    failing = reference("vgg")

    class Failing(Guess):
        def evaluate(self, architecture, seed, report):
            if [layer.inputs for layer in architecture.layers] == [layer.inputs for layer in failing.layers]:
                raise ValueError("cannot be trained")
            return super().evaluate(architecture, seed, report)

    with pytest.raises(KeyboardInterrupt):
        session(tmp_path / "run", Stopping(6, Failing()))
    folder = RunFolder.open(tmp_path / "run")
    known = [tokens for tokens, _ in known_references(folder, folder.store.history())]
    written = {name: tokens for name, (_, tokens) in references_in(folder.task()).items() if tokens is not None}
    assert written["vgg"] not in known
    assert written["dense"] in known


def test_the_search_itself_does_not_depend_on_the_number_of_other_trials(tmp_path, undisturbed):
    """Tried: numbering the strategy's trials by the run's numbers gives children other seeds."""
    rows, _, _ = undisturbed
    more = CONFIG.model_copy(update={"verdict": CONFIG.verdict.model_copy(update={"finalists": 6, "seeds": 4})})
    session(tmp_path / "run", SerialExecutor(Guess()), config=more)
    others, _, _ = left(tmp_path / "run")
    assert [row[2:9] for row in others if row[1] is Phase.SEARCH] == [r[2:9] for r in rows if r[1] is Phase.SEARCH]
