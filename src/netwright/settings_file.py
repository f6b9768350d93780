"""The text form of a configuration: TOML files, and ``--set section.key=value``."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from netwright.bounded import read_bounded
from netwright.config import CONTROLLER_SETTINGS_USED, ExperimentConfig
from netwright.errors import UsageError, reason
from netwright.spaces.architecture import explain

LONGEST = 2**22
"""Bytes of a configuration; the longest of ours is a thousandth of it."""


def parse_config(text: str, source: str) -> ExperimentConfig:
    """Reads a configuration from TOML.

    Args:
        text: The TOML text.
        source: What to call it in an error: a file name.

    Raises:
        UsageError: Not TOML, an unknown key, or a value out of range; names the key.
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source}: not TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{source}: not TOML that can be read: nested too deeply") from None
    except ValueError as error:  # a number of more digits than Python reads
        raise UsageError(f"{source}: not TOML that can be read: {error}") from None
    return _validated(tree, source)


def config_of(tree: Mapping[str, Any], source: str) -> ExperimentConfig:
    """Reads a configuration from tables; see :func:`parse_config` for what it raises."""
    return _validated(tree, source)


def load_config(path: Path) -> ExperimentConfig:
    """Reads a configuration file; see :func:`parse_config` for what it raises."""
    try:
        return parse_config(read_bounded(path, LONGEST).decode("utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from None


def override(config: ExperimentConfig, changes: Mapping[str, object]) -> ExperimentConfig:
    """A configuration with some settings changed.

    Args:
        config: The original.
        changes: Values by path, e.g. ``{"child.epochs": 3}``.

    Raises:
        UsageError: An unknown key (the nearest known one is named), a value out of range, or a setting of the
            controller that the strategy does not use.
    """
    tree = config.model_dump(mode="json", exclude_none=True)
    for path, value in changes.items():
        if not isinstance(path, str):
            raise UsageError(f"settings: expected the names of settings as texts, got {path!r}")
        *parents, key = path.split(".")
        table = tree
        for parent in parents:
            table = table.setdefault(parent, {})
            if not isinstance(table, dict):
                raise UsageError(f"{path}: {parent} is a value, not a section")
        table[key] = _plain(value)
    _cap_depth(tree, changes)
    if changes.get("strategy.name", config.strategy.name) != config.strategy.name:
        _keep_options_of(tree, changes)
    changed = _validated(tree, "settings")
    _refuse_unused(changes, changed.strategy.name)
    return changed


def _plain(value: object) -> object:
    """A value as TOML has it: numbers and arrays of NumPy, and paths, are what people hand over from Python."""
    if isinstance(value, bool | int | float | str | Mapping):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if callable(as_list := getattr(value, "tolist", None)):
        return as_list()
    return value


def _cap_depth(tree: dict[str, Any], changes: Mapping[str, object]) -> None:
    """A schedule of depths ends where a space that somebody made less deep does, unless they say otherwise."""
    depth, schedule = changes.get("space.depth"), tree.get("depth")
    if isinstance(depth, int) and isinstance(schedule, dict):
        for name in ("start", "cap"):
            if f"depth.{name}" not in changes and isinstance(given := schedule.get(name), int):
                schedule[name] = min(given, depth)


def _keep_options_of(tree: dict[str, Any], changes: Mapping[str, object]) -> None:
    """Options are one strategy's own: another one has only those that are given with its name."""
    if "strategy.options" not in changes and isinstance(options := tree["strategy"].get("options"), dict):
        kept = {key: value for key, value in options.items() if f"strategy.options.{key}" in changes}
        tree["strategy"]["options"] = kept


def _refuse_unused(changes: Iterable[str], strategy: str) -> None:
    """Checks that the strategy uses the settings of the controller that somebody changes.

    Raises:
        UsageError: It does not use one of them; names it.
    """
    used = CONTROLLER_SETTINGS_USED.get(strategy, frozenset())
    for path in changes:
        section, _, key = path.partition(".")
        if section == "controller" and key and key not in used:
            raise UsageError(
                f"{path}: the strategy {strategy} does not use it; of [controller] it uses "
                f"{', '.join(sorted(used)) or 'nothing'}. Its own settings are strategy.options.NAME"
            )


def parse_assignments(texts: Iterable[str]) -> dict[str, object]:
    """Changes for :func:`override` from texts ``section.key=value``.

    The value is TOML (``3``, ``0.1``, ``true``, ``[1, 2]``), or else a string as it stands.

    Raises:
        UsageError: A text is not of that form.
    """
    changes: dict[str, object] = {}
    for text in texts:
        path, separator, value = text.partition("=")
        if not separator or not path.strip():
            raise UsageError(f"--set {text}: expected section.key=value")
        changes[path.strip()] = _toml_value(value.strip())
    return changes


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _validated(tree: Mapping[str, Any], source: str) -> ExperimentConfig:
    try:
        return ExperimentConfig.model_validate(_with_kinds(tree))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            raise UsageError(f"{source}: {_unknown_key([str(part) for part in fault['loc']])}") from None
        # Behind a section with several kinds, pydantic names the kind.
        raise UsageError(f"{source}: {explain(error, tag=1 if fault['loc'][:1] in _KINDS else None)}") from None


_KINDS = {("data",): "images", ("space",): "conv", ("child",): "image_classifier", ("reward",): "accuracy"}
"""The sections that have several kinds, and the kind of one that names none."""


def _with_kinds(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree with the kinds that it leaves out."""
    filled = dict(tree)
    for (name,), kind in _KINDS.items():
        if isinstance(section := tree.get(name), Mapping):
            filled[name] = {"kind": kind} | dict(section)
    return filled


def _unknown_key(path: Sequence[str]) -> str:
    """Names an unknown key, the nearest known one, and all that stand in its section.

    Args:
        path: Where pydantic met it; behind a section with several kinds comes the kind.
    """
    candidates: list[Any] = [ExperimentConfig]
    keys: list[str] = []
    for part in path[:-1]:
        kinds = [candidate for candidate in candidates if _defaults(candidate).get("kind") == part]
        if kinds:
            candidates = kinds
        else:
            keys.append(part)
            candidates = _classes(candidates[0].model_fields[part].annotation)
    known = list(_defaults(candidates[0]))
    near = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    where = f"section [{'.'.join(keys)}]" if keys else "the configuration"
    return f"unknown key {'.'.join([*keys, path[-1]])}{hint} {where} has {', '.join(known)}"


def _defaults(section: Any) -> dict[str, Any]:
    """The settings of a section by name, with their defaults."""
    if is_dataclass(section):
        return {field.name: field.default for field in fields(section)}
    return {name: field.default for name, field in section.model_fields.items()}


def _classes(annotation: Any) -> list[Any]:
    """The classes in a type such as ``Annotated[A | B, ...] | None``."""
    if isinstance(annotation, type):
        return [annotation] if annotation is not type(None) else []
    return [found for part in get_args(annotation) for found in _classes(part)]
