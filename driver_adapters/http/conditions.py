"""Requests that hold against a state: ETag, If-Match, If-None-Match (RFC 9110, 8.8.3 and 13.1)."""

from __future__ import annotations

import re

from core.errors import DagChanged
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import HeaderInvalid, PreconditionMissing

CONDITION_BYTES_MAX = 512  # a handful of tags; nobody holds more states of one thing
_TAG = r'(?:W/)?"[\x21\x23-\x7e]*"'
_TAGS = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_EACH = re.compile(_TAG)
_ANY = "*"


def etag_header(tag: str) -> tuple[bytes, bytes]:
    """Give the header that names a state."""
    return b"etag", f'"{tag}"'.encode()


def matched(call: Call, tag: str) -> bool:
    """Hold a change against the state that is there: True = it names this one, False = `*`, so any will do.

    Raises:
        PreconditionMissing: it says nothing about the state that it is made upon. HeaderInvalid: not as RFC 9110 says.
        DagChanged: it names other states.
    """
    given = call.header(b"if-match")
    if given is None:
        raise PreconditionMissing("send the ETag that you read as If-Match, or `*` for any state")
    wanted = _tags(given)
    if wanted is None:
        raise HeaderInvalid(f"If-Match is `*` or a list of tags in quotes, at most {CONDITION_BYTES_MAX} bytes")
    if wanted == [_ANY]:
        return False
    if f'"{tag}"' not in wanted:  # strongly compared: a weak one never matches
        raise DagChanged("it is in another state than the one that If-Match names")
    return True


def not_modified(call: Call, tag: str) -> Reply | None:
    """Give the answer for a reader who has this state already, None when it is to be sent.

    What is no list of tags names no state, so the reader gets what it asks for.

    Raises:
        HeaderInvalid: If-None-Match stands twice.
    """
    known = _tags(call.header(b"if-none-match")) or []
    if known != [_ANY] and f'"{tag}"' not in {one.removeprefix("W/") for one in known}:
        return None
    return Reply(304, b"", headers=(etag_header(tag),))


def _tags(given: bytes | None) -> list[str] | None:
    """Split a list of tags; None when there is none."""
    text = b"" if given is None else given.strip()
    if text == _ANY.encode():
        return [_ANY]
    if len(text) > CONDITION_BYTES_MAX or not _TAGS.fullmatch(text.decode("latin-1")):
        return None
    return _EACH.findall(text.decode("latin-1"))
