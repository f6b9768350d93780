"""``digests.json``: what the files that describe a run should hold, so that a flipped bit is found in any of them.

A file is replaced after its digest, of which the one before is kept until the next: whenever a writer dies, the file on
disk is one of the two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from netwright.bounded import read_bounded, read_json_object
from netwright.errors import reason

DIGESTS = "digests.json"

Digests = Mapping[str, list[str]]
"""Of each file of a run folder, by name, the SHA-256 that it may have: the last one, and the one before."""


def with_digests(run: Path, contents: Mapping[Path, bytes | str], before: Digests) -> dict[Path, bytes | str]:
    """Files to be written, and first among them the digests that they will have.

    Args:
        run: The folder.
        contents: What is to be written, by path.
        before: What :func:`read_digests` says.
    """
    digests = dict(before)
    for path, content in contents.items():
        name = path.relative_to(run).as_posix()
        new = hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
        digests[name] = list(dict.fromkeys([new, *digests.get(name, [])]))[:2]
    return {run / DIGESTS: json.dumps({"files": digests, "digest": _own(digests)}, indent=1) + "\n", **contents}


def read_digests(run: Path) -> dict[str, list[str]]:
    """The digests of a run; none of one that was made before there were any.

    Raises:
        ValueError: The file is damaged.
        OSError: It cannot be read.
    """
    try:
        content = read_json_object(run / DIGESTS)
    except FileNotFoundError:
        return {}
    files = content.get("files")
    if not isinstance(files, dict) or content.get("digest") != _own(files):
        raise ValueError("its digest is of another content")
    return files


def differing(run: Path, named: Container[Path] = ()) -> Iterator[str]:
    """What is not as it was written, a line each; of ``named`` files there is nothing more to say."""
    try:
        digests = read_digests(run)
    except (OSError, ValueError) as error:
        yield f"{run / DIGESTS}: damaged: {error}; a run whose other files are whole does without it"
        return
    for name, known in digests.items():
        if run / name in named:
            continue
        try:
            found = hashlib.sha256(read_bounded(run / name)).hexdigest()
        except (OSError, ValueError) as error:
            yield f"{run / name}: cannot be read: {reason(error)}"
            continue
        if found not in known:
            yield f"{run / name}: not what was written; restore it from a copy, or look through it"


def _own(digests: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
