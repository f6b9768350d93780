"""Terminals that lack letters, colours or width, and places that cannot be written."""

import subprocess
import sys

import pytest

from helpers.commands import ENVIRONMENT, NETWRIGHT, SMALL


def run(*arguments, **environment):
    return subprocess.run(
        [*NETWRIGHT, *map(str, arguments)], capture_output=True, env=ENVIRONMENT | environment, check=False, timeout=60
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_letters_shows_something_else_for_them(encoding):
    code = "import sys; sys.argv = ['netwright', 'show', 'Ωmega']; from netwright.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, env=ENVIRONMENT | {"PYTHONIOENCODING": encoding, "LANG": "C"}, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ?mega: no folder of a run")


@pytest.mark.parametrize("columns", ["20", "1"])
def test_a_narrow_terminal(columns):
    done = run("show", "figure7", COLUMNS=columns, TERM="dumb", NO_COLOR="1")
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    done = run("search", "--out", tmp_path / "file" / "run")
    assert done.returncode == 4
    assert done.stderr.decode() == f"error: {tmp_path / 'file' / 'run'}: cannot be written: Not a directory\n"


@pytest.mark.slow
@pytest.mark.long
def test_a_home_that_cannot_be_written(tmp_path):
    """No file of ours, nor of the libraries that we use, has to be in the user's home."""
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    places = {"HOME": home, "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home, "TMPDIR": tmp_path}
    done = run(*SMALL, "--trials", 2, "--out", tmp_path / "run", **{name: str(path) for name, path in places.items()})
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
