"""Bytes that are too many for a row: files of people, written by streams and read by ranges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from core.errors import ErrorKind, FlowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Sequence
    from datetime import datetime

CHUNK_BYTES = 1_048_576  # one piece in memory per transfer: large enough that a disk, not the loop, sets the pace
KEY_CHARACTERS_MAX = 200  # of S3's 1 024 bytes, and with a folder's name before it of a disk's 255 per part
LIST_COUNT_MAX = 1_000  # one page; what S3 gives at once, too
# Made by the core from ids, never from what a person typed. A part begins with a letter or digit, so `..` is none.
_KEY = re.compile(r"[a-z0-9][A-Za-z0-9_-]{0,63}(?:/[A-Za-z0-9][A-Za-z0-9_-]{0,63}){0,7}")


class ObjectTooLarge(FlowError):
    """More bytes came than the caller allowed; nothing of them was kept."""

    kind, slug, title = ErrorKind.INVALID, "object-too-large", "Object is too large"


class ObjectMissing(FlowError):
    """The store has no object under this key."""

    kind, slug, title = ErrorKind.NOT_FOUND, "object-missing", "Object is not in the store"


class ObjectStat(msgspec.Struct, frozen=True):
    """What the store knows of an object without reading it; `stored_at` is aware UTC by the store's own clock."""

    key: str
    bytes_count: int
    stored_at: datetime


class PutObject(msgspec.Struct, frozen=True):
    """What was written: its length and the SHA-256 of its bytes in hex, computed while they passed."""

    bytes_count: int
    sha256: str


@runtime_checkable
class ObjectStore(Protocol):
    """Objects by (business domain, key). An object is whole or absent, and never changes under one key's readers.

    Keys are what `check_key` takes; a domain sees its own keys only, whatever its id looks like. Serves the engine for
    all tenants, so the domain is a value, not a request's scope.
    """

    async def put(self, domain_id: str, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> PutObject:
        """Write an object from a stream; visible and durable (synced) when this returns, not visible before.

        Holds CHUNK_BYTES and one chunk of the caller at a time. An object that stood under the key is replaced as a
        whole. What `chunks` raises ends the write, leaves nothing behind, and goes on to the caller.

        Raises:
            ObjectTooLarge: more than `bytes_max` bytes came. StoreFull: no space. StoreUnavailable: cannot be written.
                In each case what stood under the key before still stands there.
        """
        ...

    def get(self, domain_id: str, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Read the bytes `first`..`last`, both included, as chunks of at most CHUNK_BYTES; None = to the end.

        `first` at the end of the object or behind it gives nothing; a `last` behind it counts as the end. An object
        that is deleted or replaced meanwhile is read to its end as it was.

        Raises:
            ObjectMissing: when the first chunk is asked for. StoreUnavailable: cannot be read.
        """
        ...

    async def stat(self, domain_id: str, key: str) -> ObjectStat | None:
        """Say how long an object is and when it was stored; None when there is none."""
        ...

    async def delete(self, domain_id: str, key: str) -> bool:
        """Remove an object; False when there was none."""
        ...

    async def list(self, domain_id: str, *, prefix: str, after: str, limit: int) -> Sequence[ObjectStat]:
        """Page the objects whose key begins with `prefix` and is greater than `after`, ascending by key.

        Args:
            prefix: "" or whole parts with their slash, as `file/`.
            after: a key, or "" for the first page.
            limit: 1..LIST_COUNT_MAX; ValueError else.
        """
        ...

    async def presign(self, domain_id: str, key: str, *, lifetime_s: float) -> str | None:
        """Give a URL at which whoever has it can read the object until then; None when this store has none."""
        ...

    async def local_path(self, domain_id: str, key: str) -> str | None:
        """Give the object's path for a runner on this machine, to be read only; None when it has none, or is absent."""
        ...


def check_key(key: str) -> str:
    """Give the key back.

    Raises:
        ValueError: it is none: 1..8 parts of ASCII letters, digits, `_` and `-`, at most KEY_CHARACTERS_MAX characters.
    """
    if len(key) > KEY_CHARACTERS_MAX or not _KEY.fullmatch(key):
        raise ValueError(f"{key[:80]!r} is no key of an object")
    return key


def check_page(prefix: str, limit: int) -> str:
    """Give the prefix back.

    Raises:
        ValueError: it is no beginning of keys with whole parts, or the limit is outside of 1..LIST_COUNT_MAX.
    """
    if not 1 <= limit <= LIST_COUNT_MAX:
        raise ValueError(f"limit {limit} is outside of 1..{LIST_COUNT_MAX}")
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix[:80]!r} does not end with a slash")
        check_key(prefix[:-1])
    return prefix
