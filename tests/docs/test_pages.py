"""What the pages show works: links lead somewhere, and every block of TOML, Python and shell is what it says.

Blocks are checked by their language: TOML parses, as a configuration when it has a ``name``; Python compiles, and its
imports from netwright exist; in shell, every ``netwright`` line has a command and options that exist. A block after the
comment ``<!-- run -->`` is also run, in an empty folder; after ``<!-- run next -->`` where the one above it was. One
that takes most of a minute says ``<!-- run, long -->``.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from helpers.commands import SMALL_RECIPE
from netwright.cli.main import find_command
from netwright.recipes import find_recipe
from netwright.settings_file import override, parse_assignments, parse_config
from netwright.spaces.grammar import uniform_tokens
from netwright.store.run_folder import RunFolder
from netwright.trial import Evaluation, Outcome, Proposal, State, Trial

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"(?:<!-- ((?:not )?run[^>]*) -->\n+)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUN, RUN_LONG, RUN_WITH_PHOTOS, RUN_WITH_NOTES = "run", "run, long", "run with runs/photos", "run with runs/notes"
NOT_RUN = "not run: "
"""Marks of a block of commands or Python: it runs in an empty folder, or beside a finished run; or why it does not."""
RUN_NEXT = re.compile(r"run next(?: in (\S+))?$")
"""The mark of one that runs where the block above it ran, or in a folder that was made there."""
COMPANY = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MPLCONFIGDIR") if name in os.environ}
"""What a block shares with the tests beside it: a core of its own, and a list of fonts, which takes seconds to make."""
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
LANGUAGES = {"toml", "python", "sh", "text", "sql", "json"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(page, line, match[2], match[3], match[1] or ""))
    return found


def of(*languages: str, marks: Collection[str] = ()) -> pytest.MarkDecorator:
    chosen = [b for b in blocks() if b.language in languages and (not marks or b.mark in marks)]
    long = pytest.mark.long
    return pytest.mark.parametrize(
        "block", [pytest.param(b, marks=long if marks and b.mark == RUN_LONG else (), id=str(b)) for b in chosen]
    )


def test_languages_are_known():
    unknown = [str(block) for block in blocks() if block.language not in LANGUAGES]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if not target.startswith(("http", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@of("toml")
def test_toml(block):
    if "name" in tomllib.loads(block.text):
        parse_config(block.text, str(block))


@of("python")
def test_python(block):
    tree = ast.parse(block.text, str(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netwright"):
            try:
                module = importlib.import_module(node.module)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("netwright"):
                    raise
                pytest.skip(f"{node.module} needs the extra that brings {error.name}")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block}: {node.module} has no {alias.name}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "netwright":
            assert hasattr(importlib.import_module("netwright"), node.attr), f"{block}: netwright has no {node.attr}"


def command_lines(text: str) -> list[list[str]]:
    """The words of each call of netwright in a shell script."""
    calls = []
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|", line.partition(">")[0]):
            words = shlex.split(part, comments=True)
            while words and "=" in words[0]:
                words = words[1:]
            if words and Path(words[0]).name == "netwright":
                calls.append(words[1:])
    return calls


@of("sh")
def test_shell(block):
    for words in command_lines(block.text):
        assert words, f"{block}: a command is missing"
        command, words = find_command(words[0]), words[1:]
        if inner := getattr(command, "commands", None):
            command, words = inner[words[0]], words[1:]
        parameters = command.make_context(command.name, list(words)).params
        if command.name == "search":
            override(find_recipe(parameters["recipe"] or "digits"), parse_assignments(parameters["settings"] or ()))


@of("sh", "python")
def test_every_block_runs_or_says_why_not(block):
    reason = block.mark.removeprefix(NOT_RUN)
    runs = block.mark in (RUN, RUN_LONG, RUN_WITH_PHOTOS, RUN_WITH_NOTES) or RUN_NEXT.match(block.mark)
    assert runs or (block.mark.startswith(NOT_RUN) and len(reason) > 5), block.mark
    if RUN_NEXT.match(block.mark):
        before = [b for b in blocks() if b.page == block.page and b.line < block.line]
        assert before, "nothing stands above it"
        assert not before[-1].mark.startswith(NOT_RUN), "what stands above it is not run"


def run_block(block, folder):
    """A block, and those after it that go on from it."""
    run_alone(block, folder)
    after = [b for b in blocks() if b.page == block.page and b.line > block.line]
    for following in itertools.takewhile(lambda b: RUN_NEXT.match(b.mark), after):
        run_alone(following, folder / (RUN_NEXT.match(following.mark)[1] or "."))


def run_alone(block, folder):
    """As its reader does, in a shell of its own or as a script, with no settings of this process."""
    arguments = ["bash", "-euc", block.text]
    if block.language == "python":
        # Worker processes import the main module, so it must be a file.
        (folder / "block.py").write_text(block.text, encoding="utf-8")
        arguments = [sys.executable, "block.py"]
    run(arguments, folder, str(block))


def run(arguments, folder, what):
    bin_folder = Path(sys.executable).parent
    environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(folder), "MPLBACKEND": "Agg", **COMPANY}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{what}\n{done.stdout}\n{done.stderr}"


@of("sh", "python", marks=(RUN, RUN_LONG))
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_runs(block, tmp_path):
    run_block(block, tmp_path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with pictures of three classes in ``photos/``, and a search on them in ``runs/photos``."""
    folder = tmp_path_factory.mktemp("beside-a-run")
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label < 3:
            path = folder / "photos" / ("apples", "pears", "plums")[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15).astype(np.uint8)).save(path)
    settings = ["--set", "child.epochs=1", "--trials", "20", "--out", "runs/photos"]
    run(["netwright", "search", SMALL_RECIPE, "--data", "images:photos", *settings], folder, "the run of the pages")
    return folder


@of("sh", "python", marks=(RUN_WITH_PHOTOS,))
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_runs_beside_a_finished_run(block, photos, tmp_path):
    if "sqlite3" in block.text and shutil.which("sqlite3") is None:
        pytest.skip("needs the command sqlite3")
    shutil.copytree(photos, tmp_path, dirs_exist_ok=True)
    run_block(block, tmp_path)


@of("python", marks=(RUN_WITH_NOTES,))
@pytest.mark.slow
def test_runs_beside_a_search_for_a_cell(block, tmp_path):
    """The run has one trial, which nobody trained: what stands there reads its architecture."""
    config = find_recipe("text").model_copy(update={"verdict": None})
    folder = RunFolder.create(tmp_path / "runs" / "notes", config, {"unit": "word", "vocabulary": ["<unk>", "<eos>"]})
    tokens = uniform_tokens(config.space.plan(), random.Random(0))
    folder.start([(Proposal(id=0, tokens=tokens), config.space.decode(tokens))])
    trial = Trial(id=0, tokens=tokens, state=State.COMPLETE, reward=0.5)
    folder.finish(trial, Outcome(id=0, result=Evaluation(valid=100.0), seconds=1.0), None, None)
    folder.store.close()
    run_block(block, tmp_path)


def test_own_pictures_take_at_most_five_commands_or_ten_lines():
    """From the installation to a trained network that is exported, as the README shows it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = [block for block in blocks() if block.page == ROOT / "README.md"]
    own = [words for b in shown if b.language == "sh" and "images:photos" in b.text for words in command_lines(b.text)]
    assert [words[0] for words in own] == ["data", "search", "train", "export"]
    assert "pip install" in text
    assert 1 + len(own) <= 5
    [python] = [b.text for b in shown if b.language == "python" and ".export(" in b.text]
    assert ".train(" in python
    assert sum(bool(line.strip()) for line in python.splitlines()) <= 10
