"""The networks drawn by hand that a run is held against, from what a person names to what ``task.json`` holds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from netwright.answer import reference_names, references_in, references_json
from netwright.config import ExperimentConfig
from netwright.errors import UsageError
from netwright.search.loop import Excess
from netwright.spaces.architecture import load_architecture
from netwright.spaces.base import SearchSpace
from netwright.spaces.references import is_file, reference_name
from netwright.store.task_file import REFERENCES
from netwright.tasks.kind import Kind

_log = logging.getLogger(__name__)

FILE = "file"
"""In a reference of ``task.json`` that came from a file: the digest of the network there, before it was scaled."""

NOTHING_KNOWN: Mapping[str, Any] = MappingProxyType({})


def drawn_by_hand(
    kind: Kind,
    references: Sequence[str],
    config: ExperimentConfig,
    task: Mapping[str, Any],
    space: SearchSpace,
    known: Mapping[str, Any] = NOTHING_KNOWN,
) -> dict[str, Any]:
    """References as ``task.json`` holds them.

    Args:
        kind: Of the task.
        references: Built-in names and architecture files.
        config: What they are scaled by.
        task: What they read and write.
        space: What may be able to write them.
        known: Those that the run has already. They stay as they are: a search began from them, and their files may be
            gone by now.

    Raises:
        UsageError: There is none of a name, two have one name, or two are one network.
        ArchitectureError: A file holds an architecture of another kind.
    """
    names = [reference_name(given) for given in references]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"verdict.references: two are called {twice[0]!r}; leave one out, or rename its file")
    new = [given for given in references if reference_name(given) not in known]
    drawn = kind.drawn(new, config, task, space)
    name_of = reference_names({REFERENCES: known})
    for name, (architecture, _) in drawn.items():
        if (other := name_of.setdefault(architecture.digest, name)) != name:
            raise UsageError(f"verdict.references: {other} and {name} are the same network; leave one out")
    entries = references_json(drawn)
    for given in filter(is_file, new):
        entries[reference_name(given)][FILE] = load_architecture(Path(given)).digest
    return {**known, **entries}


def refuse_other_files(references: Sequence[str], known: Mapping[str, Any]) -> None:
    """Checks that files which a person names now hold what the run knows by their names.

    Args:
        references: Built-in names and architecture files.
        known: The references of the run, as ``task.json`` holds them.

    Raises:
        UsageError: A file holds another network.
        ArchitectureError: A file cannot be read.
    """
    for given in filter(is_file, references):
        there = known.get(reference_name(given), {}).get(FILE)
        if there is not None and load_architecture(Path(given)).digest != there:
            raise UsageError(
                f"{given}: this run was held against another network called {reference_name(given)!r}; rename the file"
            )


def check_new(references: Mapping[str, Any], excess: Excess | None, say: Callable[[str], None]) -> None:
    """Checks that the references of a new search are within the budgets, and tells what it cannot do with them.

    Args:
        references: As ``task.json`` holds them.
        excess: Says by how much a network is over the budgets; None where there are none.
        say: Is told where the search does not begin from them.

    Raises:
        UsageError: There are references, and none is within the budgets.
    """
    drawn = references_in({REFERENCES: references})
    over = {name: why for name, (architecture, _) in drawn.items() if excess and (why := excess(architecture))}
    if over and len(over) == len(drawn):
        name, why = next(iter(over.items()))
        raise UsageError(
            f"no network drawn by hand is within the budget, with as few filters as it can have; {name} has {why}. "
            "Raise the limit, make images smaller by data.image_size, or search without such networks: --no-verdict "
            "--set 'verdict.references=[]'"
        )
    for name, why in over.items():
        _log.warning("%s, drawn by hand, cannot be trained: it has %s", name, why)
    if drawn and all(tokens is None for _, tokens in drawn.values()):
        say("the search space can write none of the networks drawn by hand, so the search does not begin from them")
