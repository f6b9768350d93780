"""The contract of a search space, as tests: subclass :class:`SpaceContract` in a test file, say how yours is made."""

# ruff: noqa: D102  the tests' names are their sentences

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import isfinite
from random import Random

import pytest

from netwright.errors import ArchitectureError
from netwright.spaces.architecture import Architecture, ChoiceArchitecture
from netwright.spaces.base import Crossable, SearchSpace
from netwright.spaces.difference import changes
from netwright.spaces.grammar import Anchor, Choice, Plan, Tokens, check_tokens, uniform_tokens

FOREIGN = ChoiceArchitecture(space="of somebody else", choices=(("colour", "green"),))


class SpaceContract(ABC):
    """What every search space promises.

    Attributes:
        sizes: Sizes of architecture that the space has; None is the full size.
        samples: Random strings tried per size.
    """

    sizes: tuple[int | None, ...] = (None,)
    samples = 50

    @abstractmethod
    def make(self) -> SearchSpace:
        """A space."""

    def strings(self) -> Iterator[tuple[SearchSpace, Plan, Tokens]]:
        """Random strings of every size."""
        space, random = self.make(), Random(0)
        for size in self.sizes:
            plan = space.plan(size)
            for _ in range(self.samples):
                yield space, plan, uniform_tokens(plan, random)

    def test_a_plan_depends_on_the_size_alone(self) -> None:
        for size in self.sizes:
            plan = self.make().plan(size)
            assert plan == self.make().plan(size)
            assert plan, "a plan without decisions leaves nothing to search"

    def test_a_string_tells_its_plan(self) -> None:
        for space, plan, tokens in self.strings():
            assert space.plan_of(tokens) == plan

    def test_decisions_of_one_kind_share_their_options(self) -> None:
        options: dict[str, tuple[object, ...]] = {}
        for size in self.sizes:
            for decision in self.make().plan(size):
                known = decision.options if isinstance(decision, Choice) else ("anchor",)
                assert options.setdefault(decision.kind, known) == known

    def test_anchors_count_the_anchors_before_them(self) -> None:
        for size in self.sizes:
            anchors = [decision for decision in self.make().plan(size) if isinstance(decision, Anchor)]
            assert [anchor.earlier for anchor in anchors] == list(range(len(anchors)))

    def test_every_string_decodes_to_an_architecture_that_encodes_to_it(self) -> None:
        for space, plan, tokens in self.strings():
            architecture = space.decode(tokens)
            again = space.encode(architecture)
            assert check_tokens(plan, again) == again
            assert space.decode(again) == architecture
            assert again == tokens, "two strings for one architecture: override canonical() rather than encode()"

    def test_decoding_is_repeatable(self) -> None:
        for space, _, tokens in self.strings():
            assert space.decode(tokens).digest == self.make().decode(list(tokens)).digest

    def test_an_architecture_survives_its_json(self) -> None:
        for space, _, tokens in self.strings():
            architecture = space.decode(tokens)
            assert type(architecture).model_validate_json(architecture.canonical_json()) == architecture

    def test_canonical_is_idempotent_and_stays_in_the_space(self) -> None:
        for space, _, tokens in self.strings():
            canonical = space.canonical(space.decode(tokens))
            assert space.canonical(canonical) == canonical
            space.encode(canonical)

    def test_all_strings_of_a_plan_have_as_many_features(self) -> None:
        counts: dict[Plan, set[int]] = {}
        for space, plan, tokens in self.strings():
            features = space.features(plan, tokens)
            assert all(isfinite(number) for number in features)
            counts.setdefault(plan, set()).add(len(features))
        assert all(len(different) == 1 for different in counts.values())

    def test_every_decision_has_a_name_of_its_own(self) -> None:
        space = self.make()
        names = space.names()
        assert len(set(names)) == len(names) == len(space.plan())

    def test_changes_are_counted_alike_from_both_sides(self) -> None:
        space, random = self.make(), Random(1)
        for _ in range(self.samples):
            one, other = (uniform_tokens(space.plan(), random) for _ in range(2))
            assert changes(space, one, one) == ()
            assert len(changes(space, one, other)) == len(changes(space, other, one))
            form = space.nearest_form(one, other)
            assert space.canonical(space.decode(form)) == space.canonical(space.decode(other))

    def test_a_crossing_is_a_string_of_its_size_that_the_random_numbers_decide(self) -> None:
        others = [tokens for _, _, tokens in self.strings()]
        for number, (space, plan, tokens) in enumerate(self.strings()):
            if not isinstance(space, Crossable):
                pytest.skip("two strings of this space cannot be crossed")
            donor = Random(number).choice(others)
            crossed = space.cross(tokens, donor, Random(number))
            assert check_tokens(plan, crossed) == crossed
            assert space.cross(tokens, donor, Random(number)) == crossed

    def test_wrong_tokens_are_refused(self) -> None:
        for space, plan, tokens in self.strings():
            for wrong in ((*tokens, 0), tokens[:-1], (plan[0].cardinality, *tokens[1:]), (-1, *tokens[1:]), ()):
                with pytest.raises(ArchitectureError):
                    space.decode(wrong)

    def test_a_foreign_architecture_is_refused(self) -> None:
        foreign: Architecture = FOREIGN
        with pytest.raises(ArchitectureError):
            self.make().encode(foreign)
