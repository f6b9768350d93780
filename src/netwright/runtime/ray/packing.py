"""How an evaluator with its data travels: its tensors stay in Ray's object store, once for each node."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ray
from ray import cloudpickle

from netwright.runtime.parcel import CANNOT_BE_PICKLED, cannot_be_sent
from netwright.search.executor import Evaluator

if TYPE_CHECKING:  # a child's first process passes the pickle on, and has no use for torch
    import torch


class _Packer(cloudpickle.CloudPickler):  # type: ignore[misc]
    """Leaves tensors out of the pickle, so that all processes of a node can map one copy of them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.tensors: list[torch.Tensor] = []

    def persistent_id(self, thing: object) -> int | None:
        """The place of a tensor in :attr:`tensors`; None for everything else, which is pickled."""
        import torch

        if type(thing) is not torch.Tensor or thing.device.type != "cpu" or thing.requires_grad or not thing.numel():
            return None
        self.tensors.append(thing.contiguous())
        return len(self.tensors) - 1


class _Unpacker(pickle.Unpickler):
    """Reads what :class:`_Packer` has written."""

    def __init__(self, file: io.BytesIO, tensors: Sequence[torch.Tensor]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, place: int) -> torch.Tensor:
        """The inverse of :meth:`_Packer.persistent_id`."""
        return self._tensors[place]


Packed = tuple[bytes, list[tuple[Any, str, tuple[int, ...]]]]
"""A pickle, and the tensors in it: bytes, type, shape."""


def pack(thing: object) -> Packed:
    """A thing in a form that Ray's object store keeps once for each node."""
    import torch

    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(thing)
    tensors = [(t.reshape(-1).view(torch.uint8).numpy(), str(t.dtype), tuple(t.shape)) for t in packer.tensors]
    return file.getvalue(), tensors


def unpack(packed: Packed) -> Any:
    """The thing; its tensors are those of the object store, and must not be written to."""
    pickled, arrays = packed
    if not arrays:
        return _Unpacker(io.BytesIO(pickled), ()).load()
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensors = [
            torch.from_numpy(array).view(getattr(torch, dtype.removeprefix("torch."))).reshape(shape)
            for array, dtype, shape in arrays
        ]
    return _Unpacker(io.BytesIO(pickled), tensors).load()


def put(evaluator: Evaluator) -> Any:
    """Puts an evaluator, with its data, into the object store.

    Raises:
        UsageError: The evaluator cannot be sent to another process.
    """
    try:
        packed = pack(evaluator)
    except CANNOT_BE_PICKLED as error:
        raise cannot_be_sent(error) from None
    return ray.put(packed)
