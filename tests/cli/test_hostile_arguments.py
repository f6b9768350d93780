"""Every command with arguments that nobody means: an exit code of the documentation, one message, no traceback."""

import os
import sys

import pytest

from netwright.cli import main as cli

PLACES = {
    "nothing": "{}/nothing",
    "an empty file": "{}/empty",
    "bytes": "{}/bytes",
    "a folder": "{}/folder",
    "a device": "/dev/null",
    "a zero character": "a\0b",
    "a name of 300 letters": "x" * 300,
    "a pipe": "{}/pipe",
    "a half run": "{}/half",
    "a blank": " ",
    "escapes": "{}/\x1b]0;x\x07",
}

COMMANDS = {
    "search --resume": ["search", "--resume", "@"],
    "search RECIPE": ["search", "@.toml"],
    "search --data": ["search", "--data", "images:@", "--out", "{}/out"],
    "search text": ["search", "text", "--data", "text:@", "--out", "{}/out"],
    "search --controller-from": ["search", "--controller-from", "@", "--out", "{}/empty/out"],
    "recipes": ["recipes", "@"],
    "trials": ["trials", "@"],
    "show": ["show", "@"],
    "export": ["export", "@", "--to", "{}/to"],
    "export-optuna": ["export-optuna", "@", "--storage", "sqlite://"],
    "report": ["report", "@"],
    "verdict": ["verdict", "@"],
    "train --resume": ["train", "--resume", "@"],
    "tune": ["tune", "@", "--out", "{}/out"],
    "doctor": ["doctor", "@"],
    "doctor --rebuild": ["doctor", "@", "--rebuild"],
    "data check": ["data", "check", "images:@"],
    "data check cifar10": ["data", "check", "cifar10:@"],
    "data check text": ["data", "check", "text:@"],
    "bench": ["bench", "nasbench-macro", "--table", "@"],
    "predict": ["predict", "@", "{}/bytes"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    (root / "empty").touch()
    (root / "bytes").write_bytes(bytes(range(256)) * 10)
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "half").mkdir()
    (root / "half" / "config.toml").write_text('name = "x"\n')
    (root / "half" / "trials.db").write_bytes(b"SQLite format 3\0" + bytes(50))
    return root


@pytest.mark.timeout(20)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_nobody_means_is_one_message(folder, monkeypatch, capsys, arguments, place):
    """Tried: without :mod:`netwright.cli.errors`, a zero character or a long name is a traceback."""
    there = [argument.replace("@", place).replace("{}", str(folder)) for argument in arguments]
    monkeypatch.setattr(cli.interrupts, "listen", lambda: None)
    monkeypatch.setattr(sys, "argv", ["netwright", *there])
    monkeypatch.chdir(folder / "folder")
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert end.value.code in (2, 3, 4), err
    assert out + err
    assert "Traceback" not in err
    assert "\x1b]" not in out + err
    assert "pydantic" not in err
    assert not list((folder / "folder").iterdir())
