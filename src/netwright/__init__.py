"""Neural architecture search with reinforcement learning (Zoph & Le, ICLR 2017).

A recurrent controller writes a string of tokens that describes a neural network, the network is trained, and its
validation result is the reward from which the controller learns.

From Python: ``run_search`` runs a search, with parts of your own where you like; ``from_tensors`` and
``from_dataset`` make data of your own; ``RunFolder`` opens what a search left. Of that, ``summarize`` tells in text,
``best_architecture`` gives the best, and ``build_network`` makes it a ``torch.nn.Module``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netwright.data import from_dataset, from_tensors
    from netwright.library import best_architecture, build_network, run_search, summarize
    from netwright.store.run_folder import RunFolder

__version__ = "0.1.0"

__all__ = [
    "RunFolder",
    "__version__",
    "best_architecture",
    "build_network",
    "from_dataset",
    "from_tensors",
    "run_search",
    "summarize",
]

_HOMES = {
    "RunFolder": "netwright.store.run_folder",
    "best_architecture": "netwright.library",
    "build_network": "netwright.library",
    "from_dataset": "netwright.data",
    "from_tensors": "netwright.data",
    "run_search": "netwright.library",
    "summarize": "netwright.library",
}


def __getattr__(name: str) -> object:
    # Imported on first use: the command line should answer before torch could even be loaded.
    if name not in _HOMES:
        raise AttributeError(f"module 'netwright' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
