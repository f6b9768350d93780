"""Architectures as data: frozen records without torch or weights, with canonical JSON and a content hash.

Files come from strangers, so every field is bounded and every vocabulary closed; nothing in a file is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from netwright.bounded import read_bounded
from netwright.errors import ArchitectureError, reason
from netwright.spaces.grammar import Option

MAX_LAYERS = 256
MAX_FILTER_SIDE = 31
MAX_STRIDE = 8
MAX_FILTERS = 4096
MAX_FILE_BYTES = 1 << 20


class Architecture(BaseModel):
    """Base of the records; a space of your own derives its own record from it and adds a ``kind``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str

    def canonical_json(self) -> str:
        """The one JSON text of this architecture: sorted keys, no blanks."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def _without_the_usual(record: BaseModel, tree: dict[str, Any], *later: str) -> dict[str, Any]:
    """``tree`` without those of ``later`` that have their defaults: digests of older files and runs stay."""
    fields = type(record).model_fields
    return {name: value for name, value in tree.items() if name not in later or value != fields[name].default}


FilterSide = Annotated[int, Field(ge=1, le=MAX_FILTER_SIDE)]
Stride = Annotated[int, Field(ge=1, le=MAX_STRIDE)]
Filters = Annotated[int, Field(ge=1, le=MAX_FILTERS)]
LayerIndex = Annotated[int, Field(ge=0, lt=MAX_LAYERS)]
LayerType = Literal["conv", "separable"]
LayerActivation = Literal["relu", "gelu"]
LAYER_ACTIVATIONS: dict[LayerActivation, str] = {"relu": "ReLU", "gelu": "GELU"}
"""What a person calls them."""

Pooling = Literal["max", "average"]


class ConvLayer(BaseModel):
    """One convolution, batch normalisation and the network's activation.

    Attributes:
        layer_type: ``conv`` is a convolution over all channels; ``separable`` filters each channel by itself and then
            mixes them by a 1x1 convolution, with nothing in between (Chollet 2017), for a fraction of the arithmetic.
        filter_height: Rows of the filter, in pixels.
        filter_width: Columns of the filter, in pixels.
        stride_height: Step down the image, in pixels.
        stride_width: Step across the image, in pixels.
        filters: Output channels.
        inputs: 0-based indices of the earlier layers that feed it, ascending; empty means the image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    layer_type: LayerType = "conv"
    filter_height: FilterSide
    filter_width: FilterSide
    stride_height: Stride = 1
    stride_width: Stride = 1
    filters: Filters
    inputs: tuple[LayerIndex, ...] = ()

    @model_serializer(mode="wrap")
    def _without_the_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_the_usual(self, serialize(self), "layer_type")


class ConvArchitecture(Architecture):
    """A convolutional network with skip connections (Zoph & Le 2017, sec. 3.3).

    Attributes:
        layers: The layers, each fed by earlier ones; the first one is next to the image.
        pool_after: Indices of layers whose output is halved by 2x2 pooling for all later layers.
        skip_over_pool: What a skip from before a pooling layer brings: ``pad`` its full map, smaller inputs being
            zero-padded (the paper's rule, literally), ``pool`` the map pooled as often as pooling layers lie between.
        joins: How several inputs become one: ``concatenate`` them along the channels (the paper's rule), or ``add``
            them, narrower ones zero-padded in their channels (He et al. 2015, sec. 3.3, option A).
        activation: What ends every layer: ``relu`` (the paper's), or ``gelu``, x times the share of a standard normal
            distribution below x (Hendrycks & Gimpel 2016), which loses less of what few filters say.
        pooling: What a pooling layer makes of four pixels: their ``max`` (the paper's), or their ``average``.
    """

    kind: Literal["conv"] = "conv"
    layers: Annotated[tuple[ConvLayer, ...], Field(min_length=1, max_length=MAX_LAYERS)]
    pool_after: tuple[LayerIndex, ...] = ()
    skip_over_pool: Literal["pad", "pool"] = "pad"
    joins: Literal["concatenate", "add"] = "concatenate"
    activation: LayerActivation = "relu"
    pooling: Pooling = "max"

    @model_serializer(mode="wrap")
    def _without_the_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_the_usual(self, serialize(self), "joins", "activation", "pooling")

    @model_validator(mode="after")
    def _edges_point_back(self) -> Self:
        for index, layer in enumerate(self.layers):
            if list(layer.inputs) != sorted(set(layer.inputs)):
                raise ValueError(
                    f"layers.{index}.inputs: expected ascending, distinct indices, got {list(layer.inputs)}"
                )
            if layer.inputs and layer.inputs[-1] >= index:
                raise ValueError(
                    f"layers.{index}.inputs: expected indices of earlier layers (below {index}), got {layer.inputs[-1]}"
                )
        if list(self.pool_after) != sorted(set(self.pool_after)):
            raise ValueError(f"pool_after: expected ascending, distinct indices, got {list(self.pool_after)}")
        if self.pool_after and self.pool_after[-1] >= len(self.layers) - 1:
            raise ValueError(f"pool_after: expected layers before the last one, got {self.pool_after[-1]}")
        return self

    @property
    def outputs(self) -> tuple[int, ...]:
        """The layers that feed the classifier: those which no layer consumes (Zoph & Le 2017, sec. 3.3)."""
        consumed = {source for layer in self.layers for source in layer.inputs}
        return tuple(index for index in range(len(self.layers)) if index not in consumed)


Combination = Literal["add", "elem_mult", "max"]
Activation = Literal["identity", "tanh", "sigmoid", "relu", "sin"]
CellNode = tuple[Combination, Activation]


class RecurrentCellArchitecture(Architecture):
    """A recurrent cell as a complete binary tree (Zoph & Le 2017, sec. 3.4).

    Attributes:
        base: The number of leaves B; a power of two from 2 to 64.
        nodes: Combination and activation of the 2B-1 nodes, level by level, leaves first; the last one is the root.
        inject: Combination and activation that bring in the previous memory state.
        c_index: The node whose value before its activation is the new memory state.
        c_prev_index: The node whose output the previous memory state is combined with.
    """

    kind: Literal["recurrent_cell"] = "recurrent_cell"
    base: Annotated[int, Field(ge=2, le=64)]
    nodes: Annotated[tuple[CellNode, ...], Field(min_length=3, max_length=127)]
    inject: CellNode
    c_index: Annotated[int, Field(ge=0)]
    c_prev_index: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _tree_is_complete(self) -> Self:
        if self.base & (self.base - 1):
            raise ValueError(f"base: expected a power of two, got {self.base}")
        if len(self.nodes) != 2 * self.base - 1:
            raise ValueError(f"nodes: expected {2 * self.base - 1} for base {self.base}, got {len(self.nodes)}")
        for name, index in (("c_index", self.c_index), ("c_prev_index", self.c_prev_index)):
            if index >= len(self.nodes):
                raise ValueError(f"{name}: expected a node index below {len(self.nodes)}, got {index}")
        return self


class TorchCellArchitecture(Architecture):
    """A recurrent layer that PyTorch has: what people take without searching.

    Attributes:
        cell: ``lstm`` is ``nn.LSTM``, ``gru`` is ``nn.GRU``; both with biases.
    """

    kind: Literal["torch_cell"] = "torch_cell"
    cell: Literal["lstm", "gru"]


class ChoiceArchitecture(Architecture):
    """A point of a space of plain choices: a name and a value per decision.

    Attributes:
        space: The name of the space that the choices belong to.
        choices: The chosen option of each decision, in order.
    """

    kind: Literal["choice"] = "choice"
    space: Annotated[str, Field(max_length=64)]
    choices: Annotated[tuple[tuple[str, Option], ...], Field(max_length=512)]

    def __getitem__(self, name: str) -> Option:
        return dict(self.choices)[name]


AnyArchitecture = Annotated[
    ConvArchitecture | RecurrentCellArchitecture | TorchCellArchitecture | ChoiceArchitecture,
    Field(discriminator="kind"),
]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(AnyArchitecture)


def parse_architecture(text: str | bytes, source: str = "architecture") -> Architecture:
    """Reads an architecture from JSON that anybody may have written.

    Args:
        text: The JSON text.
        source: What to call it in an error: a file name.

    Raises:
        ArchitectureError: Too large, not JSON, or not an architecture; names the field.
    """
    if len(text) > MAX_FILE_BYTES:
        raise ArchitectureError(f"{source}: expected at most {MAX_FILE_BYTES} bytes, got {len(text)}")
    try:
        architecture: Architecture = _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise ArchitectureError(f"{source}: {explain(error, tag=0)}") from None
    return architecture


def load_architecture(path: Path) -> Architecture:
    """Reads the file of an architecture.

    Raises:
        ArchitectureError: It cannot be read, or is none; names the file.
    """
    try:
        return parse_architecture(read_bounded(path, MAX_FILE_BYTES), str(path))
    except (OSError, ValueError) as error:
        raise ArchitectureError(f"{path}: cannot be read: {reason(error)}") from None


def explain(error: ValidationError, *, tag: int | None = None) -> str:
    """The first fault that pydantic found, as ``field: what was expected``, without pydantic's own vocabulary.

    Args:
        error: What pydantic raised.
        tag: Where in the fault's place pydantic puts the kind of a record, which is no field of the file.
    """
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for position, part in enumerate(fault["loc"]) if position != tag)
    message = fault["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {message}{more}" if place else f"{message}{more}"
