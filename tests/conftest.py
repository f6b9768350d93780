"""What all tests share: hypothesis without a clock, PyTorch on one thread."""

import os
import shutil
import signal

import hypothesis
import pytest

from netwright import interrupts

# Two busy cores make a first call slow, which says nothing about the code; derandomised, so that CI is repeatable.
hypothesis.settings.register_profile("netwright", deadline=None, derandomize=True, max_examples=50, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "netwright"))

# Tests run beside others: a second thread mostly waits for a core, and makes a training several times slower. Here, so
# that the processes that tests start have it, too.
os.environ["OMP_NUM_THREADS"] = "1"

# Kernels for graphics cards are run by Triton's interpreter where there is no card, in tests/children. Triton reads
# this when it is first imported.
if not os.path.exists("/dev/nvidiactl"):
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Runs are made in memory where there is enough of it: each trial waits for the disk half a dozen times, and no test
# pulls the plug.
if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 2**30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

# ``helpers`` is found by the processes that tests start, too: workers, drivers, clusters.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.path.dirname(__file__), os.environ.get("PYTHONPATH"))))

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process that they start would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Also where something has asked for more in between."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def own_signals():
    """For a test that is interrupted on purpose: afterwards nobody remembers a request, and answers are as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    interrupts.listen()  # forgets the requests of the test
    for number, handler in before.items():
        signal.signal(number, handler)
