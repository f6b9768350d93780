"""Replicas and their driver, in one process: alone equal to one machine; many, and mortal, exact in number."""

from __future__ import annotations

import math
import random
from collections import deque

import pytest

from netwright.benchmarks.toy import SPACE, ToyConvEvaluator, toy_table
from netwright.config import ClusterSettings, DepthSchedule, LearnerSettings
from netwright.runtime.driver import Driver, LocalDesk
from netwright.runtime.parameter_server import LocalShards, ParameterServer, divide, make_shard, split_state, taken
from netwright.runtime.replica import Replica
from netwright.search.curriculum import full_size
from netwright.search.executor import Job, SerialExecutor, evaluate
from netwright.search.loop import conclude, search
from netwright.search.observers import Observers
from netwright.search.strategy import checkpoint_of
from netwright.seeding import derive_seed
from netwright.spaces.conv import ConvSpace
from netwright.strategies.reinforce import Reinforce
from netwright.trial import Concluded, Failure, FailureKind, Outcome

SETTINGS = LearnerSettings(learning_rate=0.01)
CONV = ConvSpace(depth=4, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
TABLE = toy_table()
GROWING = DepthSchedule(start=1, step=1, interval=12, cap=4)


class Folder:
    """A run folder in memory: what there is, and the checkpoint of each update."""

    def __init__(self):
        self.begun = {}
        self.told = {}
        self.updates = {}
        self.notes = {}
        self.checkpoint = None

    def start(self, proposals):
        for proposal, _ in proposals:
            self.begun.setdefault(proposal.id, proposal)

    def finish(self, trial, outcome, update, state):
        assert trial.id in self.begun
        assert trial.id not in self.told, f"trial {trial.id} finished twice"
        self.told[trial.id] = trial
        assert (update is None) == (state is None)
        if update is not None:
            assert update.number not in self.updates, f"update {update.number} twice"
            self.updates[update.number] = (update, state)
            self.checkpoint = state

    def annotate(self, ids, notes):
        for trial_id in ids:
            assert trial_id in self.told, f"trial {trial_id} is not on disk"
            self.notes.setdefault(trial_id, {}).update(notes)


def score(result):
    if isinstance(result, Failure):
        return None if result.kind is FailureKind.LOST else 0.0
    return result.valid


def first_strategy(space=SPACE, batch=8, curriculum=full_size):
    return Reinforce(space, SETTINGS, batch=batch, seed=5, curriculum=curriculum)


class Site:
    """Everything of one session of a search on a cluster, but for the replicas."""

    def __init__(self, folder, cluster, trials, *, space=SPACE, curriculum=full_size, deadline=math.inf):
        strategy = first_strategy(space, cluster.children, curriculum)
        self.cluster, self.space, self.curriculum = cluster, space, curriculum
        self.parts = divide(strategy.learner.weights.tensors, cluster.shards)
        self.driver = Driver(
            folder,
            Observers(),
            begun=list(folder.begun.values()),
            told=list(folder.told.values()),
            trials=trials,
            batch=cluster.children,
            shards=split_state(folder.checkpoint or strategy.state(), self.parts),
            deadline=deadline,
            seed=5,
        )
        self.shards = [self.make_shard(n, snapshot) for n, snapshot in enumerate(self.driver.shards)]

    def make_shard(self, number, snapshot):
        return make_shard(number, snapshot, SETTINGS, self.cluster)

    def replica(self, shards, desk):
        return Replica(
            self.space,
            SETTINGS,
            ParameterServer(shards, self.parts),
            desk,
            batch=self.cluster.children,
            ahead=self.cluster.ahead,
            seed=5,
            curriculum=self.curriculum,
        )


def run_alone(folder, trials, evaluator=None, *, shards=1, space=SPACE, curriculum=full_size):
    """A session of one replica, with the loop and the executor of one machine."""
    site = Site(folder, ClusterSettings(shards=shards), trials, space=space, curriculum=curriculum)
    desk = LocalDesk(site.driver, 0)
    loop(space, site.replica(LocalShards(site.shards), desk), evaluator or toy_table(), desk, remaining=2**62)
    assert site.driver.done
    return site


def loop(space, strategy, evaluator, journal, *, remaining):
    search(
        space,
        strategy,
        SerialExecutor(evaluator),
        score,
        journal,
        journal if isinstance(journal, LocalDesk) else Observers(),
        checkpoint=checkpoint_of(strategy),
        unfinished=(),
        remaining=remaining,
        seed=5,
        max_failures=1000,
    )


def run_local(trials, evaluator=None, *, space=SPACE, curriculum=full_size):
    folder = Folder()
    strategy = first_strategy(space, 8, curriculum)
    loop(space, strategy, evaluator or toy_table(), folder, remaining=trials)
    return folder


def same(one, other):
    assert one.told == other.told
    assert one.begun == other.begun
    assert one.updates == other.updates


@pytest.mark.parametrize("shards", [1, 3, 20])
@pytest.mark.parametrize("trials", [5, 8, 43])
def test_one_replica_is_the_search_on_one_machine_bit_for_bit(shards, trials):
    """Trials, notes, updates and every checkpoint; also where the search ends within a batch."""
    folder = Folder()
    run_alone(folder, trials, shards=shards)
    same(folder, run_local(trials))
    assert folder.notes == {}


def test_also_with_a_growing_space():
    folder = Folder()
    run_alone(folder, 40, ToyConvEvaluator(), shards=3, space=CONV, curriculum=GROWING)
    same(folder, run_local(40, ToyConvEvaluator(), space=CONV, curriculum=GROWING))


class StopAfter:
    """An evaluator that ends everything after so many children, as a kill of the driver would."""

    def __init__(self, count):
        self.left = count
        self.table = toy_table()

    def evaluate(self, architecture, seed, report):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.table.evaluate(architecture, seed)


@pytest.mark.parametrize("stop", [0, 1, 7, 8, 9, 20, 24])
def test_one_replica_resumed_is_uninterrupted(stop):
    folder = Folder()
    with pytest.raises(KeyboardInterrupt):
        run_alone(folder, 43, StopAfter(stop), shards=2)
    assert len(folder.told) == stop
    run_alone(folder, 43, shards=2)
    same(folder, run_local(43))


def test_more_trials_go_on_within_the_batch():
    folder = Folder()
    run_alone(folder, 13)
    run_alone(folder, 30)
    same(folder, run_local(30))
    run_alone(folder, 20)  # fewer than there are
    assert len(folder.told) == 30


def test_a_checkpoint_that_was_lost_is_made_up_for_from_the_trials():
    folder = Folder()
    run_alone(folder, 40)
    weights = folder.checkpoint
    folder.checkpoint = folder.updates[2][1]
    folder.updates = {number: update for number, update in folder.updates.items() if number <= 2}
    site = run_alone(folder, 48)
    whole = run_local(48)
    assert folder.told == whole.told
    assert folder.checkpoint == whole.checkpoint
    assert folder.checkpoint != weights
    assert [taken(shard).numbers() for shard in site.driver.shards] == [[6]]


def test_after_the_deadline_only_what_has_begun_is_dealt_out():
    folder = Folder()
    with pytest.raises(KeyboardInterrupt):
        run_alone(folder, 43, StopAfter(10))
    begun = len(folder.begun)
    site = Site(folder, ClusterSettings(), 43, deadline=-math.inf)
    desk = LocalDesk(site.driver, 0)
    loop(SPACE, site.replica(LocalShards(site.shards), desk), toy_table(), desk, remaining=2**62)
    assert site.driver.done
    assert len(folder.told) == len(folder.begun) == begun


class Mailbox(LocalDesk):
    """A desk whose messages take their time, as between processes; they keep their order."""

    def __init__(self, driver, replica):
        super().__init__(driver, replica)
        self.messages = deque()

    def deliver(self):
        if self.messages:
            method, arguments = self.messages.popleft()
            getattr(self._driver, method)(*arguments)

    def next_batch(self):
        while self.messages:
            self.deliver()
        return super().next_batch()

    def pushed(self, number, receipt):
        self.messages.append(("pushed", (number, receipt)))

    def start(self, proposals):
        self.messages.append(("start", (proposals,)))

    def finish(self, trial, outcome, update, state):
        self.messages.append(("finish", (trial, outcome, update)))


class MortalShards:
    """Shards of which one now and then dies, before or after it has done what it was asked."""

    def __init__(self, site, fate, chance):
        self.site, self.fate, self.chance = site, fate, chance
        self.deaths = 0

    def ask(self, method, calls):
        return {number: self.ask_one(number, method, arguments) for number, arguments in calls.items()}

    def ask_one(self, number, method, arguments):
        while True:
            dies = self.fate.random() < self.chance
            if not dies or self.fate.random() < 0.5:
                answer = getattr(self.site.shards[number], method)(*arguments)
            if not dies:
                return answer
            self.deaths += 1
            self.site.shards[number] = self.site.make_shard(number, self.site.driver.revive(number))
            if self.fate.random() < 0.5 and method == "push" and "answer" in locals():
                return answer  # it had answered just before


class Worker:
    """One replica with its children: each step does one thing of those that may happen next."""

    def __init__(self, site, number, shards):
        self.site, self.number, self.shards = site, number, shards
        self.begin()

    def begin(self):
        self.desk = Mailbox(self.site.driver, self.number)
        self.strategy = self.site.replica(self.shards, self.desk)
        self.out = []

    def die(self):
        self.site.driver.lost(self.number)
        self.begin()

    def step(self, fate):
        act = fate.random()
        if act < 0.3:
            self.desk.deliver()
        elif act < 0.6 and len(self.out) < self.site.cluster.children:
            for proposal in self.strategy.ask(self.site.cluster.children - len(self.out)):
                self.desk.start([(proposal, SPACE.decode(proposal.tokens))])
                self.out.append(proposal)
        elif self.out:
            proposal = self.out.pop(fate.randrange(len(self.out)))
            job = Job(
                id=proposal.id, architecture=SPACE.decode(proposal.tokens), seed=derive_seed(5, "child", proposal.id)
            )
            outcome = evaluate(TABLE, job, lambda epoch, valid: None)
            trial = conclude(proposal, outcome, score(outcome.result))
            update = self.strategy.tell([trial])
            self.desk.finish(trial, outcome, update, None)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("gradients", [1, 3])
def test_replicas_and_shards_may_die_at_any_moment(seed, ahead, gradients):
    """No trial is lost or counted twice, and every shard learns from every whole batch exactly once."""
    fate = random.Random(seed)
    cluster = ClusterSettings(shards=3, replicas=4, children=4, ahead=ahead, gradients_per_update=gradients)
    folder, trials = Folder(), 58
    site = Site(folder, cluster, trials)
    shards = MortalShards(site, fate, 0.05)
    workers = [Worker(site, number, shards) for number in range(cluster.replicas)]
    for _ in range(200_000):
        if site.driver.done:
            break
        worker = fate.choice(workers)
        if fate.random() < 0.01:
            worker.die()
        else:
            worker.step(fate)
    assert site.driver.done
    assert sorted(folder.told) == sorted(folder.begun) == list(range(trials))
    assert shards.deaths > 0
    whole = trials // cluster.children
    assert [taken(shard).numbers() for shard in site.driver.shards] == [[whole]] * 3
    assert [shard.ledger.numbers() for shard in site.shards] == [[whole]] * 3
    assert [shard.weights.updates for shard in site.shards] == [whole // gradients] * 3


def test_staleness_is_noted_with_every_trial_of_the_batch():
    fate = random.Random(1)
    cluster = ClusterSettings(replicas=3, children=4)
    folder = Folder()
    site = Site(folder, cluster, 60)
    workers = [Worker(site, number, LocalShards(site.shards)) for number in range(3)]
    while not site.driver.done:
        fate.choice(workers).step(fate)
    assert folder.notes
    for number in range(15):
        stale = [folder.notes.get(trial_id, {}).get("staleness", 0) for trial_id in range(number * 4, number * 4 + 4)]
        assert len(set(stale)) == 1
        assert 0 <= stale[0] <= 15
    assert len(folder.updates) == 15


def test_a_batch_of_which_nothing_fits_is_noted_before_anything_is_said_of_it():
    """Tried: annotated when its gradient is taken, it is not on disk yet, and a run folder ends the search."""
    folder = Folder()
    site = Site(folder, ClusterSettings(replicas=2, children=2), 12)
    desks = [LocalDesk(site.driver, number) for number in range(2)]
    replicas = [site.replica(LocalShards(site.shards), desk) for desk in desks]
    over = Failure(kind=FailureKind.OVER_BUDGET, message="too large")
    batches = [replica.ask(2) for replica in replicas]
    for replica, desk, proposals in zip(
        replicas, desks, batches, strict=True
    ):  # the second gradient is one update late
        concluded = []
        for proposal in proposals:
            outcome = Outcome(id=proposal.id, result=over, seconds=0.0)
            trial = conclude(proposal, outcome, score(over))
            concluded.append(
                Concluded(
                    proposal=proposal,
                    architecture=SPACE.decode(proposal.tokens),
                    trial=trial,
                    outcome=outcome,
                    update=replica.tell([trial]),
                    state=None,
                )
            )
        desk.pass_over(concluded)
    assert folder.notes == {2: {"staleness": 1}, 3: {"staleness": 1}}


def test_a_batch_whose_children_were_all_lost_is_settled_without_an_update():
    class Lossy(SerialExecutor):
        def wait(self):
            (outcome,) = super().wait()
            if outcome.id // 8 != 1:
                return [outcome]
            return [Outcome(id=outcome.id, result=Failure(kind=FailureKind.LOST, message="gone"), seconds=0.0)]

    def go(strategy, journal, remaining):
        search(
            SPACE, strategy, Lossy(toy_table()), score, journal, Observers(), checkpoint=checkpoint_of(strategy),
            unfinished=(), remaining=remaining, seed=5, max_failures=1000,
        )  # fmt: skip

    folder, other = Folder(), Folder()
    site = Site(folder, ClusterSettings(shards=2), 24)
    desk = LocalDesk(site.driver, 0)
    go(site.replica(LocalShards(site.shards), desk), desk, 2**62)
    assert site.driver.done
    go(first_strategy(), other, 24)
    same(folder, other)
    assert sorted(folder.updates) == [1, 3]


@pytest.mark.slow
@pytest.mark.long
def test_replicas_that_share_a_server_learn():
    """The toy's best network has accuracy 1; asynchronous replicas come as near to it as one does."""
    fate = random.Random(0)
    cluster = ClusterSettings(replicas=4, children=4, shards=2)
    folder = Folder()
    site = Site(folder, cluster, 1600)
    workers = [Worker(site, number, LocalShards(site.shards)) for number in range(4)]
    while not site.driver.done:
        fate.choice(workers).step(fate)
    rewards = [folder.told[number].reward for number in range(1600)]
    assert sum(rewards[-200:]) / 200 > 0.9
    assert sum(rewards[:200]) / 200 < 0.7
