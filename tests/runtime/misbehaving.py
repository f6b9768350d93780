"""Evaluators for the tests of worker processes; a module of its own, since a spawned process imports them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from netwright.testing.executors import Obedient
from netwright.trial import Evaluation


class Misbehaving:
    """What :class:`Obedient` does, and worse.

    Args:
        folder: Where children leave signs of life.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def evaluate(self, architecture, seed, report):
        match architecture["do"]:
            case "count threads":
                import torch

                report(1, 0.5)
                return Evaluation(valid=torch.get_num_threads())
            case "wait once":
                sign = self.folder / f"begun-{seed - 1000}"
                if not sign.exists():
                    sign.touch()
                    time.sleep(60)
            case "ignore the request to end":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(60)
            case "start a grandchild":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
                (self.folder / f"grandchild-{os.getpid()}").write_text(str(child.pid))
                time.sleep(60)
            case "sleep":
                time.sleep(60)
            case "nap":
                time.sleep(1)
        return Obedient().evaluate(architecture.model_copy(update={"choices": (("do", "answer"),)}), seed, report)


class Unstartable:
    """Cannot be unpickled in a worker."""

    def __reduce__(self):
        return _fail_to_load, ()


def _fail_to_load():
    raise ImportError("no such module in the worker")
