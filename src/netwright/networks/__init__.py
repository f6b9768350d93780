"""A network is an architecture with its task, its training and its weights: what a person takes home from a search.

``training`` trains it to the end, ``tuning`` tries settings of training on it, ``finding`` finds one by what a person
calls it, ``changed`` tells whether its data are those that it was chosen by, ``lead`` holds a found one against the
best drawn by hand when both are trained to the end.

Public names: ``Lead``, ``Network``, ``find_network``, ``find_trial``, ``load_tensors``, ``save_tensors``,
``training_network``, ``trial_network``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.networks.finding import find_network, find_trial, trial_network
    from netwright.networks.lead import Lead
    from netwright.networks.network import Network, training_network
    from netwright.networks.tensor_file import load_tensors, save_tensors

__all__ = [
    "Lead",
    "Network",
    "find_network",
    "find_trial",
    "load_tensors",
    "save_tensors",
    "training_network",
    "trial_network",
]

__getattr__ = lazily(
    __name__,
    {
        "finding": ("find_network", "find_trial", "trial_network"),
        "lead": ("Lead",),
        "network": ("Network", "training_network"),
        "tensor_file": ("load_tensors", "save_tensors"),
    },
)
