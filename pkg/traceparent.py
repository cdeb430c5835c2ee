"""The `traceparent` header of W3C Trace Context: where in which trace something happens."""

from __future__ import annotations

import re

import msgspec

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_VERSION_INVALID = "ff"
_SAMPLED = 1


class Traceparent(msgspec.Struct, frozen=True):
    """A place in a trace; both ids are positive. `is_sampled`: whoever began the trace keeps it."""

    trace_id: int
    span_id: int
    is_sampled: bool

    @property
    def text(self) -> str:
        """The header's value."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.is_sampled):02x}"


def parse_traceparent(text: str) -> Traceparent | None:
    """Read a header's value; None when it is not valid, as the standard asks: a new trace begins then."""
    found = _FORM.fullmatch(text)
    if found is None or found[1] == _VERSION_INVALID:
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    return Traceparent(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED))
