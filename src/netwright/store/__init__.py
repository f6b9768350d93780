"""The store is where trials live: a folder per run with one SQLite file, which one process writes and all may read.

What is on disk is enough to resume a search exactly where it was stopped, at whatever moment that was.

Public names: ``History``, ``RunFolder``, ``TrialRow``, ``TrialStore``, ``best_first``, ``best_trial``, ``run_lock``,
``searched``, ``write_atomically``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.store.files import write_atomically
    from netwright.store.history import History
    from netwright.store.lock import run_lock
    from netwright.store.ranking import best_first, best_trial, searched
    from netwright.store.rows import TrialRow
    from netwright.store.run_folder import RunFolder
    from netwright.store.sqlite import TrialStore

__all__ = [
    "History",
    "RunFolder",
    "TrialRow",
    "TrialStore",
    "best_first",
    "best_trial",
    "run_lock",
    "searched",
    "write_atomically",
]

__getattr__ = lazily(
    __name__,
    {
        "files": ("write_atomically",),
        "history": ("History",),
        "lock": ("run_lock",),
        "ranking": ("best_first", "best_trial", "searched"),
        "rows": ("TrialRow",),
        "run_folder": ("RunFolder",),
        "sqlite": ("TrialStore",),
    },
)
