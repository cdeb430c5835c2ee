"""Headers that a request may carry, and which of them go along to another origin."""

from __future__ import annotations

import re

from core.ports.http_client import RequestMalformed

HEADER_COUNT_MAX = 100  # common servers refuse more
HEADERS_BYTES_MAX = 64 * 1024  # all together; common servers take 8 to 64 KiB

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*\Z")  # no CR, LF, NUL or other control; what Latin-1 can hold
# Written by the client itself: a second value would contradict how the request is framed and where it goes.
OWN_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "trailer", "te", "expect", "accept-encoding"),
        *("connection", "keep-alive", "upgrade", "proxy-authorization", "proxy-connection"),
    )
)
# Another origin gets only what cannot be a credential: nobody can tell an unknown header from a token.
CARRIED_HEADERS = frozenset(
    (
        *("accept", "accept-language", "content-type", "content-language", "user-agent"),
        *("idempotency-key", "x-flow-attempt"),
    )
)


def checked_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...] | RequestMalformed:
    """Give the headers with blanks around values cut off, or say what is wrong with the first bad one."""
    if len(headers) > HEADER_COUNT_MAX:
        return RequestMalformed(f"more than {HEADER_COUNT_MAX} headers")
    if sum(len(name) + len(value) + 4 for name, value in headers) > HEADERS_BYTES_MAX:
        return RequestMalformed(f"the headers are larger than {HEADERS_BYTES_MAX} bytes")
    for name, value in headers:
        if not _NAME.match(name):
            return RequestMalformed("a header's name has a character that names cannot have")
        if name.lower() in OWN_HEADERS:
            return RequestMalformed(f"header {name!r} is written by the client itself")
        if not _VALUE.match(value):
            return RequestMalformed(f"the value of header {name!r} has a character that headers cannot have")
    return tuple((name, value.strip(" \t")) for name, value in headers)


def headers_for_other_origin(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Leave out everything that could be a credential of the first origin."""
    return tuple((name, value) for name, value in headers if name.lower() in CARRIED_HEADERS)
