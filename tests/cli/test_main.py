"""The list of commands: what it says of each is what the command says of itself, and it imports none of them."""

import subprocess
import sys

import pytest

from netwright.cli.main import COMMANDS, find_command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_has_the_first_line_of_each_command(name):
    command = find_command(name)
    assert command.name == name
    assert command.help.partition("\n")[0] == COMMANDS[name]


def test_help_imports_no_training_code_and_no_tables():
    """Tried: it fails when one command is imported with the list."""
    code = (
        "import sys; from netwright.cli.main import app; app(['--help'], standalone_mode=False);"
        "heavy = {'torch', 'pandas', 'pydantic', 'numpy', 'netwright.config'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert name in done.stdout


def test_a_misspelt_command_is_answered_with_the_nearest(capsys, monkeypatch):
    from netwright.cli.main import app

    with pytest.raises(SystemExit) as end:
        app(["serch"])
    assert end.value.code == 2
    assert "'search'" in capsys.readouterr().err
