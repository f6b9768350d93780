"""The documentation as a site: ``make docs``. The pages stay plain Markdown; what only a site has is made here.

The source folder is that of the project, so that links from the pages to the README, to examples and to tests lead
somewhere in both forms. The Python API is one page per package, made of docstrings: :func:`write_api`.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

import netwright

HERE = Path(__file__).parent
API = HERE / "api"
"""Made at every build, ignored by git."""

project = "netwright"
author = "the netwright developers"
release = version = netwright.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["docs/**", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = ["docs/pictures/make.py", "docs/reference/make.py", "docs/conf.py"]
root_doc = "docs/index"
html_theme = "furo"
html_title = f"netwright {release}"
html_extra_path = ["site"]
html_show_sourcelink = False
html_show_copyright = False  # the licence is named in the README
smartquotes = False  # else --resume is printed with a dash, and cannot be pasted
templates_path: list[str] = []
myst_heading_anchors = 3
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of records are listed once, in the docstring
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

CONTENTS = {
    "Understand": ["What it is, and a first search </README>", "concepts"],
    "Do": ["cluster"],
    "Look up": ["reference/commands", "reference/configuration", "reference/run-folder", "reliability", "api/index"],
    "See what was tried": ["experiments", "experiments/strategies"],
    "Decisions": sorted(f"adr/{path.stem}" for path in (HERE / "adr").glob("*.md")),
    "About": ["../CHANGELOG", "../CONTRIBUTING"],
}
"""The menu beside the pages; the how-tos are added in the order in which the index names them."""

PACKAGES = {
    "netwright": "The front door: what most programs need.",
    "netwright.spaces": "Tokens and architectures.",
    "netwright.data": "What children learn from.",
    "netwright.children": "From an architecture to a trained module.",
    "netwright.controller": "The recurrent network that writes architectures.",
    "netwright.strategies": "Who proposes.",
    "netwright.search": "The loop and its protocols.",
    "netwright.store": "The run folder.",
    "netwright.networks": "A found network: trained, tested, exported.",
    "netwright.report": "Text, pictures and pages of a run.",
    "netwright.recipes": "Whole experiments.",
    "netwright.tasks": "Kinds of things to learn.",
    "netwright.benchmarks": "Tables of trained networks.",
    "netwright.comparison": "Strategies against each other on a table.",
    "netwright.export": "Files that need only PyTorch.",
    "netwright.integrations": "The controller in other libraries.",
    "netwright.runtime": "Worker processes and clusters.",
}
"""All packages with public names, and what they are for."""

CONTRACTS = ("netwright.testing.spaces", "netwright.testing.strategies", "netwright.testing.executors")
"""Modules of test suites that your own parts can be held to."""


def public_names(package: str) -> list[str]:
    """The public names of a package, in alphabetical order."""
    return sorted(name for name in importlib.import_module(package).__all__ if not name.startswith("_"))


def home_of(package: str, name: str) -> str:
    """Where a public name is documented: in the first of the packages that has the same object."""
    wanted = getattr(importlib.import_module(package), name)
    for candidate in PACKAGES:
        if name in public_names(candidate) and getattr(importlib.import_module(candidate), name) is wanted:
            return candidate
    raise LookupError(f"{package}.{name}: add {package} to PACKAGES")


def write_api(app: Sphinx) -> None:
    """Writes a page per package, and one that lists them, from what the packages themselves say is public."""
    shutil.rmtree(API, ignore_errors=True)
    API.mkdir()
    for package in PACKAGES:
        (API / f"{package}.rst").write_text(_page(package), encoding="utf-8")
    contracts = "".join(f".. automodule:: {module}\n   :members:\n   :undoc-members:\n\n" for module in CONTRACTS)
    (API / "netwright.testing.rst").write_text(f"{_title('netwright.testing')}{contracts}", encoding="utf-8")
    lines = [f"   {package}" for package in (*PACKAGES, "netwright.testing")]
    text = "Everything that a program may rely on; a name that is public in several packages has one page.\n"
    listing = "\n".join(["\n.. toctree::\n   :maxdepth: 1\n", *lines])
    (API / "index.rst").write_text(f"{_title('Python API')}{text}{listing}\n", encoding="utf-8")


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n\n"


def _page(package: str) -> str:
    """What a package is for, and each of its names: documented here, or a link to where it is."""
    parts, elsewhere = [f"{_title(package)}{PACKAGES[package]}\n"], []
    for name in public_names(package):
        home = home_of(package, name)
        if home == package:
            parts.append(_entry(f"{package}.{name}", getattr(importlib.import_module(package), name)))
        else:
            elsewhere.append(f"* ``{name}``: :py:obj:`{home}.{name}`")
    if elsewhere:
        parts.insert(1, "Also here:\n\n" + "\n".join(elsewhere) + "\n")
    return "\n".join(parts)


def _entry(path: str, found: object) -> str:
    """The directive that documents a public name."""
    if inspect.isclass(found):
        bases = "" if found.__bases__ == (object,) else "   :show-inheritance:\n"
        return f".. autoclass:: {path}\n   :members:\n   :exclude-members: model_config\n{bases}"
    if inspect.isroutine(found):
        return f".. autofunction:: {path}\n"
    said = _said_of(path)
    return f".. py:data:: {path}\n\n" + "".join(f"   {line}\n" for line in said)


def _said_of(path: str) -> list[str]:
    """The text below a constant or an alias, from the module that defines it."""
    package, _, name = path.rpartition(".")
    for _, module, _ in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        with contextlib.suppress(PycodeError, ImportError):
            comments = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", name) in comments:
                return comments["", name]
    own = ModuleAnalyzer.for_module(package).find_attr_docs()
    return own.get(("", name), [])


def fill_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Adds the menu to the index, which as a plain file has links only."""
    if page != root_doc:
        return
    how_tos = list(dict.fromkeys(re.findall(r"\((how-to/[\w-]+)\.md\)", source[0])))
    for caption, pages in CONTENTS.items():
        listed = [*(how_tos if caption == "Do" else []), *pages]
        lines = [f"/{page[3:]}" if page.startswith("../") else page for page in listed]
        menu = "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *lines, "```"])
        source[0] += f"\n\n{menu}\n"


def set_dashes(app: Sphinx, tree: nodes.document) -> None:
    """A dash between an argument and what is said of it, which Sphinx writes as two signs; commands keep theirs."""
    for text in list(tree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def find_public(app: Sphinx, env: Any, node: pending_xref, content: nodes.Element) -> nodes.Element | None:
    """Leads a reference to where an object is defined, ``netwright.library.Run``, to where it is public."""
    if node.get("refdomain") != "py" or not str(node.get("reftarget", "")).startswith("netwright."):
        return None
    parts = str(node["reftarget"]).split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
            found = getattr(found, parts[end])
        except (ImportError, AttributeError):
            continue
        if (public := PUBLIC.get(id(found))) is not None:
            target = ".".join([public, *parts[end + 1 :]])
            domain = env.get_domain("py")
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)
    return None


PUBLIC = {
    id(getattr(importlib.import_module(package), name)): f"{home_of(package, name)}.{name}"
    for package in PACKAGES
    for name in public_names(package)
}
"""Where each public object is documented, by its identity."""


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_api)
    app.connect("source-read", fill_contents)
    app.connect("doctree-read", set_dashes)
    app.connect("missing-reference", find_public)
