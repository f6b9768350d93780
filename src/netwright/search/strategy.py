"""What a search asks of whoever proposes architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from netwright.spaces.grammar import Tokens
from netwright.trial import Proposal, Trial, Update

Curriculum = Callable[[int], int | None]
"""Trial number -> size of the architecture to propose (None: the space's full size)."""


class Strategy(Protocol):
    """Proposes tokens and is told what came of them; sees tokens and rewards only.

    A strategy is a deterministic function of its settings, its seed and the trials it was told, in the order it was
    told them. That is the whole of its state: ``restore`` on a fresh instance brings it back, which is how a search
    resumes. Random numbers for trial ``i`` come from a stream derived from the seed and ``i``.

    ``netwright.testing.strategies`` has the contract suite.
    """

    def ask(self, count: int) -> list[Proposal]:
        """At most ``count`` new proposals, numbered on from the last one; none while it waits to be told."""
        ...

    def tell(self, trials: Sequence[Trial]) -> Update | None:
        """Learns from finished trials, which may come in any order.

        Returns:
            What a controller's update looked like, where these trials brought one about.
        """
        ...

    def restore(self, told: Sequence[Trial], next_id: int) -> None:
        """Brings a fresh instance to where another one was.

        Args:
            told: The trials the other was told, in that order.
            next_id: The number of its next proposal.
        """
        ...


@runtime_checkable
class Informed(Strategy, Protocol):
    """A strategy that can begin from networks whose reward is known, such as those that people draw."""

    def begin(self, known: Sequence[tuple[Tokens, float]]) -> None:
        """Takes them in, as tokens of full size with their rewards; on a fresh instance, before anything else."""
        ...


@runtime_checkable
class Checkpointed(Strategy, Protocol):
    """A strategy for which telling everything anew takes long enough to be worth a checkpoint after each update."""

    def state(self) -> bytes:
        """What the last update left, as safetensors."""
        ...

    def load_state(self, state: bytes) -> None:
        """Takes over another instance's state, before ``restore`` repeats what came after it.

        Raises:
            ValueError: The state is not of such a strategy.
        """
        ...
