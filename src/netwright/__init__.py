"""Neural architecture search with reinforcement learning (Zoph & Le, ICLR 2017).

A recurrent controller writes a string of tokens that describes a neural network, the network is trained, and its
validation result is the reward from which the controller learns.

From Python: ``run_search`` runs a search, with parts of your own where you like; ``from_tensors`` and
``from_dataset`` make data of your own; ``load_run`` opens what a search left, whose ``trials()`` are a pandas frame and
whose ``best.build()`` is the best network as a ``torch.nn.Module``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netwright.data import from_dataset, from_tensors
    from netwright.library import Run, load_run, run_search
    from netwright.networks.network import Network

__version__ = "0.1.0"

__all__ = ["Network", "Run", "__version__", "from_dataset", "from_tensors", "load_run", "run_search"]

_HOMES = {
    "Network": "netwright.networks.finding",
    "Run": "netwright.library",
    "from_dataset": "netwright.data",
    "from_tensors": "netwright.data",
    "load_run": "netwright.library",
    "run_search": "netwright.library",
}


def __getattr__(name: str) -> object:
    # Imported on first use: the command line should answer before torch could even be loaded.
    if name not in _HOMES:
        raise AttributeError(f"module 'netwright' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
