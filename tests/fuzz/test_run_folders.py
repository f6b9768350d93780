"""Whatever becomes of the files of a run folder: a command ends with a documented code and a message, no traceback.

And the doctor calls no folder whole that is not. Twenty cases; ``NETWRIGHT_FUZZ=2000 pytest -m slow tests/fuzz`` tries
so many (five minutes of one core). A case depends on its number alone.
"""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import traceback
from contextlib import closing, suppress
from pathlib import Path

import pytest

from helpers.run_folders import command, make_all
from netwright.store.run_folder import KEPT_CHECKPOINTS

CASES = int(os.environ.get("NETWRIGHT_FUZZ", "20"))
TOGETHER = 100
"""Cases of a test."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCUMENTED = {0, 2, 3, 4, 5}
"""Exit codes but for that of a bug and of an interruption."""

SHORT = ("--epochs", "1", "--set", "data.train_limit=60")

COMMANDS = {
    "images": [
        ["trials", "@"], ["trials", "@", "--json"], ["show", "@"], ["report", "@"], ["front", "@"],
        ["front", "@", "--json"],
        ["verdict", "@", "--quiet"], ["doctor", "@"], ["doctor", "@", "--rebuild"], ["export", "@", "--to", "%/to"],
        ["export-optuna", "@", "--storage", "sqlite://"], ["train", "--resume", "@/trials/*/training"],
        ["tune", "@", "--out", "%/out", "--workers", "1"], ["predict", "@", "%/../picture.png"],
        ["search", "--resume", "@", "--quiet"], ["search", "--resume", "@", "--trials", "8", "--json"],
        ["search", "%/../images.toml", "--controller-from", "@", "--out", "%/out", "--trials", "1", "--no-verdict"],
    ],
    "stopped": [
        ["search", "--resume", "@", "--trials", "7"], ["verdict", "@"], ["trials", "@"], ["show", "@", "--trial", "2"],
        ["train", "--resume", "@/trials/*/training"], ["export", "@", "--to", "%/to"], ["doctor", "@"],
        ["train", "@", "--trial", "2", "--out", "%/out", *SHORT], ["report", "@"],
        ["doctor", "@", "--rebuild"],
    ],
    "text": [
        ["generate", "@", "--tokens", "3", "--prompt", "the cat"], ["export", "@", "--to", "%/to"], ["show", "@"],
        ["train", "--resume", "@/trials/*/training"], ["search", "--resume", "@", "--trials", "5"], ["report", "@"],
        ["doctor", "@"], ["front", "@"], ["predict", "@", "%/../picture.png"], ["trials", "@"],
    ],
    "tuning": [
        ["tune", "--resume", "@", "--quiet"], ["show", "@"], ["trials", "@"], ["report", "@"], ["doctor", "@"],
        ["train", "@", "--out", "%/out", *SHORT], ["doctor", "@", "--rebuild"],
    ],
}  # fmt: skip
"""``@`` is the folder, ``%`` the one around it, ``*`` the trial that was trained."""

VALUES = (
    None, True, [], {}, "", 0, -1, 10**30, 1e308, float("nan"), float("inf"), "\x1b]0;x\x07", "../../x", "\ud800",
    [[]], {"a": None}, "x" * 1000, 0.5, [1, 2, 3],
)  # fmt: skip


def flip(path, stream):
    content = bytearray(path.read_bytes())
    for _ in range(stream.choice((1, 1, 1, 3)) if content else 0):
        content[stream.randrange(len(content))] ^= 1 << stream.randrange(8)
    path.write_bytes(content)


def cut(path, stream):
    content = path.read_bytes()
    path.write_bytes(content[: stream.randrange(len(content) + 1)])


def other_bytes(path, stream):
    path.write_bytes(stream.randbytes(stream.choice((1, 50, 5000))))


def other_text(path, stream):
    texts = ("[]", "{}", "null", '"x"', "3", "[" * 100_000, '{"a": ' * 50_000, "9" * 5000, "\x1b]0;x\x07", "\ufeff{}")
    path.write_text(stream.choice(texts))


def other_value(path, stream):
    """One value of a JSON file, or of a line of a TOML file, is another one."""
    try:
        tree = json.loads(path.read_bytes())
    except ValueError:
        lines = path.read_text(errors="replace").splitlines()
        place = stream.randrange(len(lines) or 1)
        values = ("= nan", "= -1", "= 1e400", "= []", '= "x"', "= " + "9" * 5000, "", "[x]", "= 1" + "0" * 30)
        lines[place : place + 1] = [lines[place].partition("=")[0] + stream.choice(values)] if lines else []
        path.write_text("\n".join(lines) + "\n")
        return
    at = tree
    while isinstance(at, dict | list) and at:
        key = stream.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if not isinstance(at[key], dict | list) or not at[key] or stream.random() < 0.3:
            how = stream.randrange(4)
            if how == 0:
                del at[key]
            elif how == 1 and isinstance(at, dict):
                at["\x1b[31m"] = at.pop(key)
            else:
                at[key] = stream.choice(VALUES)
            break
        at = at[key]
    path.write_text(json.dumps(tree))


def empty(path, stream):
    path.write_bytes(b"")


def gone(path, stream):
    path.unlink()


def folder(path, stream):
    path.unlink()
    path.mkdir()
    if stream.random() < 0.5:
        (path / "x").write_text("x")


def pipe(path, stream):
    path.unlink()
    os.mkfifo(path)


def link(path, stream):
    """To its own content elsewhere, to nothing, to itself, or to a device."""
    there = _run_of(path).parent / "elsewhere"
    shutil.copy(path, there)
    path.unlink()
    path.symlink_to(stream.choice((there, there, "/nothing", path, "/dev/zero")))


def swapped(path, stream):
    others = sorted(other for other in _run_of(path).rglob("*") if other.is_file())
    other = stream.choice(others)
    mine, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(mine)


def parent_gone(path, stream):
    shutil.rmtree(path.parent if path.parent != _run_of(path) else _run_of(path) / "trials")


def parent_a_file(path, stream):
    parent_gone(path, stream)
    place = path.parent if path.parent != _run_of(path) else _run_of(path) / "trials"
    place.write_text("x")


CELLS = (
    None, -1, 0, 1, 10**18, 9e999, 0.25, "x", "{", "[]", "{}", "[1e999]", '{"valid": "x"}', b"\xff", "[" * 9999,
    '{"valid": true}', "complete", '{"kind": "conv", "layers": []}', "\ud7ff\x1b]0;x",
)  # fmt: skip


def row(path, stream):
    """A value of the database is another one."""
    with closing(sqlite3.connect(_run_of(path) / "trials.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        table = stream.choice(("trials", "trials", "updates", "sessions"))
        names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        where = " WHERE rowid % 3 = 1" if stream.random() < 0.5 else ""
        try:
            connection.execute(f"UPDATE {table} SET {stream.choice(names)} = ?{where}", (stream.choice(CELLS),))
        except sqlite3.IntegrityError:
            connection.execute(f"DELETE FROM {table}{where}")


def _run_of(path):
    return next(parent for parent in (path, *path.parents) if parent.name in COMMANDS)


DAMAGE = (
    *[flip] * 6, *[cut] * 2, *[other_value] * 7, *[row] * 2, other_bytes, other_text, other_text, empty, gone, gone,
    folder, pipe, link, swapped, swapped, parent_gone, parent_a_file,
)  # fmt: skip

UNCHECKED = ("lock", "report.html", "workers", "tensorboard", "trials.db-shm", "trials.db-wal")
"""What no result depends on, or (the last two) belongs to the database, whose rows are looked at."""


def meaning(run):
    """What a run folder says, by file: what is whole says the same as before."""
    said = {}
    if not (run / "trials").is_dir():
        return said
    kept = sorted(path.name for path in (run / "controller").glob("*.safetensors"))[-KEPT_CHECKPOINTS:]
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if name.split("/")[0] in UNCHECKED or path.name == "lock" or (path.is_dir() and not path.is_symlink()):
            continue
        if name.startswith("controller/") and path.name not in kept:
            continue
        if path.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
            said[name] = "no file"
        elif name == "trials.db":
            said[name] = rows(path)
        else:
            said[name] = _content(path)
    return said


def _content(path):
    content = path.read_bytes()
    if path.suffix == ".json":
        with suppress(ValueError, RecursionError):
            content = json.dumps(json.loads(content), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def rows(database):
    """Everything that can be read in a database, but for the seconds of sessions.

    They may be those at the last trial, and one trial may lack its end: so a search that was killed leaves it.
    """
    run, copy = database.parent, database.parent.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("trials.db", "trials.db-wal"):
        if (run / name).is_file():
            shutil.copy(run / name, copy)
    try:
        with closing(sqlite3.connect(copy / "trials.db")) as connection:
            connection.text_factory = bytes
            trials, updates = (connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in TABLES)
    except sqlite3.Error as error:
        return [repr(error)]
    return [*map(repr, trials), *map(repr, updates)]


TABLES = ("trials", "updates")


def differing(before, now):
    """The names of the files that say something else than before."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if not any("/training/" in name for name in now):  # taken away as a whole, which nothing else depends on
        names = [name for name in names if "/training/" not in name]
    # From a checkpoint that is gone, the seed starts again.
    names = [name for name in names if not (name.endswith("checkpoint.safetensors") and name not in now)]
    lost = [row for row in before.get("trials.db", ()) if row not in now.get("trials.db", ())]
    new = [row for row in now.get("trials.db", ()) if row not in before.get("trials.db", ())]
    if "trials.db" in names and len(lost) <= 2 and all("b'running'" in row for row in new) and len(new) <= 1:
        names.remove("trials.db")  # an end that was written down in the trial's file only
    return names


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    make_all(root)
    return root


def one_case(made, number):
    """Tries the case of a number; returns what is wrong with what came of it."""
    stream, scratch = random.Random(number), made / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    base = stream.choice(("images", "images", "images", "stopped", "text", "tuning"))
    run = shutil.copytree(made / base, scratch / base)
    whole = meaning(run)
    training = next(iter(run.glob("trials/*/training")), run / "none")
    files = sorted(path for path in run.rglob("*") if path.is_file())
    seldom = [path for path in files if path.parent.parent.name == "trials"]
    often = [path for path in files if path not in seldom]
    path = stream.choice(stream.choice((seldom, often, often)))
    how = stream.choice(DAMAGE)
    how(path, stream)
    words = [
        word.replace("@/trials/*/training", str(training)).replace("@", str(run)).replace("%", str(scratch))
        for word in stream.choice(COMMANDS[base])
    ]
    told = f"case {number}: {how.__name__} of {path.relative_to(scratch)}; {' '.join(words)}"
    wrong = []
    for arguments in (["doctor", str(run)], words):
        try:
            code, out, err = command(*arguments)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            last = traceback.extract_tb(error.__traceback__)
            frames = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(last[-6:]))
            wrong.append(f"{told}\n    {arguments[0]}: {type(error).__name__}: {str(error)[:300]}\n    {frames}")
            continue
        if code not in DOCUMENTED or ("Traceback" in err + out and arguments[0] != "trials") or not out + err:
            wrong.append(f"{told}\n    {arguments[0]}: code {code}: {out[-300:]} {err[-500:]}")
        if "\x1b]" in out + err:
            wrong.append(f"{told}\n    {arguments[0]}: an escape is obeyed: {out + err!r}")
        if arguments is not words and ": whole;" in out and (names := differing(whole, meaning(run))):
            wrong.append(f"{told}\n    called whole, and is not: {names}")
    return wrong


@pytest.mark.parametrize("first", range(0, CASES, TOGETHER))
def test_a_damaged_run_folder(made, first, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("netwright.store.integrity.SECOND_LOOK", 0.0)
    wrong = [line for number in range(first, min(first + TOGETHER, CASES)) for line in one_case(made, number)]
    assert not wrong, "\n".join(wrong)
    assert not list(tmp_path.iterdir())
