"""TensorBoard, started for a person who watches a search, and ended with it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self

from netwright.errors import command
from netwright.report.tensorboard import tensorboard_is_installed

SERVER = (sys.executable, "-m", "tensorboard.main")
"""The command; it looks for a free port by itself, from 6006 upwards, and says which on standard error."""

ADDRESS = re.compile(rb"(http://\S+)")

PATIENCE = 5.0
"""Seconds that it has to end by itself, before it is killed."""

WITHOUT = "--dashboard needs TensorBoard: pip install 'netwright[tensorboard]'; the search runs without it"


class Dashboard:
    """Shows the curves of a run while the ``with`` block lasts; says where, or in one sentence why not.

    Args:
        run: The run folder, whose curves :class:`netwright.report.tensorboard.TensorBoardCurves` writes.
        say: Is told, in a line each, by a thread of its own.
        server: The command that serves curves; its last arguments name the folder.
    """

    def __init__(self, run: Path, say: Callable[[str], None], server: Sequence[str] = SERVER) -> None:
        self._run = run
        self._say = say
        self._command = [*server, "--logdir", str(run / "tensorboard")]
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._ends = False

    def __enter__(self) -> Self:
        if not tensorboard_is_installed():
            self._say(WITHOUT)
            return self
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()
        return self

    def _listen(self, messages: IO[bytes]) -> None:
        """Says the address once it is known, and reads the rest, so that the server never waits for a reader."""
        known, last = False, b""
        for line in messages:
            last = line.strip() or last
            if not known and (found := ADDRESS.search(line)):
                known = True
                export = command("export-optuna", self._run, "--storage", "sqlite:///study.db")
                self._say(
                    f"dashboard: {found[1].decode()} until the search ends; later: tensorboard --logdir "
                    f"{shlex.quote(str(self._run / 'tensorboard'))}\nor in Optuna's: {export} && "
                    "optuna-dashboard sqlite:///study.db"
                )
        if not (known or self._ends):
            self._say(f"no dashboard: TensorBoard ended at once: {last.decode(errors='replace')}")

    def __exit__(self, *exception: object) -> None:
        if self._process is None or self._listener is None:
            return
        self._ends = True
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(PATIENCE)  # which a process of the server's own may outlast
        if self._process.stderr is not None and not self._listener.is_alive():
            self._process.stderr.close()
