"""An evaluator, and its jobs, on their way to a worker process.

A worker imports by name what it can. What it cannot travels by value: what was defined in a notebook or read from
standard input, functions without a name, and functions within functions. What a script defines below
``if __name__ == "__main__":`` is found here and not in a worker, which says so as it starts.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import FunctionType
from typing import Any

import cloudpickle

from netwright.errors import UsageError
from netwright.search.executor import Evaluator


class Outgoing:
    """An evaluator to be sent; it arrives as :class:`Incoming`.

    It is pickled while its process is being started, not before: the shared memory of tensors travels as file
    descriptors, which that process inherits.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def open(self) -> Evaluator:
        """The evaluator, where it has not been sent."""
        return self._evaluator

    def __reduce__(self) -> tuple[type[Incoming], tuple[bytes]]:
        return Incoming, (pickled(self._evaluator),)


class Incoming:
    """An evaluator that has arrived, still to be unpacked: that imports its modules, and may fail."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def open(self) -> Evaluator:
        """The evaluator; raises whatever its own unpickling does."""
        # The bytes are from the process that started this one, through its pipe: as trustworthy as its own code.
        evaluator: Evaluator = pickle.loads(self._content)
        return evaluator


CANNOT_BE_PICKLED = (pickle.PicklingError, AttributeError, TypeError)
"""What pickling raises for a thing that cannot travel."""


def cannot_be_sent(error: Exception) -> UsageError:
    """What to say of an evaluator that cannot be pickled, and why not."""
    return UsageError(
        f"the evaluator cannot be sent to worker processes: {error}; keep open files, locks, generators and "
        "connections out of it, and make in evaluate() what it needs of them"
    )


def pickled(thing: object) -> bytes:
    """Something as bytes that :func:`pickle.loads` reads in a worker."""
    file = io.BytesIO()
    _Pickler(file).dump(thing)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Cloudpickle's, which knows of code, with the reducers of multiprocessing, which know of shared memory."""

    def __init__(self, file: io.BytesIO) -> None:
        # Before the pickler is made, which looks at it once.
        self.dispatch_table = ChainMap(cloudpickle.Pickler.dispatch_table, ForkingPickler(io.BytesIO()).dispatch_table)
        super().__init__(file)

    def reducer_override(self, thing: Any) -> Any:
        """By name what a script has defined that workers import; cloudpickle takes all of ``__main__`` by value.

        A class by value is another class in each process, and takes along the globals that its methods name, some of
        which, such as locks, cannot be sent at all.
        """
        if isinstance(thing, type | FunctionType) and _is_found_in_main(thing):
            return NotImplemented
        if isinstance(thing, _Cached) and thing.__module__ == "__main__" and not _is_found_in_main(thing):
            return _cached, (thing.__wrapped__, thing.cache_parameters())  # cloudpickle takes it for a builtin's name
        return super().reducer_override(thing)


_Cached = type(functools.cache(len))
"""What ``functools.cache`` and ``lru_cache`` make of a function."""


def _cached(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _is_found_in_main(thing: Any) -> bool:
    """Whether a class or function is in the ``__main__`` that workers import."""
    if thing.__module__ != "__main__" or not _workers_import_main():
        return False
    found: object = sys.modules["__main__"]
    for name in thing.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is thing


def _workers_import_main() -> bool:
    """Whether spawned processes can import the main module, as ``multiprocessing.spawn`` does."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    if name is not None:
        return name != "__main__" and not name.endswith(".__main__")
    file = getattr(main, "__file__", None)
    return file is not None and Path(file).is_file()


@contextmanager
def main_as_it_is() -> Iterator[None]:
    """Processes started in here do not look for a main module that is no file.

    What Python reads from standard input says of itself that it is the file ``<stdin>``.
    """
    main = sys.modules["__main__"]
    if _workers_import_main() or not hasattr(main, "__file__"):
        yield
        return
    file, main.__file__ = main.__file__, None
    try:
        yield
    finally:
        main.__file__ = file
