"""``netwright data``: looks at a data source before anything learns from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from netwright.cli.errors import echo
from netwright.cli.terminal import tell_next
from netwright.config import known_encoding
from netwright.errors import DataError, UsageError, command
from netwright.recipes import find_recipe
from netwright.settings_file import override, parse_assignments
from netwright.tasks import KINDS, Kind, kind_of_source
from netwright.wording import counted

data = typer.Typer(name="data", help="Look at a data source.", no_args_is_help=True, add_completion=False)


@data.callback()
def options() -> None:
    """Look at a data source."""


FIRST = {"digits": "digits", "cifar10": "cifar10-small", "ptb": "penn-treebank-small", "pydoc": "text"}
"""The recipe of a first search on a built-in source; on files of one's own it is called as their kind."""

OF_WORDS = {"text": "text-words"}
"""For a recipe that reads characters, the one that reads words."""

FROM_FILES = ("text", "ptb")
"""Sources that are files of text, in some encoding."""


class KindName(StrEnum):
    """What a source is read as."""

    IMAGES = "images"
    TEXT = "text"


class UnitName(StrEnum):
    """What a token of a text is."""

    WORD = "word"
    CHARACTER = "character"


@data.command()
def check(
    source: Annotated[str, typer.Argument(help="digits, cifar10, images:DIR, pydoc, ptb, text:FILE, hf:NAME, ...")],
    recipe: Annotated[
        str | None,
        typer.Option(help="For which search; by default the one that is proposed at the end."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change the recipe, e.g. data.image_size=64."),
    ] = None,
    kind: Annotated[KindName | None, typer.Option(help="What to read hf:NAME as; images without it.")] = None,
    unit: Annotated[UnitName | None, typer.Option(help="Tokens of a text; the recipe's without it.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the files of text: or ptb: utf-8 (without it), utf-16, latin-1, ...")
    ] = None,
) -> None:
    """Read a data source; report sizes, classes or vocabulary, and all that a search would refuse, by file name."""
    if encoding is not None:
        _check_encoding(encoding, source.partition(":")[0])
    read_as = kind_of_source(source) if kind is None else KINDS[kind.value]
    name = recipe or _first_recipe(source, read_as, unit)
    config = find_recipe(name)
    if unit is not None and read_as.name != KindName.TEXT:
        raise UsageError(f"--unit: expected a source of text, got {source}, which is read as {read_as.name}")
    options = {"data.unit": unit and unit.value, "data.encoding": encoding}
    named = {path: value for path, value in options.items() if value is not None}
    judged_by = override(config, {"data.source": source, **parse_assignments(settings or ()), **named})
    report = KINDS[judged_by.data.kind].check(judged_by.data, judged_by.child)
    echo("\n".join(report.lines()))
    if report.defects:
        raise DataError(f"{source}: {counted(len(report.defects), 'defect')}, listed above")
    data = [] if config.data.source == source else ["--data", source]
    told = [f"{path}={value}" for path, value in named.items() if override(config, {path: value}) != config]
    changes = [*(settings or ()), *told]
    search = command("search", name, *data, *(word for change in changes for word in ("--set", change)))
    tell_next({search: "find a network for it"})


def _first_recipe(source: str, kind: Kind, unit: UnitName | None) -> str:
    """The recipe of a first search on the data, by whose settings they are checked."""
    name = FIRST.get(source.partition(":")[0], kind.name)
    return OF_WORDS.get(name, name) if unit == UnitName.WORD else name


def _check_encoding(encoding: str, named: str) -> None:
    """Refuses an encoding that there is not, and one for a source that is not read from files of text."""
    try:
        known_encoding(encoding)
    except ValueError as error:
        raise UsageError(f"--encoding: {error}") from None
    if named not in FROM_FILES:
        raise UsageError(f"--encoding: expected a source text:FILE, text:DIR or ptb, got {named}; leave --encoding out")
