"""A measure: what a validation number is, in which unit, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A named number that children are measured by.

    Attributes:
        name: What a person calls it, such as ``accuracy``.
        unit: Written behind a value; empty for a number without a unit, such as a share in [0, 1].
        lower_is_better: Whether a lower value is a better one.
    """

    name: str
    unit: str = ""
    lower_is_better: bool = False

    @property
    def on_validation(self) -> str:
        """What a person calls the number of the validation part."""
        return self.name if self.name.startswith("validation") else f"validation {self.name}"

    def format(self, value: float) -> str:
        """A value with four digits and its unit."""
        return f"{value:.4g} {self.unit}".rstrip()

    def to_json(self) -> dict[str, Any]:
        """The measure as JSON, for ``task.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: object) -> Measure:
        """Reads what :meth:`to_json` wrote; whoever wrote it is not trusted.

        Raises:
            ValueError: Something else stands there.
        """
        match tree:
            case {"name": str(name), "unit": str(unit), "lower_is_better": bool(lower)} if isinstance(tree, Mapping):
                return cls(name=name, unit=unit, lower_is_better=lower)
        raise ValueError(f"expected a measure with name, unit and lower_is_better, got {tree!r}")


ACCURACY = Measure(name="accuracy")
"""The share of examples that are classified correctly, in [0, 1]."""

BALANCED_ACCURACY = Measure(name="balanced accuracy")
"""The mean, over the classes that there are examples of, of the share of them that is recognized; in [0, 1]."""

PERPLEXITY = Measure(name="perplexity", lower_is_better=True)
"""The exponential of the loss in nats per word."""

BITS_PER_CHARACTER = Measure(name="bits per character", unit="bits", lower_is_better=True)
"""The loss in bits per character."""
