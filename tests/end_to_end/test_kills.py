"""``kill -9`` of a search with two workers, again and again at random moments: nothing lost, nothing twice."""

import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from netwright.store.integrity import problems

sys.path.insert(0, os.path.dirname(__file__))
from commands import finished, result

KILLS, TRIALS = 25, 240
DRIVER = """
    import sys

    sys.path.insert(0, sys.argv[1])
    import netwright
    from netwright.spaces.conv import ConvSpace
    from own import SlowlyByDigest

    if __name__ == "__main__":
        class Tell:
            def started(self, job): print("started", flush=True)
            def progressed(self, *what): pass
            def finished(self, *what): print("finished", flush=True)

        space = ConvSpace(depth=2, filter_heights=(1, 3), filter_widths=(1, 3), filters=(8, 16))
        settings = {"search.trials": int(sys.argv[3]), "search.workers": 2, "strategy.options.batch": 8}
        netwright.run_search(
            "digits", sys.argv[2], space=space, evaluator=SlowlyByDigest(), settings=settings, observer=Tell()
        )
"""


@pytest.fixture
def search(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))

    def begin(run):
        command = [sys.executable, script, os.path.dirname(__file__), run, str(TRIALS)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return begin


def wait_for_lines(process, text, count):
    while count > 0:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        count -= line == f"{text}\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_after_25_kills_the_table_and_the_controller_are_those_of_the_undisturbed_search(tmp_path, search):
    """Each session is killed a moment after it has finished a random number of trials, none among them, by chance."""
    undisturbed = search(tmp_path / "undisturbed")
    assert undisturbed.communicate(timeout=200)[1] == ""
    run, chance, reached = Path(tmp_path / "run"), random.Random(25), []
    for _ in range(KILLS):
        process = search(run)
        wait_for_lines(process, "started", 1)
        wait_for_lines(process, "finished", chance.randrange(12))
        time.sleep(chance.random() * 0.1)
        members = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert len(members) >= 3, "it had ended already, or has no workers"
        process.kill()
        process.communicate()
        _, alive = psutil.wait_procs(members, timeout=15)
        assert alive == [], "workers outlive their driver"
        reached.append(finished(run))
    assert reached == sorted(reached), "finished trials were lost"
    assert 0 < reached[-1] < TRIALS, reached
    last = search(run)
    assert last.communicate(timeout=200)[1] == ""
    trials, updates = result(run)
    assert [trial[0] for trial in trials] == list(range(TRIALS)), "none lost, none twice"
    assert (trials, updates) == result(tmp_path / "undisturbed")
    assert list(problems(run)) == []
    print(f"{KILLS} kills, after {reached} trials")
