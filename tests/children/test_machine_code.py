"""Functions as machine code."""

from __future__ import annotations

import pytest

from netwright.children.machine_code import compiled

caching = pytest.importorskip("numba.core.caching", reason="no numba here, which compiles")


def _twice(x: float) -> float:
    return 2 * x


def test_where_nothing_may_be_written_it_is_compiled_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(_twice)(3.0) == 6
