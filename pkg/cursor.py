"""Opaque page cursors: where a list goes on, as text that callers hand back unread."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TypeVar

import msgspec

# A cursor travels in a query string; the longest place is a frame path of nested maps with ids of 64 characters.
CURSOR_CHARACTERS_MAX = 4096
_CHECK_BYTES = (
    4  # enough to tell a typing error or another list's cursor; no protection is needed, places are no secret
)

T = TypeVar("T")


class CursorRefused(Exception):
    """The text is no cursor of this list."""


def write_cursor(kind: str, place: object) -> str:
    """Encode a place of the list `kind`; `place` is anything that msgspec encodes."""
    body = msgspec.json.encode(place)
    return base64.urlsafe_b64encode(_check(kind, body) + body).rstrip(b"=").decode()


def read_cursor(kind: str, text: str, shape: type[T]) -> T:
    """Decode a cursor that `write_cursor` made for the list `kind`.

    Raises:
        CursorRefused: it was made for another list, was changed, or is no cursor.
    """
    if len(text) > CURSOR_CHARACTERS_MAX:
        raise CursorRefused("the cursor is too long")
    try:
        # validate=True: without it characters outside the alphabet are skipped, so two texts would mean one place.
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CursorRefused("the cursor is not base 64") from error
    body = raw[_CHECK_BYTES:]
    if raw[:_CHECK_BYTES] != _check(kind, body):
        raise CursorRefused("the cursor belongs to another list or was changed")
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise CursorRefused("the cursor does not name a place") from error


def _check(kind: str, body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=kind.encode()[:16]).digest()
