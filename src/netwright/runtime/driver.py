"""The driver of a search by many replicas: it deals out the batches, and is the only one that writes the store."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from netwright.runtime.parameter_server import Receipt, Snapshot, join_states, taken
from netwright.runtime.replica import Batch
from netwright.search.executor import Job
from netwright.search.loop import Observer
from netwright.seeding import child_seed
from netwright.spaces.architecture import Architecture
from netwright.trial import Concluded, Outcome, Proposal, Trial, Update


class Annals(Protocol):
    """What a driver writes down: trials as a journal of a search does, and what turns out later about finished ones."""

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`."""
        ...

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """See :meth:`netwright.search.loop.Journal.finish`."""
        ...

    def annotate(self, ids: Sequence[int], notes: Mapping[str, float]) -> None:
        """Adds notes to trials; what they were worth does not change."""
        ...


class Driver:
    """Deals out every batch to one replica at a time, until each is finished and learnt from.

    A batch keeps its number whoever works on it; the trials of batch ``n`` are those from ``n * batch`` on. So the
    number of trials is exact, and what a dead replica leaves behind, or an earlier session, is dealt out again as it
    stands.

    Args:
        journal: The run folder.
        observer: Is shown everything.
        begun: The trials that there are, as they were proposed.
        told: Those of them that are finished.
        trials: How many there are to be in all.
        batch: Architectures per gradient.
        shards: As the last checkpoint has them, or the initial ones.
        deadline: By the monotonic clock, in seconds; no new trial is dealt out after it.
        seed: The run's.
    """

    def __init__(
        self,
        journal: Annals,
        observer: Observer,
        *,
        begun: Sequence[Proposal] = (),
        told: Sequence[Trial] = (),
        trials: int,
        batch: int,
        shards: Sequence[Snapshot],
        deadline: float,
        seed: int,
    ) -> None:
        self._journal = journal
        self._observer = observer
        self._begun = {proposal.id: proposal for proposal in begun}
        self._told = {trial.id: trial for trial in told}
        self._trials = trials
        self._batch = batch
        self._deadline = deadline
        self._seed = seed
        self.shards = list(shards)
        self._forgotten: set[int] = set()
        self._staleness: dict[int, int] = {}
        self._dealt: dict[int, tuple[int, Batch]] = {}
        batches = range(-(-max([trials, *(trial_id + 1 for trial_id in self._begun)]) // batch))
        ledgers = [taken(shard) for shard in shards]
        self._learnt = {number for number in batches if all(number in ledger for ledger in ledgers)}
        self._queue = deque(number for number in batches if not self._is_settled(number))

    def _ids(self, number: int) -> tuple[int, ...]:
        """The trials of a batch: those that there are and, until the deadline, those that there are to be."""
        end = self._trials if time.monotonic() < self._deadline else 0
        ids = range(number * self._batch, (number + 1) * self._batch)
        return tuple(trial_id for trial_id in ids if trial_id in self._begun or trial_id < end)

    def _is_settled(self, number: int) -> bool:
        """Whether nothing is left to do for a batch that nobody works on."""
        ids = self._ids(number)
        finished = all(trial_id in self._told for trial_id in ids)
        return finished and (len(ids) < self._batch or number in self._learnt)

    @property
    def waiting(self) -> bool:
        """Whether there is a batch that nobody works on."""
        return not all(map(self._is_settled, self._queue))

    @property
    def done(self) -> bool:
        """Whether every batch is finished and learnt from."""
        return not self._dealt and not self.waiting

    def next_batch(self, replica: int) -> Batch | None:
        """Deals out a batch; see :meth:`Desk.next_batch`."""
        while self._queue:
            number = self._queue.popleft()
            if not self._is_settled(number):
                ids = self._ids(number)
                begun = tuple(self._begun[trial_id] for trial_id in ids if trial_id in self._begun)
                told = tuple(self._told[trial_id] for trial_id in ids if trial_id in self._told)
                batch = Batch(number=number, ids=ids, begun=begun, told=told)
                self._dealt[number] = replica, batch
                return batch
        return None

    def lost(self, replica: int) -> None:
        """Takes back the batches of a replica that has died."""
        for number in sorted((n for n, (holder, _) in self._dealt.items() if holder == replica), reverse=True):
            del self._dealt[number]
            self._queue.appendleft(number)

    def revive(self, shard: int) -> Snapshot:
        """What to make a shard from that has died; what it took in after that counts no more."""
        last = self.shards[shard]
        self.shards[shard] = replace(last, incarnation=last.incarnation + 1)
        return self.shards[shard]

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`."""
        self._journal.start(proposals)
        for proposal, architecture in proposals:
            self._begun[proposal.id] = proposal
            seed = child_seed(self._seed, proposal.id)
            self._observer.started(Job(id=proposal.id, architecture=architecture, seed=seed))

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`netwright.search.loop.Observer.progressed`."""
        self._observer.progressed(trial_id, epoch, valid)

    def pushed(self, number: int, receipt: Receipt) -> None:
        """See :meth:`Desk.pushed`."""
        kept = [self._keep(shard, number, snapshot) for shard, snapshot in enumerate(receipt.snapshots)]
        if all(kept):
            self._learnt.add(number)
        if not kept[0]:
            self._forgotten.add(number)
        if receipt.staleness:
            self._staleness[number] = receipt.staleness
        self._close(number)

    def _keep(self, shard: int, number: int, snapshot: Snapshot) -> bool:
        """Whether a shard will remember a batch whatever happens; keeps the snapshot if it is the newest."""
        last = self.shards[shard]
        if snapshot.incarnation != last.incarnation:
            return number in taken(last)
        self.shards[shard] = max(last, snapshot, key=lambda one: one.pushes)
        return True

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """Writes down a finished trial, with the checkpoint of the update that it brought about."""
        number = trial.id // self._batch
        if update is not None and number in self._forgotten:
            self._forgotten.remove(number)
            update = None
        self._told[trial.id] = trial
        self._journal.finish(trial, outcome, update, None if update is None else join_states(self.shards))
        self._observer.finished(trial, outcome, update)
        self._close(number)

    def _close(self, number: int) -> None:
        """Ends a batch whose trials are all finished; one that a shard has not learnt from is dealt out again."""
        _, batch = self._dealt[number]
        if all(trial_id in self._told for trial_id in batch.ids):
            if staleness := self._staleness.pop(number, 0):  # of trials that are on disk by now, also where none fitted
                self._journal.annotate(batch.ids, {"staleness": staleness})
            del self._dealt[number]
            if not self._is_settled(number):
                self._queue.appendleft(number)


class LocalDesk:
    """Desk, journal and observer of a replica in the driver's own process: for tests and for simulations.

    Args:
        driver: Has the work.
        replica: The replica's number.
    """

    def __init__(self, driver: Driver, replica: int) -> None:
        self._driver = driver
        self._replica = replica

    def next_batch(self) -> Batch | None:
        """See :meth:`Desk.next_batch`."""
        return self._driver.next_batch(self._replica)

    def pushed(self, number: int, receipt: Receipt) -> None:
        """See :meth:`Desk.pushed`."""
        self._driver.pushed(number, receipt)

    def start(self, proposals: Sequence[tuple[Proposal, Architecture]]) -> None:
        """See :meth:`netwright.search.loop.Journal.start`."""
        self._driver.start(proposals)

    def finish(self, trial: Trial, outcome: Outcome, update: Update | None, state: bytes | None) -> None:
        """See :meth:`netwright.search.loop.Journal.finish`; the state comes with what was pushed."""
        self._driver.finish(trial, outcome, update)

    def pass_over(self, concluded: Sequence[Concluded]) -> None:
        """See :meth:`netwright.search.loop.Journal.pass_over`."""
        for one in concluded:
            self.start([(one.proposal, one.architecture)])
            self.finish(one.trial, one.outcome, one.update, one.state)

    def started(self, job: Job) -> None:
        """The driver knows: see :meth:`start`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`."""
        self._driver.progressed(trial_id, epoch, valid)

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """The driver knows: see :meth:`finish`."""
