"""Values as people are shown them: not decoded, their JSON is laid together from the bytes that lie in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from core.engine.payloads import whole
from core.engine.state import Indirect, Joined, Reference, Value
from core.engine.values import encode_json, hash_of
from core.errors import PayloadMissing
from core.ports.instance_store import PayloadRange
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope

OUTCOME_SHOWN_BYTES_MAX = 16_777_216  # outputs of an instance: what a client can be expected to take in one answer


class ValueReader:
    """Reads values of one instance as JSON bytes; remembers what it fetched for one page."""

    def __init__(self, views: InstanceViews, objects: ObjectStore, scope: Scope, instance_id: str) -> None:
        self._views = views
        self._objects = objects
        self._scope = scope
        self._instance_id = instance_id
        self._read: dict[Reference, bytes] = {}

    async def shown(self, value: Value | None, bytes_max: int) -> tuple[Any, int | None]:
        """Give (JSON, None), or (None, size) when it passes `bytes_max`; (None, None) when there is no value."""
        if value is None:
            return None, None
        while isinstance(value, Indirect):
            await self.fetch([value.at])
            value = msgspec.convert(msgspec.json.decode(self._read[value.at]), Joined)
        size = value_bytes(value)
        if size > bytes_max:
            return None, size
        await self.fetch([value])
        while indirect := [part for part in _leaves(value) if isinstance(part, Indirect)]:
            value = await self._opened(value, indirect)
            if value_bytes(value) > bytes_max:
                return None, value_bytes(value)
            await self.fetch([value])
        return msgspec.Raw(_json(value, self._read)), None

    async def fetch(self, values: Iterable[Value | None]) -> None:
        """Read every reference of these values that is small enough to be shown, in one read."""
        wanted: dict[Reference, None] = {}
        for value in values:
            if value is not None and value_bytes(value) <= OUTCOME_SHOWN_BYTES_MAX:
                wanted |= {leaf: None for leaf in _references(value) if leaf not in self._read}
        if not wanted:
            return
        ranges = [PayloadRange(leaf.seq, leaf.offset, leaf.length) for leaf in wanted]
        found = await self._views.read_payloads(self._scope, self._instance_id, ranges)
        for leaf, data in zip(wanted, await whole(self._objects, self._scope.domain_id, found), strict=True):
            if hash_of(data) != leaf.hash:
                raise PayloadMissing(f"the value at {leaf.seq}:{leaf.offset} is not what was written")
            self._read[leaf] = data

    async def _opened(self, value: Value, indirect: list[Indirect]) -> Value:
        await self.fetch(part.at for part in indirect)
        opened = {part: msgspec.convert(msgspec.json.decode(self._read[part.at]), Joined) for part in indirect}
        return _replaced(value, opened)


def value_bytes(value: Value) -> int:
    """Give about how long the JSON is: exact but for separators and keys; an `Indirect` counts its directory only."""
    match value:
        case bytes():
            return len(value)
        case Reference():
            return value.length
        case Indirect():
            return value.at.length
        case Joined():
            return sum(value_bytes(part) for part in value.parts)


def _leaves(value: Value) -> Iterator[Value]:
    if isinstance(value, Joined):
        for part in value.parts:
            yield from _leaves(part)
    else:
        yield value


def _references(value: Value) -> Iterator[Reference]:
    for leaf in _leaves(value):
        if isinstance(leaf, Reference):
            yield leaf
        elif isinstance(leaf, Indirect):
            yield leaf.at


def _replaced(value: Value, opened: Mapping[Indirect, Joined]) -> Value:
    if isinstance(value, Indirect):
        return opened[value]
    if isinstance(value, Joined):
        return Joined(value.form, tuple(_replaced(part, opened) for part in value.parts), value.keys)
    return value


def _json(value: Value, read: Mapping[Reference, bytes]) -> bytes:
    """Lay the JSON together; every reference was fetched and no `Indirect` is left."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Reference):
        return read[value]
    if isinstance(value, Indirect):
        return read[value.at]
    parts = [_json(part, read) for part in value.parts]
    if value.form == "object":
        pairs = zip(value.keys, parts, strict=True)
        return b"{" + b",".join(encode_json(key) + b":" + part for key, part in pairs) + b"}"
    if value.form == "list":
        return b"[" + b",".join(parts) + b"]"
    inner = (part.strip()[1:-1].strip() for part in parts)
    return b"[" + b",".join(part for part in inner if part) + b"]"
