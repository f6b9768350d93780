"""The fingerprint of data: by it a resumption knows the data again that it began with, wherever they lie by now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from netwright.data.listing import shown


def fingerprint(about: object, tensors: Iterable[Tensor]) -> str:
    """SHA-256 of data, in hexadecimal: equal for equal pixels, tokens and labels in equal order.

    Args:
        about: What is not in tensors, such as the names of the classes; anything that JSON can hold.
        tensors: All that children learn from, in a fixed order.
    """
    digest = hashlib.sha256(json.dumps(about).encode())
    for tensor in tensors:
        digest.update(f"\n{tensor.dtype} {list(tensor.shape)}\n".encode())
        if tensor.numel():
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What tells data from those that something began with, for a person; nothing where they are the same.

    Args:
        there: What the data were at the beginning, of ``task.json``; an entry that it lacks is not compared.
        here: What they are now.
    """
    here = json.loads(json.dumps(dict(here)))  # as a file holds it: lists, not tuples
    return [_difference(name, there[name], value) for name, value in here.items() if value != there.get(name, value)]


def _difference(name: str, there: Any, here: Any) -> str:
    """One entry of a task that has changed; of two lists of names, which are new and which are gone."""
    if not (_are_names(there) and _are_names(here)):
        return f"{name} was {there!r} and is {here!r}"
    told = [f"{len(here):,}, and was {len(there):,}"] if len(here) != len(there) else []
    for what, some, others in (("new", here, frozenset(there)), ("gone", there, frozenset(here))):
        if only := [repr(one) for one in some if one not in others]:
            told.append(f"{what}: {shown(only, 3)}")
    return f"{name}: {'; '.join(told) or 'in another order'}"


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
