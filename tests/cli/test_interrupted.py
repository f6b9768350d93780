"""Ctrl-C at any time, and from a script: one sentence that says how to go on."""

import shlex
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

import netwright
from helpers.commands import SMALL_RECIPE
from netwright.cli.main import COMMANDS, app, main
from netwright.errors import AllChildrenFailError
from netwright.spaces.conv import ConvSpace


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


def call(*arguments):
    with mock.patch.object(sys, "argv", ["netwright", *map(str, arguments)]):
        return app(sys.argv[1:], standalone_mode=False)


def test_before_anything_is_made_the_command_is_said_again(tmp_path, monkeypatch, capsys):
    """Tried: with Ctrl-C caught around the trials alone, nothing is said."""
    arguments = ["search", SMALL_RECIPE, "--out", str(tmp_path / "a run"), "--trials", "3"]
    monkeypatch.setattr("netwright.cli.search.prepare", interrupt)
    monkeypatch.setattr(sys, "argv", ["netwright", *arguments])
    assert call(*arguments) == 130
    said = f"stopped before anything was made; to start again: netwright search {SMALL_RECIPE} --out '{tmp_path}/a run'"
    assert capsys.readouterr().err == f"{said} --trials 3\n"
    assert list(tmp_path.iterdir()) == []


def test_before_the_first_trial_the_run_is_resumed(tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    monkeypatch.setattr("netwright.cli.conduct.run", interrupt)
    assert call("search", SMALL_RECIPE, "--out", run, "--workers", 1, "--quiet") == 130
    said = f"stopped, and saved; to resume: netwright search --resume {run}\n"
    assert capsys.readouterr().err == said
    monkeypatch.setattr("netwright.cli.search.prepare", interrupt)
    assert call("search", "--resume", run) == 130
    assert capsys.readouterr().err == said


@pytest.fixture
def begun(tmp_path, monkeypatch, capsys):
    """A run that was stopped before its first trial."""
    with monkeypatch.context() as patch:
        patch.setattr("netwright.cli.conduct.run", interrupt)
        call("search", SMALL_RECIPE, "--out", tmp_path / "run", "--workers", 1, "--quiet")
    capsys.readouterr()
    return tmp_path / "run"


def test_a_search_on_a_cluster_is_resumed_there(tmp_path, monkeypatch, capsys):
    """Tried: without the address, the line that is printed resumes it on a Ray of this machine."""
    monkeypatch.setattr("netwright.session.find_spec", lambda name: True)  # of Ray, which is not reached
    run, address = tmp_path / "run", ("--ray-address", "head:6379")
    said = f"to resume: netwright search --resume {run} --ray-address head:6379\n"
    monkeypatch.setattr("netwright.cli.conduct.run", interrupt)
    assert call("search", SMALL_RECIPE, "--executor", "ray", *address, "--out", run, "--quiet") == 130
    assert capsys.readouterr().err == f"stopped, and saved; {said}"
    monkeypatch.setattr("netwright.cli.conduct.run", fail)
    assert call("search", "--resume", run, *address) == AllChildrenFailError.exit_code
    assert capsys.readouterr().err.endswith(f"error: all fail\nstopped, and saved; {said}")


def fail(*arguments, **options):
    raise AllChildrenFailError("all fail")


def test_what_was_asked_of_a_run_before_it_was_stored_is_asked_again(begun, monkeypatch, capsys):
    """Tried: with the folder alone named, the command that is printed asks for another verdict, or other trials."""
    monkeypatch.setattr("netwright.cli.search.prepare", interrupt)
    monkeypatch.setattr("netwright.cli.verdict.prepare_verdict", interrupt)
    for command in (
        ("verdict", begun, "--seeds", 10, "--top", 16, "--reference", "vgg"),
        ("search", "--resume", begun, "--trials", 300),
    ):
        assert call(*command) == 130
        said = f"stopped, and saved; to resume: netwright {shlex.join(map(str, command))}\n"
        assert capsys.readouterr().err == said


def test_a_comparison_that_is_interrupted_is_asked_for_in_the_same_way(begun, monkeypatch, capsys):
    """Tried: with the seeds alone, what is printed trains both for other epochs than were asked for."""
    monkeypatch.setattr("netwright.cli.lead.rivals_of", lambda folder: SimpleNamespace(found=None))
    monkeypatch.setattr("netwright.cli.lead.way_of", lambda rivals: None)
    monkeypatch.setattr("netwright.networks.training.final_config", lambda network, **options: None)
    monkeypatch.setattr("netwright.cli.lead.train_rivals", interrupt)
    command = ["train", str(begun), "--compare", "--epochs", "3", "--set", "child.learning_rate=0.2"]
    assert call(*command) == 130
    assert capsys.readouterr().err == f"stopped, and saved; to resume: netwright {shlex.join(command)}\n"


@pytest.mark.parametrize("where", ["prepare", "run"])
def test_a_search_from_python_says_which_call_resumes_it(tmp_path, monkeypatch, where):
    monkeypatch.setattr(f"netwright.library.{where}", interrupt)
    space = ConvSpace(depth=1)
    with pytest.raises(KeyboardInterrupt, match=f"call run_search in the same way once more, with '{tmp_path}/run'"):
        netwright.run_search(SMALL_RECIPE, tmp_path / "run", space=space, settings={"search.workers": 1})


NAMES = {"data": ["check", "digits"], "export": ["lstm", "--to", "export"], "recipes": ["digits"]}
"""Arguments of commands that do something without a run."""


@pytest.fixture
def deaf(monkeypatch):
    """The signals of the tests stay those of pytest."""
    monkeypatch.setattr("netwright.interrupts.listen", lambda: None)


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_interrupted_while_it_is_imported_says_so(name, monkeypatch, capsys):
    """Tried: without the sentence of the group, the exit code is 130 and nothing is said."""
    arguments = [name, *NAMES.get(name, ["a run"])]
    monkeypatch.setattr("netwright.cli.main.import_module", interrupt)
    monkeypatch.setattr(sys, "argv", ["netwright", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    said = f"stopped; to start again: netwright {shlex.join(arguments)}\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.usefixtures("deaf")
def test_a_command_that_is_interrupted_while_it_reads_says_so(monkeypatch, capsys):
    monkeypatch.setattr("netwright.cli.trials.RunFolder.open", interrupt)
    monkeypatch.setattr(sys, "argv", ["netwright", "trials", "somewhere"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "stopped; to start again: netwright trials somewhere\n"


EARLY = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from netwright.__main__ import main
main()
"""


def test_ctrl_c_before_the_command_line_is_there_has_no_traceback():
    done = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped before anything was begun\n")


SCRIPT = """
import os, signal
from netwright.interrupts import resumable
with resumable("to resume, call it again"):
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_script_ends_as_python_scripts_do_with_a_sentence_for_a_traceback():
    """Tried: without the hook, ten lines of traceback."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stderr == "stopped, and all that was finished is saved; to resume, call it again\n"
    assert done.returncode == -2, "ended by SIGINT, which a shell calls 130"


def test_other_errors_keep_their_traceback():
    script = SCRIPT.replace("with resumable", "try:\n  with resumable").replace("    os.kill", "      os.kill")
    script += "except KeyboardInterrupt:\n  raise ValueError('mine') from None\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: mine\n")
