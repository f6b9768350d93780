"""A run as curves for TensorBoard, under ``RUN/tensorboard``: from the store afterwards, or trial by trial.

Either way the same trials in the same order give the same curves, and a resumed search writes them again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from heapq import heappush, heappushpop
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from netwright.errors import UsageError
from netwright.search.executor import Job
from netwright.spaces.architecture import (
    parse_architecture,
)
from netwright.spaces.features import hyperparameters
from netwright.store.rows import TrialRow
from netwright.store.run_folder import RunFolder
from netwright.trial import Outcome, Trial, Update

SHOWN = 100
"""A child gets a curve of its own when, as it finished, it was among so many best: TensorBoard chokes on thousands."""


def tensorboard_is_installed() -> bool:
    """Whether the extra is there."""
    return find_spec("tensorboard") is not None


class TensorBoardCurves:
    """Writes a run's curves; an :class:`netwright.search.loop.Observer`.

    By trial, in the order in which they finished: ``trials/reward``, ``trials/valid``, ``trials/best_reward``. By
    update: ``controller/reward``, ``baseline``, ``entropy`` (nats), ``gradient_norm``. A folder per child, for the best
    ones: its validation number by epoch, and as hyperparameters what it looks like.

    Args:
        folder: The run.
        before: Its finished trials in the order in which they finished, which are written first.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: RunFolder, before: Sequence[TrialRow]) -> None:
        if not tensorboard_is_installed():
            raise UsageError("the curves need TensorBoard: pip install 'netwright[tensorboard]'")
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder.path / "tensorboard"
        shutil.rmtree(self.path, ignore_errors=True)
        self._folder = folder
        self._writer = SummaryWriter(str(self.path))
        self._finished = 0
        self._best_rewards: list[float] = []
        for row in before:
            self._add_trial(row)
        for update, _ in folder.store.updates():
            self._add_update(update)
        self._writer.flush()

    def started(self, job: Job) -> None:
        """See :meth:`Observer.started`."""

    def progressed(self, trial_id: int, epoch: int, valid: float) -> None:
        """See :meth:`Observer.progressed`; a child's curve is written when it has finished."""

    def finished(self, trial: Trial, outcome: Outcome, update: Update | None) -> None:
        """See :meth:`Observer.finished`."""
        self._add_trial(self._folder.store.row(trial.id))
        if update is not None:
            self._add_update(update)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):  # a full disk: the curves are written again at the next session, and the search is done
            self._writer.close()

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

    def _add_trial(self, row: TrialRow) -> None:
        step, self._finished = self._finished, self._finished + 1
        if row.reward is not None:
            self._scalar("trials/reward", row.reward, step)
        if row.valid is None or row.reward is None:
            return
        self._scalar("trials/valid", row.valid, step)
        if len(self._best_rewards) < SHOWN:
            heappush(self._best_rewards, row.reward)
        elif heappushpop(self._best_rewards, row.reward) == row.reward:
            return
        self._scalar("trials/best_reward", max(self._best_rewards), step)
        self._add_child(row)

    def _add_child(self, row: TrialRow) -> None:
        """The curve of a child, and what it looks like."""
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.path / f"trial-{row.id:06d}")) as writer:
            for epoch, valid in enumerate(row.curve, 1):
                writer.add_scalar("child/valid", valid, epoch)
            look = hyperparameters(parse_architecture(row.architecture))
            writer.add_hparams(look, {"reward": row.reward, **row.measured}, run_name=".")

    def _add_update(self, update: Update) -> None:
        for name in ("reward", "baseline", "entropy", "gradient_norm"):
            self._scalar(f"controller/{name}", getattr(update, name), update.number)


def write_curves(folder: RunFolder) -> Path:
    """Writes the curves of a run, finished or under way, again.

    Returns:
        The folder to give to ``tensorboard --logdir``.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    with TensorBoardCurves(folder, folder.store.history().told_rows) as curves:
        return curves.path
