"""Operations: the declaration from which routes, guards, OpenAPI and the generated tests come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from core.errors import FlowError
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.query import Parameter

Handler = Callable[[Call], Awaitable[Reply]]


class RequestBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may carry: media types, shape (a Struct, or None for any JSON value) and an example.

    `schemas` and `examples` say by media type what is told of that one instead.
    """

    media_types: tuple[str, ...]
    shape: Any = None
    description: str
    example: Any
    is_required: bool = True
    schemas: Mapping[str, Any] = {}
    examples: Mapping[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One successful answer; `shape` None = no described shape (text, a schema document), no `media_type` = no body."""

    status: int
    description: str
    shape: Any = None
    example: Any = None
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    Attributes:
        id: stable name in OpenAPI. path: below the prefix, parameters as `{name}`.
        permission: what the use case asks for (security.md 2); empty for public ones.
        problems: error classes it may answer with, beside those that every guarded operation has.
        takes_key: whether it reads Idempotency-Key.
        needs_match: whether it is refused without If-Match. takes_none_match: whether it reads If-None-Match.
        takes_event_id: whether it reads Last-Event-ID.
        takes_range: whether it reads Range.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    tag: str
    handle: Handler
    answers: tuple[Answer, ...]
    permission: str = ""
    query: tuple[Parameter, ...] = ()
    body: RequestBody | None = None
    problems: tuple[type[FlowError], ...] = ()
    takes_key: bool = False
    needs_match: bool = False
    takes_none_match: bool = False
    takes_event_id: bool = False
    takes_range: bool = False
