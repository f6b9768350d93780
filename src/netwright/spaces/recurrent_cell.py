"""The recurrent-cell search space: a complete binary tree over input and state (Zoph & Le 2017, sec. 3.4 and 4.2).

Nodes are numbered level by level, leaves first: of base B, 0 to B-1 are the leaves and 2B-2 is the root.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import ClassVar, Literal, cast

from pydantic import ConfigDict

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import Activation, Architecture, CellNode, Combination, RecurrentCellArchitecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.effect import effect
from netwright.spaces.grammar import Choice, Plan, Tokens, check_options, check_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class RecurrentCellSpace(SearchSpace):
    """Recurrent cells of one base, in the paper's order of decisions (Figure 5).

    A combination and an activation per node, the same two for the injection of the memory state, then the node that
    gives the new memory state and the node that receives the old one: 2(2B-1) + 4 tokens.

    Attributes:
        kind: Tells spaces apart in a configuration file.
        base: The number of leaves B; a power of two.
        combinations: Options for joining two values; the paper's control experiment adds ``max``.
        activations: Options for what follows; the paper's control experiment adds ``sin``.
        shared_heads: Whether a controller shares one head and embedding among all combinations, and one among all
            activations. Otherwise every position has its own.
    """

    # Read by pydantic where a space stands in a configuration file.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: Literal["recurrent_cell"] = "recurrent_cell"
    base: int = 8
    combinations: tuple[Combination, ...] = ("add", "elem_mult")
    activations: tuple[Activation, ...] = ("identity", "tanh", "sigmoid", "relu")
    shared_heads: bool = True

    def __post_init__(self) -> None:
        if not (2 <= self.base <= 64 and self.base & (self.base - 1) == 0):
            raise ValueError(f"base: expected a power of two from 2 to 64, got {self.base}")
        check_options("combinations", self.combinations)
        check_options("activations", self.activations)

    def plan(self, size: int | None = None) -> Plan:
        """The decisions of a cell; all cells of a space have one size, which is ignored."""
        return tuple(self._decisions())

    def _decisions(self) -> Iterator[Choice]:
        nodes = 2 * self.base - 1
        for place in [*map(str, range(nodes)), "inject"]:
            suffix = "" if self.shared_heads else f"_{place}"
            yield Choice(f"combination{suffix}", self.combinations)
            yield Choice(f"activation{suffix}", self.activations)
        # Both indices range over all nodes: only that gives the paper's "about 6e16" cells of base 8.
        yield Choice("c_index", tuple(range(nodes)))
        yield Choice("c_prev_index", tuple(range(nodes)))

    def decode(self, tokens: Sequence[int]) -> RecurrentCellArchitecture:
        """The cell that ``tokens`` describe; see :meth:`SearchSpace.decode`."""
        plan = tuple(self._decisions())
        tokens = check_tokens(plan, tokens)
        *pairs, c_index, c_prev_index = (choice.options[token] for choice, token in zip(plan, tokens, strict=True))
        *nodes, inject = zip(pairs[::2], pairs[1::2], strict=True)
        return RecurrentCellArchitecture(
            base=self.base,
            nodes=cast(tuple[CellNode, ...], tuple(nodes)),
            inject=cast(CellNode, inject),
            c_index=cast(int, c_index),
            c_prev_index=cast(int, c_prev_index),
        )

    def encode(self, architecture: Architecture) -> Tokens:
        """The tokens of a cell of this space; see :meth:`SearchSpace.encode`."""
        if not isinstance(architecture, RecurrentCellArchitecture):
            raise ArchitectureError(f"expected a recurrent cell, got kind {architecture.kind!r}")
        if architecture.base != self.base:
            raise ArchitectureError(f"expected a cell of base {self.base}, got base {architecture.base}")
        pairs = (*architecture.nodes, architecture.inject)
        options = [option for pair in pairs for option in pair]
        meanings = [*options, architecture.c_index, architecture.c_prev_index]
        return tuple(choice.token(meaning) for choice, meaning in zip(self._decisions(), meanings, strict=True))

    def effect(self, architecture: Architecture) -> Hashable:
        """What a cell computes; see :func:`netwright.spaces.effect.effect`."""
        if not isinstance(architecture, RecurrentCellArchitecture):
            raise ArchitectureError(f"expected a recurrent cell, got kind {architecture.kind!r}")
        return effect(architecture)

    def nearest_form(self, tokens: Tokens, other: Tokens) -> Tokens:
        """The commuted form of ``other`` that is most like ``tokens``; see :meth:`SearchSpace.nearest_form`."""

        @cache
        def match(node: int, theirs: int) -> tuple[int, dict[int, int]]:
            """In how many decisions two subtrees differ at least, and which of their nodes then stands for which."""
            differ = sum(tokens[2 * node + part] != other[2 * theirs + part] for part in range(2))
            # An index that is elsewhere is a decision, wherever it is; so one that is not is a decision less.
            differ -= sum(tokens[part] == node and other[part] == theirs for part in (-2, -1))
            if node < self.base:
                return differ, {node: theirs}
            left, right = children(self.base, node)
            one, another = children(self.base, theirs)
            straight = (match(left, one), match(right, another))
            swapped = (match(left, another), match(right, one))
            (fewest, below), (fewest_too, below_too) = min(straight, swapped, key=lambda pair: pair[0][0] + pair[1][0])
            return differ + fewest + fewest_too, {node: theirs, **below, **below_too}

        root = 2 * self.base - 2
        stands_for = match(root, root)[1]
        place = {theirs: node for node, theirs in stands_for.items()}
        nodes = [token for node in range(root + 1) for token in other[2 * stands_for[node] : 2 * stands_for[node] + 2]]
        *_, c_index, c_prev_index = other  # tokens of nodes are the nodes
        return (*nodes, *other[-4:-2], place[c_index], place[c_prev_index])

    def names(self) -> tuple[str, ...]:
        """What each decision is about; see :meth:`SearchSpace.names`."""
        places = [*(f"node {node}" for node in range(2 * self.base - 1)), "the old memory's way in"]
        pairs = [f"{part} of {place}" for place in places for part in ("combination", "activation")]
        return (*pairs, "node that gives the new memory", "node that receives the old memory")

    def cross(self, tokens: Tokens, donor: Tokens, random: Random) -> Tokens:
        """``tokens`` with a subtree of ``donor`` in the place of one of as many nodes; see :class:`Crossable`.

        All sizes below the whole tree are equally likely, and all places. What the donor's subtree has to do with the
        memory comes along: a subtree that gives the new memory state, or receives the old one, does so in its new
        place, too. Otherwise the indices stay where they were.
        """
        levels = list(_levels(self.base))[:-1]
        level = random.choice(levels)
        target, source = random.choice(level), random.choice(level)
        place = dict(zip(subtree(self.base, source), subtree(self.base, target), strict=True))
        crossed = list(tokens)
        for theirs, ours in place.items():
            crossed[2 * ours : 2 * ours + 2] = donor[2 * theirs : 2 * theirs + 2]
        *_, c_index, c_prev_index = donor  # the tokens of both are nodes
        if c_index in place:
            crossed[-2] = place[c_index]
        if c_prev_index in place:
            crossed[-1] = place[c_prev_index]
            crossed[-4:-2] = donor[-4:-2]  # how the old memory comes in
        return tuple(crossed)

    def canonical(self, architecture: Architecture) -> Architecture:
        """The one of the 2^(B-1) commuted forms whose subtrees stand in ascending order.

        Combinations commute, so swapping the children of a node changes nothing but the place of the weights: block
        ``i`` of the canonical cell's weight matrices is block ``tree_order(architecture)[i]`` of the given cell's.
        """
        if not isinstance(architecture, RecurrentCellArchitecture):
            raise ArchitectureError(f"expected a recurrent cell, got kind {architecture.kind!r}")
        order = tree_order(architecture)
        return architecture.model_copy(
            update={
                "nodes": tuple(architecture.nodes[node] for node in order),
                "c_index": order.index(architecture.c_index),
                "c_prev_index": order.index(architecture.c_prev_index),
            }
        )


def children(base: int, node: int) -> tuple[int, int]:
    """The two nodes that internal node ``node`` combines."""
    left = 2 * (node - base)
    return left, left + 1


def parent(base: int, node: int) -> int:
    """The node that combines ``node`` with its sibling."""
    return base + node // 2


def leaves_below(base: int, node: int) -> range:
    """The leaves of the subtree under ``node``; a leaf is its own."""
    first = last = node
    while first >= base:
        first, last = children(base, first)[0], children(base, last)[1]
    return range(first, last + 1)


def subtree(base: int, node: int) -> list[int]:
    """``node`` and all nodes below it, level by level; subtrees of one height have corresponding nodes in one place."""
    nodes = [node]
    for above in nodes:  # grows while it is gone through
        nodes += children(base, above) if above >= base else ()
    return nodes


def merged_nodes(cell: RecurrentCellArchitecture) -> frozenset[int]:
    """The nodes that a cell can do without when leaves that are added up share one product.

    (W1 x + U1 h) + (W2 x + U2 h) is what one leaf can say, too. So of the leaves that add, and that reach one sum
    through nothing but sums, the first stays for all. A node whose two operands are gone is gone as well, and one with
    a single operand takes it as it is. What is the memory state, or meets the old one, is no part of a larger sum.
    """
    merged: set[int] = set()
    first: dict[int, int] = {}  # by node that adds: the leaf that stays for all that it adds up
    for node, (combination, _) in enumerate(cell.nodes):
        if combination != "add":
            continue
        if node < cell.base:
            first[node] = node
            continue
        summed = [
            child
            for child in children(cell.base, node)
            if cell.nodes[child][1] == "identity" and child not in (cell.c_index, cell.c_prev_index)
        ]
        below = [first[child] for child in summed if child in first]
        if below:
            first[node] = below[0]
            merged.update(below[1:])
    inner = range(cell.base, len(cell.nodes))
    return frozenset(merged) | {node for node in inner if merged.issuperset(leaves_below(cell.base, node))}


def own_leaves(cell: RecurrentCellArchitecture, merged: frozenset[int]) -> tuple[int, ...]:
    """The leaves that have products of their own, in order."""
    return tuple(leaf for leaf in range(cell.base) if leaf not in merged)


def operands(cell: RecurrentCellArchitecture, node: int, merged: frozenset[int]) -> tuple[int, ...]:
    """The nodes that an internal node combines, or the one that it takes as it is."""
    return tuple(child for child in children(cell.base, node) if child not in merged)


def _levels(base: int) -> Iterator[range]:
    """The nodes of each level, the leaves first."""
    first, width = 0, base
    while width:
        yield range(first, first + width)
        first, width = first + width, width // 2


def tree_order(cell: RecurrentCellArchitecture) -> tuple[int, ...]:
    """For each position of the canonical form the node of ``cell`` that stands there, leaves first."""
    # A node's key holds all that its subtree says, so equal keys are equal subtrees and their order does not matter.
    keys: list[tuple[object, ...]] = []
    for node, operation in enumerate(cell.nodes):
        own = (*operation, node == cell.c_index, node == cell.c_prev_index)
        below = sorted(keys[child] for child in children(cell.base, node)) if node >= cell.base else []
        keys.append((*own, *below))
    levels = [[len(cell.nodes) - 1]]
    while levels[-1][0] >= cell.base:
        levels.append(
            [child for node in levels[-1] for child in sorted(children(cell.base, node), key=keys.__getitem__)]
        )
    return tuple(node for level in reversed(levels) for node in level)


def equations(cell: RecurrentCellArchitecture, merged: frozenset[int] = frozenset()) -> tuple[str, ...]:
    """The cell as text, one equation per line, in the order in which they are computed.

    ``W{i} x`` and ``U{i} h`` are the blocks of the input and the recurrent product, ``c'`` the previous memory state,
    ``*`` works element by element. Nodes of ``merged`` are left out. The last two lines give the new memory state and
    the output.
    """
    lines: list[str] = []
    for node, (combination, activation) in enumerate(cell.nodes):
        if node in merged:
            continue
        if node < cell.base:
            values = [f"W{node} x", f"U{node} h"]
        else:
            values = [_output(cell, child) for child in operands(cell, node, merged)]
        value = _joined(combination, *values) if len(values) == 2 else values[0]
        if node == cell.c_index:
            lines.append(f"c = {value}")
            value = "c"
        lines.append(f"a{node} = {_applied(activation, value)}")
        if node == cell.c_prev_index:
            combination, activation = cell.inject
            injected = _joined(combination, f"a{node}", "c'")
            lines.append(f"a{node}' = {_applied(activation, injected)}")
    return (*lines, f"h = {_output(cell, len(cell.nodes) - 1)}")


def _output(cell: RecurrentCellArchitecture, node: int) -> str:
    return f"a{node}'" if node == cell.c_prev_index else f"a{node}"


def _joined(combination: Combination, left: str, right: str) -> str:
    match combination:
        case "add":
            return f"{left} + {right}"
        case "elem_mult":
            return f"{left} * {right}"
        case "max":
            return f"max({left}, {right})"


def _applied(activation: Activation, value: str) -> str:
    return value if activation == "identity" else f"{activation}({value})"
