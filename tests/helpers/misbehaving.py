"""Evaluators for the tests of worker processes; a module of its own, since a spawned process imports them."""

import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

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
            case "fork a grandchild and die":
                if (pid := os.fork()) == 0:
                    time.sleep(60)  # with the worker's end of the pipe open
                (self.folder / f"grandchild-{os.getpid()}").write_text(str(pid))
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit at once":
                os._exit(3)
            case "die once, then take a while" | "take a while":
                sign = self.folder / f"died-{seed - 1000}"
                if architecture["do"].startswith("die") and not sign.exists():
                    sign.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                began = time.monotonic()
                # Long enough for the worker that died to be replaced, and to take another job if it may.
                time.sleep(2.0 if architecture["do"].startswith("die") else 0.3)
                (self.folder / f"span-{seed - 1000}").write_text(f"{began} {time.monotonic()}")
            case "segfault":
                ctypes.string_at(0)
            case "segfault once":
                sign = self.folder / f"crashed-{seed - 1000}"
                if not sign.exists():
                    sign.touch()
                    ctypes.string_at(0)
            case "allocate":
                block = np.ones(architecture["mib"] * 2**17)
                (self.folder / f"allocated-{seed - 1000}").write_text(str(block.nbytes))
                time.sleep(float(architecture["seconds"]))
            case "allocate bit by bit":
                blocks = []
                for _ in range(architecture["mib"] // 8):
                    blocks.append(np.ones(2**20))
                    time.sleep(0.01)
            case "allocate with torch":
                import torch

                torch.ones(architecture["mib"] * 2**18)
            case "work":
                (self.folder / f"working-{seed - 1000}").touch()
                end = time.process_time() + float(architecture["seconds"])
                while time.process_time() < end:  # of the processor: a pause is no work
                    pass
            case "print":
                print("x" * 1_000_000)
                os.write(1, b"directly\n")
            case "print in all ways":
                print("by print")
                print("by print to standard error", file=sys.stderr)
                os.write(1, b"directly to 1\n")
                os.write(2, b"directly to 2\n")
                os.system("echo by a grandchild")
            case "print a part of a line":
                print("loss of", seed, end=" ")
            case "print without end":
                for _ in range(architecture["mb"]):
                    os.write(1, b"x" * 999_999 + b"\n")
                    time.sleep(0.01)
            case "print on a full disk":
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
                print("x" * 100_000)
                print("x" * 100_000, file=sys.stderr, flush=True)
            case "nap":
                time.sleep(1)
        return Obedient().evaluate(architecture.model_copy(update={"choices": (("do", "answer"),)}), seed, report)


class SlowToLoad:
    """Never gets unpickled in a worker; in the second one it does, if there is a folder to leave a sign in."""

    def __init__(self, folder=None):
        self.folder = folder

    def __reduce__(self):
        return _load_slowly, (self.folder,)


def _load_slowly(folder):
    sign = None if folder is None else Path(folder) / "loaded"
    if sign is None or not sign.exists():
        if sign is not None:
            sign.touch()
        time.sleep(60)
    return Obedient()


class Deadly:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return _kill_oneself, ()


def _kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


class Unstartable:
    """Cannot be unpickled in a worker."""

    def __reduce__(self):
        return _fail_to_load, ()


def _fail_to_load():
    raise ImportError("no such module in the worker")


class HoldsData:
    """Has a tensor, and tells its sum and whether the memory that it lies in is shared with other processes."""

    def __init__(self, data):
        self.data = data

    def evaluate(self, architecture, seed, report):
        return Evaluation(valid=int(self.data.sum()), metrics={"shared": _is_shared(self.data.data_ptr())})


def _is_shared(address):
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= address < last:
            return rights.endswith("s")
    raise AssertionError(f"nothing is mapped at {address}")


class WarmsUp:
    """Takes much memory once in each process, and tells how often it did."""

    def __init__(self, mib):
        self.mib = mib
        self.kept = []

    def warm_up(self):
        self.kept.append(bytearray(self.mib << 20))

    def evaluate(self, architecture, seed, report):
        return Evaluation(valid=len(self.kept), metrics={"threads": int(os.environ["OMP_NUM_THREADS"])})


class Evil:
    """Does to its process, and to its pipe, what a child of somebody else's may do."""

    def evaluate(self, architecture, seed, report):
        match architecture["do"]:
            case "fork and return":
                if os.fork() == 0:
                    return Evaluation(valid=0.1)
                time.sleep(0.3)
            case "report from a thread that stays":
                thread = threading.Thread(target=lambda: [report(n, 0.5) for n in range(300)], daemon=True)
                thread.start()
                report(1, 0.5)
            case "send junk":
                for descriptor in map(int, os.listdir("/proc/self/fd")):
                    if os.path.exists(f"/proc/self/fd/{descriptor}") and "socket" in os.readlink(
                        f"/proc/self/fd/{descriptor}"
                    ):
                        os.write(descriptor, struct.pack("!i", 4) + b"junk")
                time.sleep(60)
            case "close the pipe":
                for descriptor in range(3, 64):
                    with suppress(OSError):
                        os.close(descriptor)
                time.sleep(60)
        return Evaluation(valid=0.25)
