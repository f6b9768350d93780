"""Carrying a trained controller over to another search (the open question of Zoph & Le 2017, sec. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from netwright.controller.policy import Policy
from netwright.errors import UsageError

LSTM = ""
"""Stands for the weights that serve all decisions; no kind of decision has an empty name."""


@dataclass(frozen=True, slots=True)
class TransferReport:
    """What a controller took over from another.

    Attributes:
        carried: Kinds of decisions whose embedding and head were taken over; the LSTM always is.
        left_out: The other kinds of either controller, each with the reason.
    """

    carried: tuple[str, ...]
    left_out: tuple[str, ...]


def transfer(source: Mapping[str, Tensor], policy: Policy) -> TransferReport:
    """Gives ``policy`` the weights of another controller wherever the two take the same decisions.

    Decisions are the same when their kind and number of options are. The optimiser's memory and the baseline stay
    behind: they belong to the old objective.

    Args:
        source: The other controller's :meth:`Learner.state`.
        policy: Changed in place; not at all when refused.

    Raises:
        UsageError: The LSTMs differ in size, or no decision agrees, so that there is nothing to carry.
    """
    theirs = _by_kind({name.removeprefix("policy."): w for name, w in source.items() if name.startswith("policy.")})
    ours = _by_kind(dict(policy.named_parameters()))
    alike = [kind for kind in ours if _shapes(ours[kind]) == _shapes(theirs.get(kind, {}))]
    if LSTM not in alike:
        raise UsageError(
            f"this controller cannot be taken over: expected {len(policy.cells)} LSTM layers of {policy.hidden} units, "
            "as here; set controller.layers and controller.hidden to its sizes"
        )
    alike.remove(LSTM)
    if not alike:
        raise UsageError(
            f"this controller cannot be taken over: it decides {_list(theirs)}, but this space {_list(ours)}; no "
            "decision has the same name and number of options, so nothing would carry over"
        )
    with torch.no_grad():
        for kind in (LSTM, *alike):
            for name, parameter in ours[kind].items():
                parameter.copy_(theirs[kind][name])
    differing = [f"{kind}: different options" for kind in ours if kind in theirs and kind not in (LSTM, *alike)]
    new = [f"{kind}: not decided there" for kind in ours if kind not in theirs]
    dropped = [f"{kind}: not decided here" for kind in theirs if kind not in ours]
    return TransferReport(carried=tuple(alike), left_out=(*differing, *new, *dropped))


def _by_kind(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Weights by the kind of decision they serve; those that serve all stand under ``LSTM``."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, weight in weights.items():
        part, _, rest = name.partition(".")
        kind = rest.partition(".")[0] if part in ("embeddings", "heads") else LSTM
        groups.setdefault(kind, {})[name] = weight
    return groups


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}


def _list(kinds: Mapping[str, object]) -> str:
    return ", ".join(kind for kind in kinds if kind != LSTM)
