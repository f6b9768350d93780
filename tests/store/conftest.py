"""The undisturbed search that all others are compared with."""

import pytest

from helpers.searching import create, go_on, result


@pytest.fixture(scope="session")
def golden(tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "run"
    create(path).store.close()
    go_on(path)
    rows, updates = result(path)
    assert len(rows) == 20
    assert len(updates) == 5
    assert any(row[8] == "error" for row in rows), "a failed child must be among them"
    return path
