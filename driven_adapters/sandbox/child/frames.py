"""What passes between the engine and a run: length (4 bytes, big end first), one byte of kind, content.

To the child: one frame `Q` with the request. From it: `B` (the program begins), `O` (a line of its output), then one of
`V` (its value as JSON) and `F` (why there is none, JSON).
"""

from __future__ import annotations

import os
import struct
import threading
from typing import IO

HEAD = struct.Struct(">IB")
REQUEST, BEGIN, LINE, VALUE, FAILURE = (ord(kind) for kind in "QBOVF")


class FrameWriter:
    """Writes whole frames into one descriptor, from any thread."""

    def __init__(self, descriptor: int) -> None:
        """Take an open descriptor."""
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, kind: int, content: bytes = b"") -> None:
        """Write one frame; waits while the engine does not read."""
        rest = memoryview(HEAD.pack(len(content), kind) + content)
        with self._lock:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


def read_frame(stream: IO[bytes]) -> tuple[int, bytes]:
    """Read one frame.

    Raises:
        EOFError: the stream ended before or in it.
    """
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        raise EOFError
    length, kind = HEAD.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return kind, content
