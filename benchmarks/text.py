"""What it takes to read a large text in a single line: time, and memory beyond that of the imports.

``python benchmarks/text.py`` prints both for words and for characters, each read in a process of its own. The text is
that of Python's documentation over and over, without its ends of line.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Writes the file, and has it read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=100, help="the size of the file, in millions of bytes")
    parser.add_argument("--read", nargs=2, metavar=("FILE", "UNIT"), help="read it in this process")
    arguments = parser.parse_args()
    if arguments.read:
        read(*arguments.read)
        return
    from pydoc_data.topics import topics

    line = " ".join(" ".join(topics.values()).split()).encode("ascii", "ignore") + b" "
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "line.txt"
        file.write_bytes((line * (arguments.mb * 10**6 // len(line) + 1))[: arguments.mb * 10**6])
        for unit in ("word", "character"):
            subprocess.run([sys.executable, __file__, "--read", file, unit], check=True)


def read(file: str, unit: str) -> None:
    """Reads a file, and prints what that took."""
    from netwright.data.text import load_text

    load_text("pydoc")  # so that all imports are there
    before, began, processor = _peak(), time.monotonic(), time.process_time()
    data = load_text(f"text:{file}", unit=unit)  # type: ignore[arg-type]
    seconds, processor = time.monotonic() - began, time.process_time() - processor
    tokens = sum(len(part) for part in (data.train, data.validation, data.test))
    grown = _peak() - before
    print(
        f"{unit:9}  {tokens:11,} tokens  {seconds:6.1f} s ({processor:.1f} s of processor)  "
        f"{grown / 2**20:7.0f} MiB at the peak, {grown / tokens:.1f} bytes a token"
    )


def _peak() -> int:
    """The most bytes that this process has held in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
