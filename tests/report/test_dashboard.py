"""TensorBoard beside a search: said where, ended with it, and missed in one sentence."""

import re
import sys
import time
import urllib.request

import pytest

from netwright.report import dashboard
from netwright.report.dashboard import WITHOUT, Dashboard

SAYS = (
    "import signal, sys, time; {}"
    "print('TensorBoard 2 at http://localhost:1/ (Press ...)', file=sys.stderr, flush=True); time.sleep(60)"
)
SERVES = SAYS.format("")
IGNORES = SAYS.format("signal.signal(signal.SIGTERM, signal.SIG_IGN); ")


def wait_until(said):
    deadline = time.monotonic() + 60
    while not said:
        assert time.monotonic() < deadline, "nothing was said"
        time.sleep(0.01)


@pytest.fixture
def _installed(monkeypatch):
    monkeypatch.setattr(dashboard, "tensorboard_is_installed", lambda: True)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("code", [SERVES, IGNORES], ids=["ends", "is killed"])
def test_it_says_where_and_ends_with_the_search(tmp_path, monkeypatch, code):
    monkeypatch.setattr(dashboard, "PATIENCE", 0.2)
    said = []
    with Dashboard(tmp_path, said.append, [sys.executable, "-c", code]) as shown:
        wait_until(said)
        assert shown._process.poll() is None
    assert shown._process.poll() is not None
    assert said[0].startswith("dashboard: http://localhost:1/ until the search ends")
    assert f"netwright export-optuna {tmp_path} --storage sqlite:///study.db && optuna-dashboard" in said[0]
    assert len(said) == 1


@pytest.mark.usefixtures("_installed")
def test_a_server_that_fails_is_said_and_costs_nothing(tmp_path):
    said = []
    with Dashboard(tmp_path, said.append, [sys.executable, "-c", "raise SystemExit('no port is free')"]):
        wait_until(said)
    assert said == ["no dashboard: TensorBoard ended at once: no port is free"]


@pytest.mark.usefixtures("_installed")
def test_a_search_that_ends_first_says_nothing_of_it(tmp_path):
    """Tried: without the flag, a search of a few seconds ends with "no dashboard"."""
    said = []
    with Dashboard(tmp_path, said.append, [sys.executable, "-c", "import time; time.sleep(60)"]):
        pass
    assert said == []


def test_without_tensorboard_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(dashboard, "tensorboard_is_installed", lambda: False)
    said = []
    with Dashboard(tmp_path, said.append, ["no-such-command"]):
        pass
    assert said == [WITHOUT]


@pytest.mark.slow
def test_the_real_one_shows_the_run(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra [tensorboard]")
    (tmp_path / "tensorboard").mkdir()
    said = []
    with Dashboard(tmp_path, said.append) as shown:
        wait_until(said)
        address = re.search(r"http://\S+", said[0])[0]
        with urllib.request.urlopen(f"{address}data/logdir", timeout=30) as answer:
            assert str(tmp_path / "tensorboard") in answer.read().decode()
    assert shown._process.poll() is not None
