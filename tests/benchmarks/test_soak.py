"""``benchmarks/soak.py``, for a moment."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_short_soak_loses_nothing():
    """The thousand children that it is for were run by hand; see the log of experiments."""
    done = subprocess.run(
        [sys.executable, SOAK, "--children", "120"], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lost 0, doubled 0, processes left 0, damage found by doctor 0" in done.stdout
    assert "table equal True, updates and weights equal True (15)" in done.stdout
