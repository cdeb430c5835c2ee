"""Pages and path parameters, the same for every list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from core.errors import FlowError
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import QueryInvalid
from driver_adapters.http.query import Parameter
from pkg.cursor import CURSOR_CHARACTERS_MAX, CursorRefused, read_cursor

LIMIT = Parameter(
    name="limit", kind=int, minimum=1, maximum=200, default=50, description="How many at most."
)  # fmt: skip
CURSOR = Parameter(
    name="cursor",
    kind=str,
    length_max=CURSOR_CHARACTERS_MAX,
    description="`next` of the page before; opaque.",
)
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")  # a ULID: anything else is not looked for

ID_SHOWN_CHARACTERS_MAX = 64  # of what was sent in place of an id

T = TypeVar("T")


def path_id(call: Call, name: str, missing: type[FlowError]) -> str:
    """Give an id from the path.

    Raises:
        FlowError: `missing`, when the text is no id: it answers exactly like an id that does not exist.
    """
    text = call.path_values[name]
    if not _ID.fullmatch(text):
        raise missing(f"no {name.removesuffix('_id')} {text[:ID_SHOWN_CHARACTERS_MAX]}")
    return text


def cursor_place(kind: str, cursor: str | None, shape: type[T], start: T) -> T:
    """Give the place that a cursor names, `start` without one.

    Raises:
        QueryInvalid: it is no cursor of this list.
    """
    if cursor is None:
        return start
    try:
        return read_cursor(kind, cursor, shape)
    except CursorRefused as error:
        fault = {"code": "request.query", "pointer": "?cursor", "message": str(error)}
        raise QueryInvalid(str(error), faults=[fault]) from error


def page_reply(call: Call, items: Sequence[Any], cursor: str | None) -> Reply:
    """Answer a page: `items`, `next`, and the `Link` of the next page, which is the same query with its cursor."""
    return _page(call, items, cursor, "cursor", cursor)


def numbered_page_reply(call: Call, items: Sequence[Any], page: int | None) -> Reply:
    """Answer a page that was asked for by its number; `page` = the next one's, which its `Link` names."""
    return _page(call, items, None, "page", None if page is None else str(page))


def _page(call: Call, items: Sequence[Any], cursor: str | None, place: str, following: str | None) -> Reply:
    body = msgspec.json.encode({"items": items, "next": cursor})
    if following is None:
        return Reply(200, body)
    kept = [(name, value) for name, value in parse_qsl(call.query.decode("ascii")) if name != place]
    target = f"{call.path}?{urlencode([*kept, (place, following)])}"
    return Reply(200, body, headers=((b"link", f'<{target}>; rel="next"'.encode("ascii", "replace")),))
