"""What a worker says, read without ever waiting for it: a child may stop, or be stopped, in the middle of a word.

The one reader of what comes through a worker's pipe: pieces are put together, the size of a message is limited, and
what is no message of ours is an error of its own.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection

LONGEST = 2**26
"""Bytes of a message; an outcome with a long curve and a traceback is a thousandth of it."""

AT_ONCE = 2**16


class GarbledError(Exception):
    """What came is no message."""


class Inbox:
    """The messages that come through one end of a pipe of multiprocessing, which is a pair of sockets.

    Args:
        pipe: Stays open; a message is its length, four bytes, and itself, pickled.
    """

    def __init__(self, pipe: Connection) -> None:
        self._socket = socket.socket(fileno=os.dup(pipe.fileno()))
        self._bytes = bytearray()

    def messages(self) -> Iterator[object]:
        """All that are there as a whole.

        Raises:
            EOFError, OSError: The other end is closed, and there is nothing more to come.
            GarbledError: What came is no message.
        """
        ended = False
        while not ended:
            try:
                received = self._socket.recv(AT_ONCE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            self._bytes += received
            ended = not received
            yield from self._whole()
        if ended:
            raise EOFError

    def _whole(self) -> Iterator[object]:
        while len(self._bytes) >= 4:
            (length,) = struct.unpack("!i", self._bytes[:4])
            if not 0 <= length <= LONGEST:
                raise GarbledError(f"a message of {length} bytes, and {LONGEST} are the most")
            if len(self._bytes) < 4 + length:
                return
            content = bytes(self._bytes[4 : 4 + length])
            del self._bytes[: 4 + length]
            try:
                # From a process that runs the user's code with the user's rights, as this one does.
                message = pickle.loads(content)
            except Exception as error:
                raise GarbledError(f"a message that cannot be read: {type(error).__name__}: {error}") from None
            yield message

    def close(self) -> None:
        """Reads nothing more."""
        self._socket.close()
