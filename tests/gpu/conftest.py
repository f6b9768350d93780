"""Tests of what only a graphics card shows. Without one they are skipped, and say so."""

import warnings
from pathlib import Path

import pytest
import torch


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA graphics card here: torch.cuda.is_available() is False")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


@pytest.fixture
def card():
    return torch.device("cuda:0")


@pytest.fixture
def never_waiting():
    """Any operation for which the host would have to wait for the card is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")
