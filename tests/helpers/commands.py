"""Running the command line as a user does: in processes of their own."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

NETWRIGHT = [sys.executable, "-c", "from netwright.cli.main import main; main()"]
ENVIRONMENT = os.environ | {"COLUMNS": "80"}
SMALL_RECIPE = str(Path(__file__).with_name("small.toml"))
"""A search by REINFORCE without references and verdict, so that every trial is one that the controller asked for."""

SMALL = [
    *("search", SMALL_RECIPE, "--seed", "3", "--set", "child.epochs=1", "--set", "data.train_limit=100"),
    *("--set", "space.depth=2", "--set", "space.filters=[4, 8]", "--set", "strategy.options.batch=4"),
]
"""A search of children that take a few hundredths of a second each; no two alike."""


def netwright(*arguments, timeout=250, **options):
    """Runs a command to its end."""
    command = [*NETWRIGHT, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, check=False, **options
    )


def begin(*arguments, **environment):
    """Starts a command in a group of its own, as a terminal would."""
    return subprocess.Popen(
        [*NETWRIGHT, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=ENVIRONMENT | environment,
    )  # fmt: skip


def result(run):
    """What must not depend on interruptions: the trials without times and workers, and the hash of the last weights.

    The order of telling is left out, too: with two workers it depends on who is quicker, and the weights do not.
    """
    with closing(sqlite3.connect(f"file:{run / 'trials.db'}?mode=ro", uri=True)) as connection:
        columns = "id, tokens, architecture, digest, notes, state, reward, metrics, curve, failure, error"
        trials = connection.execute(f"SELECT {columns} FROM trials ORDER BY id").fetchall()
        updates = connection.execute("SELECT number, reward, baseline, sha256 FROM updates ORDER BY number").fetchall()
    last = hashlib.sha256((run / "controller" / f"{updates[-1][0]:06d}.safetensors").read_bytes()).hexdigest()
    assert last == updates[-1][3]
    return trials, updates


def finished(run):
    """How many trials of a run are finished so far."""
    try:
        with closing(sqlite3.connect(f"file:{run / 'trials.db'}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute("SELECT COUNT(*) FROM trials WHERE state != 'running'").fetchone()[0]
    except sqlite3.Error:
        return 0


def wait_for(run, process, trials):
    """Waits until so many trials of a run are finished, or its process has ended."""
    deadline = time.monotonic() + 200
    while finished(run) < trials and process.poll() is None:
        assert time.monotonic() < deadline, "it does not get there"
        time.sleep(0.01)
