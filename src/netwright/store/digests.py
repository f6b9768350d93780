"""``digests.json``: what the files that describe a run should hold, so that a flipped bit is found in any of them.

A file is replaced after its digest, of which the one before is kept until the next: whenever a writer dies, the file on
disk is one of the two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from netwright.bounded import open_regular, read_json_object
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


def described(folder: Path, contents: Mapping[Path, bytes | str]) -> dict[Path, bytes | str]:
    """As :func:`with_digests`, for a folder that is there; one that keeps no digests, or damaged ones, gets none.

    The doctor tells of damaged ones; the files are what counts.
    """
    with suppress(OSError, ValueError):
        if before := read_digests(folder):
            return with_digests(folder, contents, before)
    return dict(contents)


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
    for name, known in files.items():  # whoever knows how the digest is made is not trusted either
        if not isinstance(known, list) or not all(isinstance(digest, str) for digest in known):
            raise ValueError(f"{name}: expected a list of digests, got {known!r:.60}")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"{name}: expected a file of the folder")
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
            with open_regular(run / name) as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError) as error:
            yield f"{run / name}: cannot be read: {reason(error)}"
            continue
        if found not in known:
            yield f"{run / name}: not what was written; restore it from a copy, or look through it"


TENSOR_DIGEST = "sha256"
"""In the metadata of a file of tensors that we write: of their names, types, shapes and numbers."""

TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""PyTorch's names of the types of safetensors."""


def tensor_damage(path: Path) -> str | None:
    """What is wrong with a file of tensors that :mod:`netwright.networks.tensor_file` wrote; read without PyTorch.

    Returns:
        None where its content is that of the digest in it.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        expected = header.pop("__metadata__")[TENSOR_DIGEST]
        digest = hashlib.sha256()
        for name in sorted(header):
            first, last = header[name]["data_offsets"]
            shape = [int(size) for size in header[name]["shape"]]
            digest.update(tensor_head(name, TYPES[header[name]["dtype"]], shape))
            digest.update(content[start + first : start + last])
    except FileNotFoundError:  # a training under way has removed it
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"damaged: {type(error).__name__}: {error}"
    return None if expected == digest.hexdigest() else "damaged: the numbers are not those that were written"


def tensor_head(name: str, kind: str, shape: Sequence[int]) -> bytes:
    """What a digest of tensors takes in before the numbers of one of them."""
    return f"{name} torch.{kind} {list(shape)}\n".encode()


def _own(digests: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
