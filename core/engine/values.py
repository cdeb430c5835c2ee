"""JSON values to and from the form in which they lie in state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from core.engine.state import Indirect, Joined, Reference, Value
from core.errors import PayloadMissing

_decode_json = msgspec.json.decode
encode_json: Callable[[Any], bytes] = msgspec.json.Encoder().encode


def refer(data: bytes, *, seq: int, offset: int) -> Reference:
    """Make the reference of JSON bytes that stand at `offset` in the values of commit `seq`."""
    return Reference(seq, offset, len(data), hash_of(data))


def hash_of(data: bytes) -> int:
    """Give the first 32 bits of blake2b, which tell a torn or foreign value."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big")


def decode_payload(reference: Reference, data: bytes) -> Any:
    """Decode the JSON value that was read for `reference`.

    Raises:
        PayloadMissing: these are not the bytes that were written.
    """
    if len(data) != reference.length or hash_of(data) != reference.hash:
        message = f"the value at {reference.seq}:{reference.offset} is not what was written"
        raise PayloadMissing(message)
    return _decode_json(data)


def references_of(value: Value | None) -> list[Reference]:
    """List every reference that stands in a value itself (not those behind an `Indirect`)."""
    match value:
        case Reference():
            return [value]
        case Indirect():
            return [value.at]
        case Joined():
            return [reference for part in value.parts for reference in references_of(part)]
        case _:
            return []


def resolve(value: Value, values: Mapping[Reference, Any], missing: list[Reference]) -> Any:
    """Give the JSON value; references that `values` lacks are added to `missing`, and the result means nothing then."""
    if isinstance(value, bytes):
        return _decode_json(value)
    if isinstance(value, Reference):
        if value in values:
            return values[value]
        missing.append(value)
        return None
    if isinstance(value, Indirect):
        if value.at not in values:
            missing.append(value.at)
            return None
        return resolve(msgspec.convert(values[value.at], Joined), values, missing)
    parts = [resolve(part, values, missing) for part in value.parts]
    if value.form == "object":
        return dict(zip(value.keys, parts, strict=True))
    if value.form == "list" or missing:
        return parts
    return [item for part in parts for item in part]


def join(form: Literal["object", "list", "concat"], parts: tuple[Value, ...], keys: tuple[str, ...] = ()) -> Value:
    """Put values together; when every part stands in its place, so does the result."""
    if not all(isinstance(part, bytes) for part in parts):
        return Joined(form, parts, keys)
    inline = [part for part in parts if isinstance(part, bytes)]
    if form == "object":
        return b"{" + b",".join(encode_json(key) + b":" + part for key, part in zip(keys, inline, strict=True)) + b"}"
    if form == "list":
        return b"[" + b",".join(inline) + b"]"
    return b"[" + b",".join(part[1:-1] for part in inline if part != b"[]") + b"]"


def stamp(at: datetime) -> str:
    """Write a time, aware UTC, as values and answers hold it: RFC 3339 with milliseconds."""
    text: str = msgspec.to_builtins(at)  # with microseconds, if there are any: a sixth of what `isoformat` takes
    return f"{text[:23]}Z" if at.microsecond else f"{text[:19]}.000Z"
