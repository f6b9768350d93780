"""The site is built without a warning, and every public name has a place in it."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netwright

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.docs, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as ``make docs`` builds it."""
    pytest.importorskip("sphinx", reason="needs the extra [docs]")
    out = tmp_path_factory.mktemp("site")
    recipe = re.search(r"^docs:\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    words = [
        sys.executable if word == "python" else str(out) if word == "build/site" else word for word in recipe.split()
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_every_public_name_has_a_place(site):
    """Tried: without ``netwright.store`` among the packages of ``docs/conf.py``, its names are missing."""
    packages = ["netwright", *(f"netwright.{m.name}" for m in pkgutil.iter_modules(netwright.__path__) if m.ispkg)]
    missing = []
    for package in packages:
        page = site / "docs" / "api" / f"{package}.html"
        html = page.read_text(encoding="utf-8") if page.exists() else ""
        for name in getattr(importlib.import_module(package), "__all__", ()):
            if not name.startswith("_") and not re.search(rf'(id="|#){package.split(".")[0]}[\w.]*\.{name}"', html):
                missing.append(f"{package}.{name}")
    assert missing == []


def test_pages_lead_to_each_other(site):
    index = (site / "docs" / "index.html").read_text(encoding="utf-8")
    how_tos = sorted((ROOT / "docs" / "how-to").glob("*.md"))
    assert [page.stem for page in how_tos if f"how-to/{page.stem}.html" not in index] == []
    assert (site / "index.html").exists()
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        local = {target.partition("#")[0] for target in re.findall(r'<a [^>]*href="([^"#?][^"?]*)"', html)}
        for target in local:
            if not re.match(r"\w+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(site)}: {target}"


def test_what_is_to_be_typed_is_as_it_is_typed(site):
    """Tried: with typographic dashes, ``--resume`` is printed as a dash and a word, and cannot be pasted."""
    commands = (site / "docs" / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "with --resume" in commands
    assert "–resume" not in commands


def test_the_menu_has_what_people_do_before_why_it_was_decided(site):
    """Tried: with the decisions below "Understand", the first screen of the menu has no how-to."""
    index = (site / "docs" / "index.html").read_text(encoding="utf-8")
    captions = re.findall(r'class="caption-text">([^<]*)<', index)
    assert captions[:2] == ["Understand", "Do"]
    assert captions.index("Decisions") > captions.index("Look up")
