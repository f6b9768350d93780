"""``netwright search`` on a terminal, of any size, and Ctrl-C as a terminal sends it: to all its processes."""

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
import time
import uuid

import psutil
import pytest

from helpers.commands import ENVIRONMENT, NETWRIGHT, SMALL, finished, netwright, result

TRIALS = 10
CTRL_C = b"\x03"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Terminal:
    """A command that runs on a terminal of its own, and what it has shown there."""

    def __init__(self, *arguments, rows=24, columns=80):
        self._ours, theirs = os.openpty()
        self.name = str(uuid.uuid4())
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            name: value for name, value in ENVIRONMENT.items() if name not in ("COLUMNS", "TERM", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            [*NETWRIGHT, *map(str, arguments)],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment | {"TERM": "xterm", "TERMINAL_OF_TEST": self.name},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""

    def type(self, keys):
        os.write(self._ours, keys)

    def read_until(self, condition, within=200):
        """Reads on until something is true, or the command has ended."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"it never came about; shown so far: {self.shown[-2000:]}"
            if select.select([self._ours], [], [], 0.01)[0]:
                try:
                    self.shown += os.read(self._ours, 65536).decode("utf-8", "replace")
                except OSError:  # as Linux tells that nobody has the terminal open any more
                    break

    def end(self):
        """Reads what is left; returns the exit code."""
        self.read_until(lambda: False)
        os.close(self._ours)
        return self.process.wait(timeout=10)


def started_by(terminal):
    """Whoever has what the command's processes, and theirs, were given in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TERMINAL_OF_TEST") == terminal.name:
                found.append(process)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    done = netwright(*SMALL, "--workers", 1, "--trials", TRIALS, "--out", path, "--quiet")
    assert done.returncode == 0, done.stderr
    return path


MOMENTS = {
    "training": lambda terminal, run: "starting" in terminal.shown,
    "commit": lambda terminal, run: finished(run) >= 1,
    "report": lambda terminal, run: finished(run) == TRIALS,
}


@pytest.mark.parametrize(
    "moment", ["training", *(pytest.param(moment, marks=pytest.mark.long) for moment in ("commit", "report"))]
)
def test_ctrl_c_at_any_moment_says_how_to_resume_and_loses_nothing(tmp_path, undisturbed, moment):
    """It found that nobody was told how to resume who pressed it between the first line and the first child.

    Tried: without the catching of Ctrl-C around the search, nothing says how to resume.
    """
    run = tmp_path / "run"
    terminal = Terminal(*SMALL, "--workers", 2, "--trials", TRIALS, "--out", run)
    terminal.read_until(lambda: MOMENTS[moment](terminal, run))
    before, started = finished(run), time.monotonic()
    terminal.type(CTRL_C)
    code = terminal.end()
    assert time.monotonic() - started < 10
    assert "Traceback" not in terminal.shown
    assert psutil.wait_procs(started_by(terminal), timeout=10)[1] == []
    if moment != "report":
        assert code == 130
        assert f"netwright search --resume {run}" in terminal.shown.replace("\r\n", "")
    assert code in (0, 130)
    assert finished(run) >= before
    done = netwright("search", "--resume", run, "--quiet")
    assert done.returncode == 0, done.stderr
    assert result(run) == result(undisturbed)


@pytest.mark.parametrize(("rows", "columns"), [pytest.param(24, 80, marks=pytest.mark.long), (1, 1)])
def test_a_display_of_any_size(tmp_path, undisturbed, rows, columns):
    run = tmp_path / "run"
    terminal = Terminal(*SMALL, "--workers", 1, "--trials", TRIALS, "--out", run, rows=rows, columns=columns)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.shown
    assert "\x1b[" in terminal.shown, "a live display, in colours"
    assert result(run) == result(undisturbed)
