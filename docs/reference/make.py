"""Renews the parts of the reference that the code itself knows: commands, settings, tables of the database.

python docs/reference/make.py

A page marks such a part by a comment, ``<!-- made: NAME -->``, and its end by ``<!-- end -->``; a test checks that they
are as this script would write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from inspect import cleandoc
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from netwright.cli.main import COMMANDS, find_command
from netwright.config import ExperimentConfig, StrategySettings
from netwright.recipes import RECIPES
from netwright.store.sqlite import SCHEMA
from netwright.strategies.replay import ReplaySettings

HERE = Path(__file__).parent
PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, e.g. ``data check``."""
    for name in COMMANDS:
        found = find_command(name)
        children = getattr(found, "commands", {})
        yield from ((f"{name} {child}", inner) for child, inner in children.items()) if children else ((name, found),)


def commands_part() -> str:
    """A section per command: what it does, its arguments and its options."""
    sections = []
    for name, command in commands():
        arguments = [p for p in command.params if not p.opts[0].startswith("-")]
        options = [p for p in command.params if p.opts[0].startswith("-") and p.name != "help"]
        usage = " ".join(_placeholder(p) if p.required else f"[{_placeholder(p)}]" for p in arguments)
        lines = [f"## netwright {name}", "", f"`netwright {name}{' ' * bool(usage)}{usage}`", "", _prose(command.help)]
        if arguments or options:
            lines += ["", "| argument | meaning |", "|---|---|"]
            lines += [f"| {_cell(f'`{_placeholder(p)}`')} | {_cell(p.help)} |" for p in arguments]
            lines += [f"| {_cell(f'`{_option(p)}`')} | {_cell(p.help)}{_default(p)} |" for p in options]
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def _placeholder(parameter: Any) -> str:
    name: str = parameter.metavar
    return name


def _option(parameter: Any) -> str:
    """As help has it, without a value for a mere switch."""
    return f"{parameter.opts[0]} {parameter.metavar}".rstrip()


def _default(parameter: Any) -> str:
    value = parameter.default
    if value in (None, False, (), []) or callable(value):
        return ""
    return f" Default: `{value.value if isinstance(value, Enum) else value}`."


def settings_part() -> str:
    """A table per section of the configuration: key, default, values, meaning."""
    sections = []
    top = ["| key | meaning |", "|---|---|"]
    meanings = _attributes(ExperimentConfig)
    for key, field in ExperimentConfig.model_fields.items():
        records = [kind for kind in _members(field.annotation) if _is_record(kind)]
        top.append(f"| `{key if not records else f'[{key}]'}` | {_cell(meanings[key])} |")
        for record in records:
            tell_apart = "" if len(records) == 1 else f" with {_tell_apart(record)}"
            sections.append(_section(f"[{key}]{tell_apart}", record))
            if record is StrategySettings:
                sections.append(_section("[strategy.options] of `reinforce-replay`", ReplaySettings))
    return "\n\n".join(["\n".join(top), *sections])


def _section(title: str, record: Any) -> str:
    """The settings of a record under a heading."""
    what = _prose((record.__doc__ or "").partition("Attributes:")[0])
    head = ["| key | default | values | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", what, "", *head, *_rows(record)])


def _rows(record: Any, prefix: str = "") -> list[str]:
    """A row per setting of a record; those of a record in it follow under its name and a dot."""
    rows, notes = [], _attributes(record)
    for name, default, annotation, constraints in _fields(record):
        if inner := [kind for kind in _members(annotation) if _is_record(kind)]:
            rows += _rows(inner[0], f"{prefix}{name}.")
        else:
            values = _values(annotation, constraints)
            rows.append(f"| `{prefix}{name}` | {_shown(default)} | {values} | {_cell(notes.get(name, ''))} |")
    return rows


def _shown(default: Any) -> str:
    if default is MISSING:
        return "required"
    return "not set" if default is None else f"`{_toml(default)}`"


def recipes_part() -> str:
    """A line per built-in recipe."""
    lines = [f"| `{name}` | {_cell((make.__doc__ or '').splitlines()[0])} |" for name, make in RECIPES.items()]
    return "\n".join(["| recipe | what it is |", "|---|---|", *lines])


def tables_part() -> str:
    """The tables of ``trials.db``."""
    return f"```sql\n{SCHEMA.strip()}\n```"


PARTS = {
    "commands": commands_part,
    "settings": settings_part,
    "recipes": recipes_part,
    "tables": tables_part,
}


def renewed(text: str) -> str:
    """A page with its made parts written again."""
    return PART.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]()}\n\n{match[3]}", text)


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union; what ``Annotated`` adds is left out."""
    if hasattr(annotation, "__metadata__"):
        return _members(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(member for part in get_args(annotation) for member in _members(part))
    return (annotation,)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind))


def _tell_apart(record: Any) -> str:
    """The setting that tells this record from the others that may stand in its place."""
    for name, default, annotation, _ in _fields(record):
        if any(get_origin(kind) is Literal and len(get_args(kind)) == 1 for kind in _members(annotation)):
            return f"`{name} = {_toml(default)}`"
    return str(record.__name__)


def _fields(record: Any) -> Iterator[tuple[str, Any, Any, list[Any]]]:
    """Name, default, annotation and constraints of each setting."""
    if issubclass(record, BaseModel):
        for name, field in record.model_fields.items():
            default = MISSING if field.default is PydanticUndefined else field.default
            if default is MISSING and field.default_factory is not None:
                default = field.default_factory()  # type: ignore[call-arg]
            yield name, default, field.annotation, list(field.metadata)
    else:
        hints = record.__annotations__
        for entry in fields(record):
            default = entry.default_factory() if entry.default_factory is not MISSING else entry.default
            yield entry.name, default, _evaluated(hints[entry.name], record), []


def _evaluated(annotation: Any, record: Any) -> Any:
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, vars(__import__(record.__module__, fromlist=["_"])))


def _values(annotation: Any, constraints: list[Any]) -> str:
    """What may be written, for a person."""
    words = []
    for member in _flattened(annotation, constraints):
        kind, limits = member
        if kind is type(None):
            continue
        if get_origin(kind) is Literal:
            words.append(" or ".join(f"`{_toml(value)}`" for value in get_args(kind)))
            continue
        word = {int: "integer", float: "number", str: "text", bool: "true or false"}.get(kind, "")
        if get_origin(kind) is tuple:
            word = "list"
        elif get_origin(kind) is not None and issubclass(get_origin(kind), Mapping):
            word = "table"
        bounds = [
            f"{sign} {getattr(limit, name):g}"
            for limit in limits
            for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
            if getattr(limit, name, None) is not None
        ]
        words.append(" ".join([word, ", ".join(bounds)]).strip())
    return "; ".join(dict.fromkeys(filter(None, words)))


def _flattened(annotation: Any, limits: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    if hasattr(annotation, "__metadata__"):
        inner = [part for item in annotation.__metadata__ for part in getattr(item, "metadata", [item])]
        yield from _flattened(annotation.__origin__, [*limits, *inner])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _flattened(part, limits)
    else:
        yield annotation, limits


def _attributes(record: Any) -> dict[str, str]:
    """The ``Attributes:`` of a docstring, by name."""
    _, _, text = cleandoc(record.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"    (\w+): (.*)", line):
            name = match[1]
            found[name] = match[2]
        elif name and line.startswith("        "):
            found[name] += f" {line.strip()}"
        elif line.strip():
            break
    return found


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple() | list():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case Mapping():
            return "{}"
        case _:
            return str(value)


def _cell(text: str | None) -> str:
    return _prose(text).replace("|", "\\|")


def _prose(text: str | None) -> str:
    """A docstring's text on one line, in Markdown."""
    plain = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", " ".join((text or "").split()))
    return plain.replace("``", "`")


def main() -> None:
    """Writes every page of the reference again."""
    for page in HERE.glob("*.md"):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
