"""Benchmark tables by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import get_args, get_type_hints

from netwright.benchmarks import nasbench201, nasbench_macro
from netwright.benchmarks.tabular import TabularEvaluator
from netwright.errors import UsageError

TABLES: Mapping[str, tuple[Callable[..., TabularEvaluator], str]] = {
    "nasbench201": (nasbench201.load, "nasbench201/cifar10.csv"),
    "nasbench-macro": (nasbench_macro.load, "nasbench_macro/nas-bench-macro_cifar10.json"),
}
"""Name -> how to load the table, and where its file lies in the folder that ``NETWRIGHT_DATA`` names."""


SHIPPED: Mapping[str, str] = {"nasbench-macro": "nas-bench-macro.json.gz"}
"""Name -> the file in this package; its licence is beside it."""


def load_table(name: str, path: Path | None = None, **options: object) -> TabularEvaluator:
    """A benchmark table.

    Args:
        name: One of ``TABLES``.
        path: Its file; None looks in the folder that the environment variable ``NETWRIGHT_DATA`` names, and takes the
            copy that comes with netwright if there is one.
        options: Of the table's own ``load``.

    Raises:
        UsageError: No such table or option, or no file was given.
        DataError: The file is not that table.
    """
    path, (load, _) = table_file(name, path), TABLES[name]
    hints = get_type_hints(load)
    known = [parameter for parameter in signature(load).parameters if parameter != "path"]
    for option, value in options.items():
        if option not in known:
            raise UsageError(f"table.{option}: {name} has the options {', '.join(known)}")
        if (allowed := get_args(hints[option])) and type(None) not in allowed and value not in allowed:
            raise UsageError(f"table.{option}: expected one of {', '.join(allowed)}, got {value!r}")
    return load(path, **options)


def table_file(name: str, path: Path | None = None) -> Path:
    """Where the file of a table is, as far as that can be told without reading it; see :func:`load_table`.

    Raises:
        UsageError: No such table, or no file was given.
    """
    if name not in TABLES:
        raise UsageError(f"expected one of the tables {', '.join(TABLES)}, got {name!r}")
    if path is None:
        path = _find(name, TABLES[name][1])
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: expected the file of the table {name}, got a folder, a pipe or a device")
    return path


def _find(name: str, place: str) -> Path:
    """Where the file of a table is.

    Raises:
        UsageError: Nobody has said where, and the table does not come with netwright.
    """
    folder = os.environ.get("NETWRIGHT_DATA")
    if folder and ((there := Path(folder) / place).exists() or name not in SHIPPED):
        return there
    if name not in SHIPPED:
        raise UsageError(f"{name}: give the table's file with --table, or its folder in NETWRIGHT_DATA")
    return Path(__file__).with_name(SHIPPED[name])
