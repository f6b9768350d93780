"""A search space is a set of architectures together with the grammar that writes them as tokens, one per decision.

An architecture is data: layers and skip connections, or a recurrent cell, with canonical JSON and a content hash,
without weights and without torch.

Public names: ``Anchor``, ``Architecture``, ``Budget``, ``Choice``, ``ChoiceArchitecture``, ``ChoiceSpace``, ``Change``,
``ConvArchitecture``, ``ConvLayer``, ``ConvSpace``, ``Cost``, ``Crossable``, ``FilledSpace``, ``PUBLISHED``, ``Plan``,
``REFERENCES``, ``RecurrentCellArchitecture``, ``RecurrentCellSpace``, ``SearchSpace``, ``Shape``, ``Tokens``,
``architecture_svg``, ``changes``, ``draw``, ``geometry``, ``parse_architecture``, ``reference``, ``uniform_tokens``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netwright.lazy import lazily

if TYPE_CHECKING:
    from netwright.spaces.architecture import (
        Architecture,
        ChoiceArchitecture,
        ConvArchitecture,
        ConvLayer,
        RecurrentCellArchitecture,
        parse_architecture,
    )
    from netwright.spaces.base import Crossable, SearchSpace
    from netwright.spaces.choice import ChoiceSpace
    from netwright.spaces.conv import ConvSpace
    from netwright.spaces.cost import Cost, Shape, geometry
    from netwright.spaces.diagram import draw
    from netwright.spaces.difference import Change, changes
    from netwright.spaces.fill import Budget, FilledSpace
    from netwright.spaces.grammar import Anchor, Choice, Plan, Tokens, uniform_tokens
    from netwright.spaces.published import PUBLISHED
    from netwright.spaces.recurrent_cell import RecurrentCellSpace
    from netwright.spaces.references import REFERENCES, reference
    from netwright.spaces.svg import architecture_svg

__all__ = [
    "PUBLISHED",
    "REFERENCES",
    "Anchor",
    "Architecture",
    "Budget",
    "Change",
    "Choice",
    "ChoiceArchitecture",
    "ChoiceSpace",
    "ConvArchitecture",
    "ConvLayer",
    "ConvSpace",
    "Cost",
    "Crossable",
    "FilledSpace",
    "Plan",
    "RecurrentCellArchitecture",
    "RecurrentCellSpace",
    "SearchSpace",
    "Shape",
    "Tokens",
    "architecture_svg",
    "changes",
    "draw",
    "geometry",
    "parse_architecture",
    "reference",
    "uniform_tokens",
]

__getattr__ = lazily(
    __name__,
    {
        "architecture": (
            "Architecture",
            "ChoiceArchitecture",
            "ConvArchitecture",
            "ConvLayer",
            "RecurrentCellArchitecture",
            "parse_architecture",
        ),
        "base": ("Crossable", "SearchSpace"),
        "choice": ("ChoiceSpace",),
        "conv": ("ConvSpace",),
        "cost": ("Cost", "Shape", "geometry"),
        "diagram": ("draw",),
        "difference": ("Change", "changes"),
        "fill": ("Budget", "FilledSpace"),
        "grammar": ("Anchor", "Choice", "Plan", "Tokens", "uniform_tokens"),
        "published": ("PUBLISHED",),
        "recurrent_cell": ("RecurrentCellSpace",),
        "references": ("REFERENCES", "reference"),
        "svg": ("architecture_svg",),
    },
)
