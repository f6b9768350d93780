"""Neural architecture search with reinforcement learning (Zoph & Le, ICLR 2017).

A recurrent controller writes a string of tokens that describes a neural network, the network is trained, and its
validation result is the reward from which the controller learns.

From Python: ``run_search`` runs a search, with parts of your own where you like; ``from_tensors``, ``from_dataset`` and
``from_texts`` make data of your own; ``load_run`` opens what a search left, whose ``trials()`` are a pandas frame,
whose ``verdict`` says whether something better than hand-drawn networks was found, and whose ``best`` is a ``Network``
to ``train``, ``test`` and ``export``; ``tune`` tries settings of training on it, and ``verdict`` gives a run its answer
later, or one of more trainings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.children.recurrent_cell import NASRNN, NASCell
    from netwright.config import ExperimentConfig
    from netwright.data import from_dataset, from_tensors
    from netwright.data.text import from_texts
    from netwright.library import Run, load_run, run_search, tune, verdict
    from netwright.measure import Measure
    from netwright.networks.network import Network
    from netwright.search.executor import Evaluator, SerialExecutor
    from netwright.search.strategy import Numbered, Strategy
    from netwright.search.verdict import Verdict
    from netwright.spaces.architecture import (
        Architecture,
        ConvArchitecture,
        RecurrentCellArchitecture,
        parse_architecture,
    )
    from netwright.spaces.base import SearchSpace
    from netwright.spaces.choice import ChoiceSpace
    from netwright.spaces.conv import ConvSpace
    from netwright.spaces.grammar import Anchor, Choice, uniform_tokens
    from netwright.spaces.recurrent_cell import RecurrentCellSpace
    from netwright.strategies.by_name import make_strategy
    from netwright.strategies.evolution import Evolution
    from netwright.strategies.local_search import LocalSearch
    from netwright.strategies.random_search import RandomSearch
    from netwright.strategies.reinforce import Reinforce
    from netwright.strategies.replay import ReinforceReplay, ReplaySettings
    from netwright.tasks.kind import Kind
    from netwright.trial import Evaluation, Proposal, State, Trial, Update

__version__ = "0.1.0"

__all__ = [
    "NASRNN",
    "Anchor",
    "Architecture",
    "Choice",
    "ChoiceSpace",
    "ConvArchitecture",
    "ConvSpace",
    "Evaluation",
    "Evaluator",
    "Evolution",
    "ExperimentConfig",
    "Kind",
    "LocalSearch",
    "Measure",
    "NASCell",
    "Network",
    "Numbered",
    "Proposal",
    "RandomSearch",
    "RecurrentCellArchitecture",
    "RecurrentCellSpace",
    "Reinforce",
    "ReinforceReplay",
    "ReplaySettings",
    "Run",
    "SearchSpace",
    "SerialExecutor",
    "State",
    "Strategy",
    "Trial",
    "Update",
    "Verdict",
    "__version__",
    "from_dataset",
    "from_tensors",
    "from_texts",
    "load_run",
    "make_strategy",
    "parse_architecture",
    "run_search",
    "tune",
    "uniform_tokens",
    "verdict",
]

# Imported on first use: the command line should answer before torch could even be loaded.
__getattr__ = lazily(
    __name__,
    {
        "children.recurrent_cell": ("NASCell", "NASRNN"),
        "config": ("ExperimentConfig",),
        "data": ("from_dataset", "from_tensors"),
        "data.text": ("from_texts",),
        "library": ("Run", "load_run", "run_search", "tune", "verdict"),
        "measure": ("Measure",),
        "networks.network": ("Network",),
        "search.executor": ("Evaluator", "SerialExecutor"),
        "search.strategy": ("Numbered", "Strategy"),
        "search.verdict": ("Verdict",),
        "spaces.architecture": ("Architecture", "ConvArchitecture", "RecurrentCellArchitecture", "parse_architecture"),
        "spaces.base": ("SearchSpace",),
        "spaces.choice": ("ChoiceSpace",),
        "spaces.conv": ("ConvSpace",),
        "spaces.grammar": ("Anchor", "Choice", "uniform_tokens"),
        "spaces.recurrent_cell": ("RecurrentCellSpace",),
        "strategies.by_name": ("make_strategy",),
        "strategies.evolution": ("Evolution",),
        "strategies.local_search": ("LocalSearch",),
        "strategies.random_search": ("RandomSearch",),
        "strategies.reinforce": ("Reinforce",),
        "strategies.replay": ("ReinforceReplay", "ReplaySettings"),
        "tasks.kind": ("Kind",),
        "trial": ("Evaluation", "Proposal", "State", "Trial", "Update"),
    },
)
