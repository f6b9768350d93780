"""The exceptions of the domain: every one is a message for a user, with what was expected, what was got and the fix.

Wrong arguments of a Python call stay ``ValueError``; these are for events that a search meets.
"""

from __future__ import annotations

import shlex

INTERRUPTED = 130
"""The exit code after Ctrl-C, or a request to end, as shells have it."""


class NetwrightError(Exception):
    """Base of all errors that netwright raises on purpose. ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(NetwrightError):
    """A wrong recipe, option, configuration key or file given by the user."""

    exit_code = 2


class DataError(UsageError):
    """A data source that cannot be read or learned from; the message names the file and the fix."""


class ArchitectureError(UsageError):
    """An architecture file, or a token string, that does not describe a network of the space."""


class RunLockedError(NetwrightError):
    """Another live process is writing this run folder."""

    exit_code = 3


class StorageError(NetwrightError):
    """The run folder is damaged, unwritable or its disk is full."""

    exit_code = 4


class DamagedWeightsError(StorageError):
    """Trained weights on disk that are not those that were written.

    Args:
        damage: What is wrong with which file.
        command: What trains them again.

    Attributes:
        damage: As given.
    """

    def __init__(self, damage: str, command: str) -> None:
        super().__init__(f"{damage}; train it again: {command}")
        self.damage = damage


class DiskFullError(StorageError):
    """There is no room for what is to be written; nothing on disk has changed, and trying again may succeed."""


class AllChildrenFailError(NetwrightError):
    """So many trials in a row failed that continuing would waste the budget; the run stays resumable."""

    exit_code = 5


class DivergedError(NetwrightError):
    """A child's loss or weights are no longer finite numbers; where it is trained by itself, no other is left."""

    exit_code = AllChildrenFailError.exit_code


class OverBudgetError(NetwrightError):
    """An architecture that costs more than the experiment allows; where one is named, its user has set the limit."""

    exit_code = UsageError.exit_code


def reason(error: Exception) -> str:
    """What an error says, without the number and the path that Python adds where a file cannot be had."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


_UNSEEN = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (
        *range(32),
        *range(127, 160),
        *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
}


def printable(name: str) -> str:
    """A name from outside that every terminal and log can take: what is no text, or gives orders, is spelled out."""
    return name.encode(errors="backslashreplace").decode().translate(_UNSEEN)


def printable_lines(text: str) -> str:
    """As :func:`printable`, of a text whose ends of line and tabs are meant."""
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in text.split("\n"))


def command(*words: object) -> str:
    """A command line of netwright that can be pasted into a shell, whatever blanks and signs its words have."""
    return shlex.join(["netwright", *map(str, words)])
