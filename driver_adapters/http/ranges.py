"""Parts of a content, and whether the caller has it already (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re

import msgspec

from driver_adapters.http.exchange import Call
from driver_adapters.http.faults import RangeUnsatisfiable

_RANGE = re.compile(rb"bytes=([0-9]{0,18})-([0-9]{0,18})")
_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class Part(msgspec.Struct, frozen=True):
    """Bytes `first`..`last`, both included, of a content of `bytes_count`; `is_whole` = no part was asked for."""

    first: int
    last: int
    bytes_count: int
    is_whole: bool

    @property
    def length(self) -> int:
        """How many bytes this is."""
        return self.last - self.first + 1


def wanted_part(call: Call, bytes_count: int, tag: bytes) -> Part:
    """Give the part that the request asks for.

    A range that is not understood, several ranges, and one under an If-Range of another state mean the whole, as the
    RFC says.

    Raises:
        RangeUnsatisfiable: the range lies behind the end.
    """
    whole = Part(0, bytes_count - 1, bytes_count, is_whole=True)
    given = call.header(b"range")
    held = call.header(b"if-range")
    found = None if given is None else _RANGE.fullmatch(given.strip().lower())
    if found is None or found[0] == b"bytes=-" or (held is not None and held.strip() != tag):
        return whole
    if not found[1]:
        first, last = max(0, bytes_count - int(found[2])), bytes_count - 1
    else:
        first, last = int(found[1]), int(found[2] or bytes_count - 1)
        if found[2] and last < first:
            return whole
    if first >= bytes_count or last < first:
        raise RangeUnsatisfiable(f"the content has {bytes_count} bytes", bytes_count=bytes_count)
    return Part(first, min(last, bytes_count - 1), bytes_count, is_whole=False)


def has_already(call: Call, tag: bytes) -> bool:
    """Tell whether If-None-Match names this state; weak tags count, as they do for it."""
    given = call.header(b"if-none-match")
    if given is None:
        return False
    return given.strip() == b"*" or tag in {one.removeprefix(b"W/") for one in _TAG.findall(given)}
