"""Uploads: a raw body, or a form with one file, read as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser, parse_options_header

from core.errors import RequestInvalid
from driver_adapters.http.exchange import Call
from driver_adapters.http.faults import RequestMalformed

FORM = "multipart/form-data"
FIELD = "file"  # the one part of a form
# Boundaries, headers and a preamble around one file; a form with more is not one that we know.
FORM_OVERHEAD_BYTES_MAX = 65_536
PART_HEADER_BYTES_MAX = 4_096


class Upload(msgspec.Struct, frozen=True):
    """A file that is coming: its name when the form gave one, its media type ("" = not said), and its content."""

    name: str | None
    media_type: str
    chunks: AsyncGenerator[bytes, None]


async def open_upload(call: Call, bytes_max: int) -> Upload:
    """Read as far as the content's first byte.

    Raises:
        BodyTooLarge: the announced length passes `bytes_max`. MediaTypeUnsupported: the body is compressed.
        RequestInvalid: the form has no part `file`, or another one. RequestMalformed: the form is broken.
    """
    content_type = call.content_type().decode("latin-1")
    kind, options = parse_options_header(content_type)
    if kind != FORM:
        return Upload(None, content_type, call.chunks(bytes_max))
    form = _Form(call, options.get("boundary", ""), bytes_max)
    part = await form.open_file()
    return Upload(part.filename, part.header("Content-Type") or "", form.content())


class _Form:
    """One form with one file."""

    def __init__(self, call: Call, boundary: str, bytes_max: int) -> None:
        if not boundary:
            raise RequestMalformed("the form's Content-Type names no boundary")
        self._chunks = call.chunks(bytes_max + FORM_OVERHEAD_BYTES_MAX)
        # Not strict: an epilogue is allowed, and strict refuses the last line's end when that comes alone.
        self._parser = PushMultipartParser(boundary, max_header_size=PART_HEADER_BYTES_MAX)
        self._first: list[bytes] = []

    async def open_file(self) -> MultipartSegment:
        """Read to the end of the file's headers; content that came with them is kept for `content`."""
        found: MultipartSegment | None = None
        async for chunk in self._chunks:
            for event in self._events(chunk):
                if isinstance(event, MultipartSegment):
                    found = _checked(event, found)
                elif event:
                    self._first.append(bytes(event))
            if found is not None:
                return found
        raise _invalid(f"the form has no part {FIELD!r}")

    async def content(self) -> AsyncGenerator[bytes, None]:
        """Give the file's content; at its end the form must end, too."""
        for piece in self._first:
            yield piece
        self._first = []
        async for chunk in self._chunks:
            for event in self._events(chunk):
                if isinstance(event, MultipartSegment):
                    raise _invalid(f"the form has a part {event.name!r} beside {FIELD!r}")
                if event:
                    yield bytes(event)
        self._close()

    def _events(self, chunk: bytes) -> list[MultipartSegment | bytearray | None]:
        if not chunk:  # an empty one would end the form
            return []
        try:
            return list(self._parser.parse(chunk))
        except ParserLimitReached as error:
            raise RequestMalformed("the headers of the form's part are too long") from error
        except MultipartError as error:
            raise RequestMalformed("the form is not multipart/form-data as RFC 7578 has it") from error

    def _close(self) -> None:
        try:
            self._parser.close()
        except MultipartError as error:
            raise RequestMalformed("the form ended too early") from error


def _checked(part: MultipartSegment, earlier: MultipartSegment | None) -> MultipartSegment:
    if earlier is not None or part.name != FIELD:
        raise _invalid(f"the form has a part {part.name!r} beside {FIELD!r}")
    return part


def _invalid(message: str) -> RequestInvalid:
    return RequestInvalid(message, faults=[{"code": "request.schema", "pointer": f"/{FIELD}", "message": message}])
