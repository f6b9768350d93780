"""What the commands show: words that a person can type, whole lines, and what to do next."""

import io
import re
import shlex

import pytest
import typer
from typer.testing import CliRunner

from netwright.cli.main import COMMANDS, app, find_command
from netwright.cli.terminal import across, tell, tell_next
from netwright.recipes import RECIPES, find_recipe
from netwright.settings_file import override
from netwright.tasks import KINDS


def call(*arguments):
    """Runs a command in this process: its exit code, what it prints, and what it says beside that."""
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "80", "TERM": "dumb"})


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["data", "check"]], ids=" ".join)
def test_help_names_what_to_type_and_no_types_of_python(words):
    """Tried: without plain words, ``--json <bool>`` asks for a value that it does not take."""
    shown = call(*words, "--help").stdout
    assert "Usage:" in shown
    assert re.findall(r"<[\w\[\] ]+>", shown) == []
    command = typer.main.get_command(app) if not words else find_command(words[0])
    if words[1:]:
        command = command.commands[words[1]]
    switches = [p for p in command.params if getattr(p, "is_flag", False)]
    assert all(p.metavar == "" for p in switches)
    arguments = [p.metavar for p in command.params if not p.opts[0].startswith("-")]
    assert all(name.partition(".")[0].upper() == name.partition(".")[0] for name in arguments), arguments


def test_a_paragraph_of_help_is_broken_by_the_screen_alone():
    """Tried: with the lines of the source, one ends in the middle of the screen."""
    assert "the best so far by trials and by processor seconds." in find_command("report").help
    assert find_command("bench").help.count("\n\n") == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_sentences_are_broken_between_words_and_commands_are_not(monkeypatch):
    """Tried: left to the terminal, words are cut in two; a command that is broken cannot be pasted."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stderr", shown := Terminal())
    sentence = "words that do not fit into one line of thirty"
    tell(sentence)
    tell(sentence, whole=True)
    steps = {"netwright train runs/a-run-with-a-long-name": "train it to the end", "netwright trials x": "see"}
    tell_next(steps)
    lines = shown.getvalue().splitlines()
    assert lines[:2] == ["words that do not fit into one", "line of thirty"]
    assert lines[2] == sentence
    assert lines[3] == "next: netwright train runs/a-run-with-a-long-name  # train it to the end"
    assert lines[4] == "      netwright trials x                           # see"
    assert [shlex.split(line.removeprefix("next: "), comments=True) for line in lines[3:]] == [
        shlex.split(step) for step in steps
    ]
    assert across(shown) == 30
    assert across(io.StringIO()) is None


def test_what_is_said_gives_a_terminal_no_orders(monkeypatch):
    monkeypatch.setattr("sys.stderr", shown := io.StringIO())
    tell("run \x1b[2J")
    tell_next({"netwright train '\x1b[2J'": "train"})
    assert "\x1b" not in shown.getvalue()
    assert shown.getvalue().count("\\x1b") == 2


def test_checked_data_lead_to_a_search_and_one_is_not_several(tmp_path):
    from PIL import Image

    for name, colours in {"dark": range(0, 120, 4), "light": range(130, 250, 4)}.items():
        (tmp_path / "my pictures" / name).mkdir(parents=True)
        for colour in colours:
            Image.new("L", (8, 8), colour).save(tmp_path / "my pictures" / name / f"{colour}.png")
    source = f"images:{tmp_path}/my pictures"
    done = call("data", "check", source, "--set", "data.image_size=8")
    assert done.exit_code == 0, done.output
    [line] = [line for line in done.stderr.splitlines() if line.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "), comments=True)
    assert words == ["netwright", "search", "images", "--data", source, "--set", "data.image_size=8"]
    (tmp_path / "my pictures" / "dark" / "none.png").write_bytes(b"no picture")
    done = call("data", "check", source)
    assert done.exit_code != 0
    assert "\n1 defect\n" in done.output
    assert "next:" not in done.output


@pytest.mark.parametrize(
    ("source", "options", "search", "said"),
    [
        ("pydoc", [], "text", "pydoc"),
        ("pydoc", ["--unit", "word"], "text-words", "vocabulary  2,000 words"),
        ("pydoc", ["--unit", "character"], "text", "characters"),
        ("pydoc", ["--recipe", "text", "--unit", "word"], "text --set data.unit=word", "words"),
        ("text:{}", [], "text --data text:{}", "characters"),
        ("hf:{}", ["--kind", "text"], "text --data hf:{}", "characters"),
        ("hf:{}", ["--kind", "text", "--unit", "word"], "text-words --data hf:{}", "words"),
        ("ptb:{}", [], "penn-treebank-small --data ptb:{}", "100,000"),
        ("digits", [], "digits", "400"),
    ],
)
def test_data_are_checked_as_the_search_that_is_recommended_reads_them(tmp_path, source, options, search, said):
    """Tried: a recipe for the check and another one for the search told of words where characters are read."""
    (tmp_path / "train.txt").write_text("a few words of text\n" * 24_000)
    done = call("data", "check", source.format(tmp_path), *options)
    assert done.exit_code == 0, done.output
    assert said in done.stdout
    [line] = [line for line in done.stderr.splitlines() if line.startswith("next: ")]
    told = line.removeprefix("next: ").partition("#")[0].strip()
    assert told == f"netwright search {search.format(tmp_path)}"
    _, _, recipe, *changes = shlex.split(told)
    config = find_recipe(recipe)
    given = {"data.source": changes[changes.index("--data") + 1]} if "--data" in changes else {}
    report = KINDS[config.data.kind].check(override(config, given).data, config.child)
    assert report.lines()[:2] == done.stdout.splitlines()[:2] or "--set" in changes


@pytest.mark.parametrize(("cell", "exported"), [("lstm", True), ("torch-lstm", False)])
def test_a_training_leads_to_an_export_where_there_is_one(tmp_path, cell, exported):
    """Tried: PyTorch's own layer was recommended for an export, which it is refused."""
    (tmp_path / "notes.txt").write_text("a text of some words " * 5)
    small = [word for setting in ("hidden=4", "batch_size=2") for word in ("--set", f"child.{setting}")]
    where = ["--data", f"text:{tmp_path / 'notes.txt'}", "--out", tmp_path / "out"]
    done = call("train", cell, "--recipe", "text", "--epochs", 1, *small, *where)
    assert done.exit_code == 0, done.output
    assert "next: netwright generate" in done.stderr
    assert ("netwright export" in done.stderr) == exported
    assert call("export", tmp_path / "out", "--to", tmp_path / "files").exit_code == (0 if exported else 1)


def test_the_machine_is_told_in_words_below_each_other():
    """Tried: with one width for all names, the longest one shifts its line; versions were a dictionary of Python."""
    lines = call("doctor").stdout.splitlines()
    assert not [line for line in lines if "{" in line or "None" in line]
    starts = {re.match(r"\S+ +", line).end() for line in lines}
    assert len(starts) == 1
    assert any(line.startswith("torch ") for line in lines)


def test_recipes_lead_to_a_search():
    done = call("recipes")
    assert all(name in done.stdout for name in RECIPES)
    assert "`" not in done.stdout
    assert "netwright search NAME" in done.stderr


def test_a_table_that_there_is_not_is_refused_before_the_bar():
    done = call("bench", "nasbench999")
    assert isinstance(done.exception, Exception)
    assert "expected one of the tables" in str(done.exception)
    assert "0/" not in done.output
