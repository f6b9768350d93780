"""Run folders with all that can be in one, made by stub children in this process, and commands run on them here."""

import contextlib
import io
import signal
import sys
from pathlib import Path
from unittest import mock

from PIL import Image

from netwright.cli import main as cli
from netwright.search.executor import SerialExecutor
from netwright.trial import TEST, Evaluation

LIMIT = 60
"""Seconds after which a command hangs; the first one of all, on a busy machine, spends half of them on imports."""

IMAGES = """
name = "images"
data = { kind = "images", source = "digits", validation = 0.4, train_limit = 60 }
space = { kind = "conv", depth = 2, filters = [2, 4] }
strategy = { name = "reinforce", options = { batch = 2 } }
controller = { hidden = 4 }
child = { kind = "image_classifier", epochs = 2, batch_size = 30, upsample = 1.0, flip = false, reward_epochs = 1 }
verdict = { references = ["vgg", "vgg-skips"], seeds = 2, finalists = 2 }
search = { trials = 6, threads = 1, workers = 1, seed = 3, max_failures = 9 }
"""

TEXT = """
name = "text"
data = { kind = "text", source = "text:%s" }
space = { kind = "recurrent_cell", base = 2 }
strategy = { name = "random" }
reward = { kind = "perplexity" }
child = { kind = "language_model", layers = 1, hidden = 4, epochs = 1, batch_size = 2, steps = 5 }
search = { trials = 4, threads = 1, workers = 1 }
"""

GRID = ["--set", "tuning.grid.learning_rate=[0.1, 0.2]", "--set", "tuning.grid.weight_decay=[0, 0.1]"]


class Stub:
    """Answers at once, by the architecture and the seed; every seventh child fails."""

    def evaluate(self, architecture, seed, report):
        if seed % 7 == 0:
            raise ValueError(f"seed {seed}")
        worth = (int(architecture.digest, 16) ^ seed) % 1000 / 1000
        report(1, worth)
        costs = {"parameters": 10 + seed % 50, "multiply_adds": 1000 + seed % 77, "train_loss": 0.5}
        return Evaluation(valid=worth, metrics=costs, curve=(worth / 2, worth))

    def evaluate_and_test(self, architecture, seed, report):
        found = self.evaluate(architecture, seed, report)
        return Evaluation(valid=found.valid, metrics={**found.metrics, TEST: found.valid}, curve=found.curve)


def run_pool(evaluators, **options):
    """In the place of a pool of processes."""
    return SerialExecutor(Stub(), options.get("on_epoch"))


class Hangs(BaseException):
    """A command that does not end."""


def command(*arguments, seconds=LIMIT):
    """Runs a command in this process as ``netwright`` would, with stub children; one that takes longer hangs.

    Returns:
        Exit code, standard output and standard error.

    Raises:
        BaseException: A bug, which a person would see as a traceback.
    """

    def hang(*_):
        raise Hangs(arguments)

    out, err = io.StringIO(), io.StringIO()
    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(cli.interrupts, "listen"),
            mock.patch.object(sys, "argv", ["netwright", *map(str, arguments)]),
            mock.patch("netwright.runtime.process_pool.ProcessPool", run_pool),
            mock.patch("netwright.cli.conduct.tensorboard_is_installed", return_value=False),
        ):
            try:
                cli.main()
            except SystemExit as end:
                code = 0 if end.code is None else end.code
            else:
                code = 0
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return code, out.getvalue(), err.getvalue()


def done(*arguments):
    """As :func:`command`, of one that succeeds; returns what it printed."""
    code, out, err = command(*arguments, seconds=300)
    assert code == 0, err
    return out


def make_all(root: Path) -> None:
    """Makes ``images``, ``stopped``, ``text`` and ``tuning`` below ``root``, and what is asked of their networks.

    ``images`` and ``text`` are searches that have ended, whose best network is trained; ``stopped`` is one under way,
    with a training that was stopped; ``tuning`` is one of ``images``.
    """
    from netwright.cli.epoch_lines import EpochLines

    small = ["--epochs", 1, "--set", "data.train_limit=60"]
    (root / "images.toml").write_text(IMAGES)
    (root / "words.txt").write_text("the cat sat on the mat and the dog sat on the log\n" * 60)
    (root / "text.toml").write_text(TEXT % (root / "words.txt"))
    Image.new("L", (8, 8), 100).save(root / "picture.png")
    for name in ("images", "text"):
        done("search", root / f"{name}.toml", "--out", root / name, "--quiet")
        (root / name / "workers" / "worker-0.log").write_text("[trial 0]\n")
        done("train", root / name, *(small if name == "images" else []))
        done("report", root / name)
    done("tune", root / "images", "--out", root / "tuning", "--quiet", "--workers", 1, *GRID)
    done("search", root / "images.toml", "--out", root / "stopped", "--quiet", "--no-verdict", "--trials", 5)
    show = EpochLines.show

    def stop(self, *epoch):
        show(self, *epoch)
        raise KeyboardInterrupt

    with mock.patch.object(EpochLines, "show", stop):
        assert command("train", root / "stopped", "--epochs", 2, "--set", "data.train_limit=60")[0] == 130
