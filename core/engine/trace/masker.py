"""What of an instance goes into a trace file: every value masked by name and by known secrets, tokens left out.

A masked value is another value, so what refers to it refers to where it lies now: lengths and hashes of what was
masked are in no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from core.engine import events as e
from core.engine.lending import Lent
from core.engine.masking import MASK, is_secret_name, masked
from core.engine.rerun_events import CacheMissed
from core.engine.state import Indirect, Joined, Reference, Value
from core.engine.values import encode_json, hash_of

MaskText = Callable[[str], str]
_MASKED_JSON = encode_json(MASK)
_JOINED = msgspec.json.Decoder(Joined)
# Of a schema under `properties`: words that hold values of what is described, and words that only describe.
_SCHEMA_WORDS = frozenset({
    "$ref", "additionalProperties", "allOf", "anyOf", "exclusiveMaximum", "exclusiveMinimum", "format", "items",
    "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum",
    "multipleOf", "oneOf", "pattern", "properties", "required", "title", "description", "type", "uniqueItems",
})  # fmt: skip


def values_in(item: Any) -> Iterator[Reference | Indirect]:
    """Give every reference that stands in an event or in a value, directories of laid out values as such."""
    if isinstance(item, Reference | Indirect):
        yield item
    elif isinstance(item, Lent):  # all else of it lies in the instance that lends
        yield from values_in(item.copied)
    elif isinstance(item, msgspec.Struct):
        for field in item.__struct_fields__:
            yield from values_in(getattr(item, field))
    elif isinstance(item, tuple | list):
        for part in item:
            yield from values_in(part)


def joined_of(data: bytes) -> Joined:
    """Decode what an `Indirect` refers to.

    Raises:
        msgspec.DecodeError: it is no directory.
    """
    return _JOINED.decode(data)


class Masker:
    """Masks events; `read` has the bytes of every value that goes along, by where it lies.

    Attributes:
        values: what goes along, masked, by where it lies in the file.
    """

    def __init__(self, read: Mapping[Reference, bytes], mask_text: MaskText) -> None:
        """Begin with none."""
        self.values: dict[Reference, bytes] = {}
        self._read = read
        self._mask_text = mask_text
        self._moved: dict[tuple[Reference, bool], Reference] = {}

    def event(self, event: e.Event) -> e.Event:
        """Give the event as it may be seen."""
        if isinstance(event, e.AttemptStarted):
            # Whoever holds a token can end the attempt; its number tells it from the one before as well.
            return msgspec.structs.replace(event, token=str(event.number).encode())
        if isinstance(event, e.CallbacksOpened):
            return e.CallbacksOpened(b"")  # with it, any wait for a callback could be ended
        if isinstance(event, CacheMissed):
            return msgspec.structs.replace(event, key=b"")  # a hash of parameters
        if isinstance(event, e.VariableSet) and is_secret_name(event.name):
            return msgspec.structs.replace(event, value=_MASKED_JSON)
        masked_event: e.Event = self._walk(event, "")
        return masked_event

    def json(self, value: Any) -> Any:
        """Give a JSON value as it may be seen: by names, then by known secrets in its texts."""
        return self._texts(masked(value))

    def _walk(self, item: Any, field: str) -> Any:
        match item:
            case bytes():
                return self._bytes(item)
            case Reference() | Joined() | Indirect():
                return self._value(item)
            case msgspec.Struct():
                fields = item.__struct_fields__
                return msgspec.structs.replace(item, **{name: self._walk(getattr(item, name), name) for name in fields})
            case tuple():
                return tuple(self._walk(part, field) for part in item)
            case dict():
                return self.json(item)
            case str() if field == "reason":
                return self._mask_text(item)
            case _:
                return item

    def _value(self, value: Value, *, is_hidden: bool = False) -> Value:
        match value:
            case bytes():
                return _MASKED_JSON if is_hidden else self._bytes(value)
            case Joined():
                hidden = [is_hidden or is_secret_name(key) for key in value.keys] or [is_hidden] * len(value.parts)
                parts = (self._value(part, is_hidden=one) for part, one in zip(value.parts, hidden, strict=True))
                return Joined(value.form, tuple(parts), value.keys)
            case Indirect():
                return Indirect(self._directory(value.at, is_hidden=is_hidden))
            case _:
                return self._reference(value, is_hidden=is_hidden)

    def _reference(self, at: Reference, *, is_hidden: bool) -> Reference:
        data = self._read.get(at)
        if data is None:
            return Reference(at.seq, at.offset, at.length, 0)
        return self._placed(at, _MASKED_JSON if is_hidden else self._bytes(data), is_hidden=is_hidden)

    def _directory(self, at: Reference, *, is_hidden: bool) -> Reference:
        known = self._moved.get((at, is_hidden))
        if known is not None:
            return known
        data = self._read.get(at)
        if data is None:
            return Reference(at.seq, at.offset, at.length, 0)
        return self._placed(at, encode_json(self._value(joined_of(data), is_hidden=is_hidden)), is_hidden=is_hidden)

    def _placed(self, at: Reference, data: bytes, *, is_hidden: bool) -> Reference:
        moved = Reference(at.seq, at.offset, len(data), hash_of(data))
        self._moved[at, is_hidden] = moved
        self.values[moved] = data
        return moved

    def _bytes(self, data: bytes) -> bytes:
        value = msgspec.json.decode(data)
        shown = self.json(value)
        return data if shown == value else encode_json(shown)

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._mask_text(value)
        if isinstance(value, dict):
            return {self._mask_text(key): self._texts(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._texts(inner) for inner in value]
        return value

    # The document

    def document(self, value: Any) -> Any:
        """Give a DAG document as it may be seen; it stays one where that is possible.

        Under a name that says `secret` stands no text; a schema of something secret is still its schema, without the
        values that it names (`default`, `enum` and the like).
        """
        return self._texts(_of_document(value, ""))


def _of_document(value: Any, above: str) -> Any:
    if isinstance(value, list):
        return [_of_document(inner, above) for inner in value]
    if not isinstance(value, dict):
        return value
    shown = {}
    for key, inner in value.items():
        if not is_secret_name(key) or inner is None:
            shown[key] = _of_document(inner, key)
        elif above == "properties" and isinstance(inner, dict):
            shown[key] = _schema(inner)
        else:
            shown[key] = MASK if not isinstance(inner, bool) else inner
    return shown


def _schema(value: dict[str, Any]) -> dict[str, Any]:
    """Leave of a schema what describes; what is below of it is a secret's, too."""
    return {key: _described(key, inner) for key, inner in value.items() if key in _SCHEMA_WORDS}


def _described(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_described("", inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if key == "properties":
        return {name: _schema(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
    return _schema(value)
