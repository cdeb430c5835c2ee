"""Server-sent events: a feed as text, heartbeats while it is silent, and an end for callers who do not read."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from core.engine.feeds import FedEntry, Feed
from driver_adapters.http.exchange import Reply

EVENT_STREAM = b"text/event-stream"
BEHIND_BYTES_MAX = 1_048_576  # http-api.md: a caller who lets more than this land and takes nothing is closed
SEND_S_MAX = 30.0  # a chunk that nobody takes for so long: the peer is gone without a word
CHUNK_BYTES = 65_536  # what one send holds in memory beside the socket's own buffer
GATHER_S = 0.02  # what lands within this goes out together: a busy instance costs 50 reads a second, not thousands
RETRY_MS = 1_000  # after which a browser comes again when the stream ends
HEARTBEAT = b": still here\n\n"
# Whatever stands in between must neither keep the text back nor change it.
_HEADERS = ((b"x-accel-buffering", b"no"),)


class EventStream(AsyncGenerator[bytes, None]):
    """A feed as the bytes of an event stream; closes the feed when it is closed or forgotten.

    Args:
        feed: what to send.
        abort: ends the connection at once, unsent bytes included.
    """

    def __init__(self, feed: Feed, abort: Callable[[], None]) -> None:
        self._feed = feed
        self._abort = abort
        self._chunks: deque[bytes] = deque([b"retry: %d\n\n" % RETRY_MS])
        self._unread_bytes = 0
        self._stuck: asyncio.TimerHandle | None = None
        self._was_silent = False
        self._release = weakref.finalize(self, feed.close)
        feed.on_landed = partial(_landed, weakref.ref(self))  # the feed must not keep its reader alive

    async def asend(self, _value: None) -> bytes:
        """Give the next chunk; whoever asks has got rid of the one before."""
        self._taken()
        chunk = await self._next()
        if chunk is None:
            raise StopAsyncIteration
        self._stuck = asyncio.get_running_loop().call_later(SEND_S_MAX, self._give_up)
        return chunk

    async def athrow(self, kind: Any, value: Any = None, trace: TracebackType | None = None) -> bytes:
        """End with the error that is thrown in."""
        del trace
        await self.aclose()
        raise value if isinstance(value, BaseException) else kind

    async def aclose(self) -> None:
        """Close the feed."""
        self._taken()
        self._release()

    async def _next(self) -> bytes | None:
        while not self._chunks:
            if self._feed.is_ending:
                return None
            entries = await self._feed.read()
            if entries:
                self._chunks.extend(_packed(entries))
            elif self._feed.is_over:
                return None
            elif self._was_silent:
                self._was_silent = False
                return HEARTBEAT
            elif await self._feed.wait():
                await asyncio.sleep(GATHER_S)
            else:
                self._was_silent = True
        return self._chunks.popleft()

    def _taken(self) -> None:
        self._unread_bytes = 0
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def landed(self, size_bytes: int) -> None:
        """Count what lands while a chunk is not taken; the journal keeps it, so the caller can come again for it."""
        if self._stuck is not None:
            self._unread_bytes += size_bytes
            if self._unread_bytes > BEHIND_BYTES_MAX:
                self._give_up()

    def _give_up(self) -> None:
        self._feed.end()
        self._abort()


def stream_reply(feed: Feed, abort: Callable[[], None]) -> Reply:
    """Answer with a feed."""
    return Reply(200, media_type=EVENT_STREAM, headers=_HEADERS, chunks=EventStream(feed, abort))


def _landed(stream: weakref.ref[EventStream], size_bytes: int) -> None:
    alive = stream()
    if alive is not None:
        alive.landed(size_bytes)


def _packed(entries: Sequence[FedEntry]) -> list[bytes]:
    """Put entries together into chunks of about CHUNK_BYTES; a longer one is a chunk of its own, cut to size."""
    chunks: list[bytes] = []
    text = bytearray()
    for entry in entries:
        text += _text(entry)
        while len(text) >= CHUNK_BYTES:
            chunks.append(bytes(text[:CHUNK_BYTES]))
            del text[:CHUNK_BYTES]
    if text:
        chunks.append(bytes(text))
    return chunks


def _text(entry: FedEntry) -> bytes:
    """Write one event; JSON holds no line break of its own."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (entry.id.encode(), entry.name.encode(), entry.data)
