"""Objects in a dict: for tests and the simulation."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from core.errors import StoreFull
from core.ports.object_store import (
    CHUNK_BYTES,
    ObjectMissing,
    ObjectStat,
    ObjectTooLarge,
    PutObject,
    check_key,
    check_page,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
    from datetime import datetime

    from core.ports.clock import Clock

Place = tuple[str, str]


class MemoryObjectStore:
    """`ObjectStore` in memory. Deterministic; `room_bytes` stands in for a disk that is full."""

    def __init__(
        self, clock: Clock, *, room_bytes: int = 2**40, on_point: Callable[[str], None] = lambda _point: None
    ) -> None:
        self._clock = clock
        self._room_bytes = room_bytes
        self._on_point = on_point
        self._objects: dict[Place, tuple[bytes, datetime]] = {}

    async def put(self, domain_id: str, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> PutObject:
        """Write an object from a stream."""
        place = (domain_id, check_key(key))
        held = sum(len(body) for body, _ in self._objects.values())
        parts: list[bytes] = []
        count = 0
        async for chunk in chunks:
            count += len(chunk)
            if count > bytes_max:
                raise ObjectTooLarge(f"more than {bytes_max} bytes", limit_bytes=bytes_max)
            if held + count > self._room_bytes:
                raise StoreFull("the memory of the objects is full")
            parts.append(bytes(chunk))
            self._on_point("written")
        self._on_point("before_visible")
        body = b"".join(parts)
        self._objects[place] = (body, self._clock.now())
        self._on_point("visible")
        return PutObject(count, hashlib.sha256(body).hexdigest())

    async def get(self, domain_id: str, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Read a range as chunks."""
        found = self._objects.get((domain_id, check_key(key)))
        if found is None:
            raise ObjectMissing(f"no object {key}")
        body = found[0] if last is None else found[0][: last + 1]
        for start in range(first, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]

    async def stat(self, domain_id: str, key: str) -> ObjectStat | None:
        """Say how long an object is."""
        found = self._objects.get((domain_id, check_key(key)))
        return None if found is None else ObjectStat(key, len(found[0]), found[1])

    async def delete(self, domain_id: str, key: str) -> bool:
        """Remove an object."""
        return self._objects.pop((domain_id, check_key(key)), None) is not None

    async def list(self, domain_id: str, *, prefix: str, after: str, limit: int) -> Sequence[ObjectStat]:
        """Page objects, ascending by key."""
        check_page(prefix, limit)
        found = sorted(
            key for domain, key in self._objects if domain == domain_id and key.startswith(prefix) and key > after
        )
        return [ObjectStat(key, len(body), at) for key in found[:limit] for body, at in [self._objects[domain_id, key]]]

    async def presign(self, domain_id: str, key: str, *, lifetime_s: float) -> str | None:
        """Give none: nothing serves this memory."""
        del domain_id, key, lifetime_s
        return None

    async def local_path(self, domain_id: str, key: str) -> str | None:
        """Give none: these bytes lie on no disk."""
        del domain_id, key
        return None
