"""The parameter server: the controller's weights in shards, which many replicas pull and send gradients to.

Asynchronous, as in the paper (Zoph & Le 2017, sec. 3.2) and its source (Dean et al. 2012): a gradient is applied to
whatever the weights have become since they were pulled. Nothing here knows about processes or networks; ``ray``
makes an actor of each shard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor

from netwright.config import ClusterSettings, LearnerSettings
from netwright.controller.weights import Gradient, Weights, to_bytes
from netwright.trial import Update


class Ledger:
    """The numbers of the batches whose gradients have been taken in: all up to one, and some beyond it."""

    def __init__(self, first_missing: int = 0, beyond: Iterable[int] = ()) -> None:
        self._first_missing = first_missing
        self._beyond = set(beyond)

    def __contains__(self, number: int) -> bool:
        return number < self._first_missing or number in self._beyond

    def __len__(self) -> int:
        return self._first_missing + len(self._beyond)

    def add(self, number: int) -> None:
        """Takes note of a batch."""
        self._beyond.add(number)
        while self._first_missing in self._beyond:
            self._beyond.remove(self._first_missing)
            self._first_missing += 1

    def numbers(self) -> list[int]:
        """The first one missing, then those beyond it: what a new ledger is made of."""
        return [self._first_missing, *sorted(self._beyond)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A shard as it was at one moment.

    Attributes:
        state: As safetensors; see :meth:`Shard.state`.
        pushes: How many gradients it had taken in.
        incarnation: How often it had died and been restarted from an earlier snapshot.
    """

    state: bytes
    pushes: int
    incarnation: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a gradient.

    Attributes:
        staleness: Updates between the weights it was computed at and those it met.
        refused: Whether that was more than allowed, so that it changes nothing.
        update: The one that it completed; None where more gradients are awaited, or all were empty.
        snapshots: Of each shard right after it.
    """

    staleness: int
    refused: bool = False
    update: Update | None = None
    snapshots: tuple[Snapshot, ...] = ()


class Shard:
    """Some of the controller's weights: gives them out, and takes each batch's gradient once.

    Shards do not wait for each other, so for a moment one may be an update ahead. The first shard besides keeps the
    baseline, numbers the updates, and judges what is too stale.

    Args:
        tensors: The weights by name; changed in place.
        settings: Rates.
        gradients_per_update: So many gradients are averaged for one step of Adam.
        max_staleness: A gradient computed at weights more updates old is refused, and is no update; None refuses none.
        incarnation: See :class:`Snapshot`.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        settings: LearnerSettings,
        *,
        gradients_per_update: int = 1,
        max_staleness: int | None = None,
        incarnation: int = 0,
    ) -> None:
        self.weights = Weights(tensors, settings)
        self.gradients_per_update = gradients_per_update
        self.max_staleness = max_staleness
        self.incarnation = incarnation
        self.ledger = Ledger()
        self._waiting: list[Gradient] = []
        self._receipts: dict[int, Receipt] = {}
        self._refused: set[int] = set()

    def pull(self) -> tuple[dict[str, Tensor], int]:
        """A copy of the weights, and how many updates they have had."""
        return {name: w.detach().clone() for name, w in self.weights.tensors.items()}, self.weights.updates

    def baseline(self) -> float | None:
        """The running estimate of the reward; None before the first one."""
        return self.weights.baseline.value

    def push(self, gradient: Gradient | None, version: int, sequence: int) -> Receipt:
        """Takes a batch's gradient; one that it has already taken changes nothing and gets the same answer again.

        Args:
            gradient: Of this shard's weights; None where the first shard has refused it.
            version: Updates that the weights had had that the gradient was computed at.
            sequence: The batch's number, which it keeps whoever sends it.
        """
        if sequence not in self.ledger:
            self._receipts[sequence] = self._take(gradient, version, sequence)
            self.ledger.add(sequence)
        # What was taken in before a restart has no receipt left: its update is on record since then.
        receipt = self._receipts.get(sequence, Receipt(staleness=0, refused=sequence in self._refused))
        return replace(receipt, snapshots=(self.snapshot(),))

    def snapshot(self) -> Snapshot:
        """The shard as it is."""
        return Snapshot(state=to_bytes(self.state()), pushes=len(self.ledger), incarnation=self.incarnation)

    def _take(self, gradient: Gradient | None, version: int, sequence: int) -> Receipt:
        staleness = max(self.weights.updates - version, 0)  # below 0 after a restart from an earlier snapshot
        if gradient is None or (self.max_staleness is not None and staleness > self.max_staleness):
            # No update: counted as one it would only make all others staler, until none was taken any more.
            self._refused.add(sequence)
            return Receipt(staleness=staleness, refused=True)
        self._waiting.append(gradient)
        update = None
        if len(self._waiting) == self.gradients_per_update:
            update = self.weights.learn(self._waiting)
            self._waiting = []
        return Receipt(staleness=staleness, update=update)

    def state(self) -> dict[str, Tensor]:
        """Everything that what follows depends on, as tensors with flat names.

        It is that of a :class:`~netwright.controller.learner.Learner` where batches have come in order, one per update,
        as they do with one replica.
        """
        state = self.weights.state()
        if self._waiting or self.ledger.numbers() != [self.weights.updates]:
            state["ledger"] = torch.tensor(self.ledger.numbers())
        if self._refused:
            state["refused"] = torch.tensor(sorted(self._refused))
        for place, gradient in enumerate(self._waiting):
            numbers = [gradient.baseline, gradient.entropy, gradient.norm, *gradient.rewards]
            state[f"waiting.{place}"] = torch.tensor(numbers, dtype=torch.float64)
            state |= {
                f"waiting.{place}.{name}": v for name, v in gradient.values.items() if name in self.weights.tensors
            }
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where :meth:`state` was taken, exactly.

        Raises:
            ValueError: The names or shapes are not those of this shard's weights.
        """
        self.weights.load_state(state)
        self.ledger = _ledger(state)
        self._receipts = {}
        self._refused = set(state["refused"].tolist()) if "refused" in state else set()
        self._waiting = []
        while (numbers := state.get(f"waiting.{len(self._waiting)}")) is not None:
            prefix = f"waiting.{len(self._waiting)}."
            values = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
            baseline, entropy, norm, *rewards = numbers.tolist()
            self._waiting.append(
                Gradient(values=values, rewards=tuple(rewards), baseline=baseline, entropy=entropy, norm=norm)
            )


class Shards(Protocol):
    """The way to the shards, wherever they are."""

    def ask(self, method: str, calls: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """Calls a method of some shards, all at the same time, and waits for their answers.

        Args:
            method: Of :class:`Shard`.
            calls: The arguments, by the shard's number.
        """
        ...


class LocalShards:
    """Shards in this process: for tests and for simulations."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards

    def ask(self, method: str, calls: Mapping[int, tuple[Any, ...]]) -> dict[int, Any]:
        """See :meth:`Shards.ask`."""
        return {number: getattr(self._shards[number], method)(*arguments) for number, arguments in calls.items()}


class ParameterServer:
    """All shards as one, as a replica sees them.

    Args:
        shards: The way to them.
        parts: The names of the weights of each; see :func:`divide`.
    """

    def __init__(self, shards: Shards, parts: Sequence[Sequence[str]]) -> None:
        self._shards = shards
        self._parts = parts

    def pull(self) -> tuple[dict[str, Tensor], int]:
        """All weights, and how many updates there have been."""
        answers = self._shards.ask("pull", dict.fromkeys(range(len(self._parts)), ()))
        weights = {name: weight for part, _ in answers.values() for name, weight in part.items()}
        return weights, answers[0][1]

    def baseline(self) -> float | None:
        """The running estimate of the reward, all replicas' together; None before the first one."""
        value: float | None = self._shards.ask("baseline", {0: ()})[0]
        return value

    def push(self, gradient: Gradient, version: int, sequence: int) -> Receipt:
        """Sends a batch's gradient; sent again, it changes nothing. See :meth:`Shard.push`."""
        call = (_part(gradient, self._parts[0]), version, sequence)
        receipt: Receipt = self._shards.ask("push", {0: call})[0]
        calls = {
            n: (None if receipt.refused else _part(gradient, part), version, sequence)
            for n, part in enumerate(self._parts)
            if n > 0
        }
        answers = self._shards.ask("push", calls)
        snapshots = [receipt.snapshots[0], *(answers[number].snapshots[0] for number in calls)]
        return replace(receipt, snapshots=tuple(snapshots))


def _part(gradient: Gradient, names: Sequence[str]) -> Gradient:
    return replace(gradient, values={name: gradient.values[name] for name in names if name in gradient.values})


def divide(tensors: Mapping[str, Tensor], shards: int) -> list[tuple[str, ...]]:
    """Names of weights for each shard, of about equal size; more shards than weights leave some without any."""
    parts: list[list[str]] = [[] for _ in range(shards)]
    sizes = [0] * shards
    for name in sorted(tensors, key=lambda name: (-tensors[name].numel(), name)):
        smallest = sizes.index(min(sizes))
        parts[smallest].append(name)
        sizes[smallest] += tensors[name].numel()
    return [tuple(part) for part in parts]


def make_shard(number: int, snapshot: Snapshot, settings: LearnerSettings, cluster: ClusterSettings) -> Shard:
    """A shard as it once was.

    Args:
        number: From 0.
        snapshot: Of it, or of the initial weights.
        settings: Rates.
        cluster: How gradients are taken.
    """
    state = safetensors.torch.load(snapshot.state)
    weights = {n.removeprefix("policy."): torch.empty_like(w) for n, w in state.items() if n.startswith("policy.")}
    shard = Shard(
        weights,
        settings,
        gradients_per_update=cluster.gradients_per_update,
        max_staleness=cluster.max_staleness if number == 0 else None,
        incarnation=snapshot.incarnation,
    )
    shard.load_state(state)
    return shard


def join_states(snapshots: Sequence[Snapshot]) -> bytes:
    """One checkpoint of all shards, as safetensors, in which the weights stand as in that of one machine.

    Where all shards have taken in the same batches in order, as with one replica, the checkpoint
    is the same, byte for byte, as that of a search on one machine.
    """
    if len(snapshots) == 1:
        return snapshots[0].state
    first, *others = [safetensors.torch.load(snapshot.state) for snapshot in snapshots]
    joined = dict(first)
    for number, state in enumerate(others, 1):
        for name, value in state.items():
            if name.startswith(("policy.", "adam.")):
                joined[name] = value
            elif name != "baseline" and not (name == "updates" and torch.equal(value, first[name])):
                joined[f"shard.{number}.{name}"] = value
    return to_bytes(joined)


def split_state(checkpoint: bytes, parts: Sequence[Sequence[str]]) -> list[Snapshot]:
    """The shards of a checkpoint; the inverse of :func:`join_states`.

    Args:
        checkpoint: As safetensors; that of a search on one machine is one, too.
        parts: The names of each shard's weights; see :func:`divide`.
    """
    joined = safetensors.torch.load(checkpoint)
    snapshots = []
    for number, part in enumerate(parts):
        own = {name for name in joined if name.startswith(("policy.", "adam.")) and _weight(name) in part}
        state = {name: joined[name] for name in own | {"updates", "baseline"} if name in joined}
        if number == 0:
            state |= {
                name: value for name, value in joined.items() if name.startswith(("ledger", "refused", "waiting."))
            }
        prefix = f"shard.{number}."
        state |= {name.removeprefix(prefix): value for name, value in joined.items() if name.startswith(prefix)}
        snapshots.append(Snapshot(state=to_bytes(state), pushes=len(_ledger(state))))
    return snapshots


def taken(snapshot: Snapshot) -> Ledger:
    """Which batches a shard had taken in."""
    return _ledger(safetensors.torch.load(snapshot.state))


def _ledger(state: Mapping[str, Tensor]) -> Ledger:
    first_missing, *beyond = state["ledger"].tolist() if "ledger" in state else [int(state["updates"])]
    return Ledger(first_missing, beyond)


def _weight(name: str) -> str:
    """The weight that a tensor of a state belongs to: ``policy.NAME`` or ``adam.KEY.NAME``."""
    return name.split(".", 1 if name.startswith("policy.") else 2)[-1]
