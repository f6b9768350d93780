"""Every package re-exports what its docstring lists, and importing one imports nothing heavy."""

import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import netwright

PACKAGES = [
    name
    for name in (f"netwright.{module.name}" for module in pkgutil.iter_modules(netwright.__path__) if module.ispkg)
    if name not in ("netwright.cli", "netwright.testing")
]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_has_what_its_docstring_lists(name):
    if name == "netwright.integrations":
        pytest.importorskip("optuna", reason="needs the extra [optuna]")
    package = importlib.import_module(name)
    before, heading, listing = (package.__doc__ or "").partition("Public names:")
    listed = re.findall(r"``(\w+)``", listing)
    if heading and name != "netwright.tasks":  # which says more about each
        assert sorted(listed) == sorted(package.__all__)
    else:
        assert set(re.findall(r"``(\w+)``", before + listing)) >= set(package.__all__) - {"Data", "Task"}
    for public in package.__all__:
        assert getattr(package, public) is not None


def test_the_root_has_what_examples_need():
    for public in netwright.__all__:
        assert getattr(netwright, public) is not None
    needed = {"ConvSpace", "Choice", "Evaluation", "Trial", "NASRNN", "NASCell", "from_tensors", "from_texts", "tune"}
    assert needed <= set(netwright.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'netwright' has no attribute 'run_serach'"):
        netwright.run_serach  # noqa: B018


def test_importing_a_package_does_not_import_torch():
    """Tried: an eager import of ``networks.network`` in the root takes torch along."""
    light = [name for name in PACKAGES if name not in ("netwright.data", "netwright.recipes")]
    code = f"import sys, {', '.join(light)}; assert 'torch' not in sys.modules; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
