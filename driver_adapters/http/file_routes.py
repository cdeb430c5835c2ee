"""Routes of files: upload, list, read, download, delete."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from core.access.kept_answers import KeyedRequest
from core.engine.values import stamp
from core.errors import IdempotencyKeyReused, NoSuchFile, OutcomeUnknown, QueueFull, RequestInvalid, StoreFull
from core.file.files import UploadTimeout
from core.file.name import NAME_CHARACTERS_MAX
from core.file.service import PAGE_ROWS_MAX, FileService, UploadKey
from core.ports.file_store import FileRow
from core.ports.object_store import ObjectTooLarge
from driver_adapters.http.exchange import Call, Reply
from driver_adapters.http.faults import (
    BodyTooLarge,
    HeaderInvalid,
    MediaTypeUnsupported,
    RangeUnsatisfiable,
    RequestMalformed,
)
from driver_adapters.http.kept_reply import pack_reply, request_hash, unpack_reply
from driver_adapters.http.operation import Answer, Operation, RequestBody
from driver_adapters.http.paging import CURSOR, LIMIT, cursor_place, page_reply, path_id
from driver_adapters.http.query import Parameter, read_query
from driver_adapters.http.ranges import Part, has_already, wanted_part
from driver_adapters.http.upload import FIELD, FORM, open_upload
from pkg.cursor import write_cursor

_UPLOAD_ID = "uploadFile"  # also the route that its idempotency keys belong to
_BINARY = "application/octet-stream"
_EXAMPLE_TEXT = "id,amount\n1,9.50\n"
# What a file holds must not act in the name of this service when a browser opens it.
_HARMLESS = ((b"content-security-policy", b"sandbox; default-src 'none'"), (b"accept-ranges", b"bytes"))


class FileBody(msgspec.Struct, frozen=True, kw_only=True):
    """A file; `bytes` is its length, `sha256` of its content in hex."""

    id: str
    name: str
    media_type: str
    bytes: int
    sha256: str
    created_at: str
    created_by: str


class FilePage(msgspec.Struct, frozen=True):
    """Files ascending by name, then id; `next` is the cursor of the next page, null on the last."""

    items: tuple[FileBody, ...]
    next: str | None = None


EXAMPLE_FILE: dict[str, Any] = {
    "id": "01JD3V6Q0R5M9T8W7X2Y4Z1A3D",
    "name": "orders/2026-01.csv",
    "media_type": "text/csv",
    "bytes": 1_048_576,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "created_at": "2026-01-31T08:30:00.000Z",
    "created_by": "01JD3V6Q0R5M9T8W7X2Y4Z1A3C",
}
_NAME = Parameter(
    name="name",
    kind=str,
    length_max=NAME_CHARACTERS_MAX,
    description="What the file is called, as `orders/2026-01.csv`; a form's filename when absent.",
)
_PREFIX = Parameter(
    name="prefix",
    kind=str,
    length_max=NAME_CHARACTERS_MAX,
    description="Only files whose name begins so.",
)
_CONTENT = RequestBody(
    media_types=(_BINARY, FORM),
    description="The content itself, with its own media type, or a form with one part `file`.",
    is_required=False,  # an empty file is one
    example=_EXAMPLE_TEXT,
    schemas={
        _BINARY: {"type": "string"},
        FORM: {
            "type": "object",
            "properties": {FIELD: {"type": "string", "contentMediaType": _BINARY}},
            "required": [FIELD],
            "additionalProperties": False,
        },
    },
    examples={FORM: {FIELD: _EXAMPLE_TEXT}},
)


def file_operations(files: FileService) -> list[Operation]:
    """Declare the routes over this service."""
    routes = _FileRoutes(files)
    return [_upload(routes), _list(routes), _get(routes), _download(routes), _delete(routes)]


def _upload(routes: _FileRoutes) -> Operation:
    answer = Answer(status=201, description="Stored.", shape=FileBody, example=EXAMPLE_FILE, headers=("Location",))
    return Operation(
        id=_UPLOAD_ID,
        method="POST",
        path="/files",
        summary="Upload a file",
        tag="Files",
        handle=routes.upload,
        permission="file:create",
        query=(_NAME,),
        body=_CONTENT,
        answers=(answer,),
        problems=(
            RequestInvalid, RequestMalformed, BodyTooLarge, MediaTypeUnsupported, HeaderInvalid, IdempotencyKeyReused,
            QueueFull, StoreFull, UploadTimeout, OutcomeUnknown,
        ),
        takes_key=True,
    )  # fmt: skip


def _list(routes: _FileRoutes) -> Operation:
    return Operation(
        id="listFiles",
        method="GET",
        path="/files",
        summary="List the files of the business domain by name",
        tag="Files",
        handle=routes.list,
        permission="file:list",
        query=(LIMIT, CURSOR, _PREFIX),
        answers=(Answer(status=200, description="A page.", shape=FilePage, example={"items": [EXAMPLE_FILE]}),),
    )


def _get(routes: _FileRoutes) -> Operation:
    return Operation(
        id="getFile",
        method="GET",
        path="/files/{file_id}",
        summary="Read what is known of a file",
        tag="Files",
        handle=routes.get,
        permission="file:view",
        answers=(Answer(status=200, description="The file.", shape=FileBody, example=EXAMPLE_FILE),),
        problems=(NoSuchFile,),
    )


def _download(routes: _FileRoutes) -> Operation:
    return Operation(
        id="readFileContent",
        method="GET",
        path="/files/{file_id}/content",
        summary="Download a file, or a range of its bytes",
        tag="Files",
        handle=routes.download,
        permission="file:view",
        answers=(
            Answer(
                status=200,
                description="The content, under its own media type.",
                media_type="*/*",
                example=_EXAMPLE_TEXT,
            ),
            Answer(status=206, description="The range, named in Content-Range.", media_type="*/*", example="id"),
            Answer(status=304, description="The caller has it already.", media_type=""),
        ),
        problems=(NoSuchFile, RangeUnsatisfiable, HeaderInvalid),
        takes_none_match=True,
        takes_range=True,
    )


def _delete(routes: _FileRoutes) -> Operation:
    return Operation(
        id="deleteFile",
        method="DELETE",
        path="/files/{file_id}",
        summary="Delete a file",
        tag="Files",
        handle=routes.delete,
        permission="file:delete",
        answers=(Answer(status=204, description="Deleted.", media_type=""),),
        problems=(NoSuchFile, StoreFull),
    )


class _FileRoutes:
    def __init__(self, files: FileService) -> None:
        self._files = files

    async def upload(self, call: Call) -> Reply:
        self._files.allow_upload(call.scope)
        name = read_query(call.query, (_NAME,))["name"]
        key = call.idempotency_key()
        upload = await open_upload(call, self._files.file_bytes_max)
        name = upload.name or "" if name is None else name
        with self._told_too_large():
            async with contextlib.aclosing(upload.chunks) as chunks:
                if key is None:
                    return _created(call, await self._files.upload(call.scope, name, upload.media_type, chunks))
                kept = await self._files.upload_once(
                    call.scope, name, upload.media_type, chunks, _upload_key(call, key)
                )
                return unpack_reply(kept)

    async def list(self, call: Call) -> Reply:
        chosen = read_query(call.query, (LIMIT, CURSOR, _PREFIX))
        after = cursor_place("files", chosen["cursor"], tuple[str, str], ("", ""))
        limit = min(chosen["limit"], PAGE_ROWS_MAX)
        rows = await self._files.list(call.scope, prefix=chosen["prefix"] or "", after=after, limit=limit)
        cursor = write_cursor("files", (rows[-1].name, rows[-1].id)) if len(rows) == limit else None
        return page_reply(call, tuple(_shown(row) for row in rows), cursor)

    async def get(self, call: Call) -> Reply:
        read_query(call.query, ())
        row = await self._files.get(call.scope, path_id(call, "file_id", NoSuchFile))
        return Reply(200, msgspec.json.encode(_shown(row)), headers=((b"etag", _tag(row)),))

    async def download(self, call: Call) -> Reply:
        read_query(call.query, ())
        row = await self._files.get(call.scope, path_id(call, "file_id", NoSuchFile))
        tag = _tag(row)
        headers = [*_HARMLESS, (b"etag", tag), (b"content-disposition", _disposition(row.name))]
        if has_already(call, tag):
            return Reply(304, headers=tuple(headers))
        part = wanted_part(call, row.bytes_count, tag)
        if not part.is_whole:
            headers.append((b"content-range", f"bytes {part.first}-{part.last}/{part.bytes_count}".encode()))
        return Reply(
            200 if part.is_whole else 206,
            media_type=row.media_type.encode("ascii"),
            headers=tuple(headers),
            chunks=await _begun(self._content(row, part)),
            chunks_bytes=part.length,
        )

    async def delete(self, call: Call) -> Reply:
        read_query(call.query, ())
        await self._files.delete(call.scope, path_id(call, "file_id", NoSuchFile))
        return Reply(204)

    def _content(self, row: FileRow, part: Part) -> AsyncGenerator[bytes, None]:
        return self._files.read(row, first=part.first, last=part.last)

    @contextlib.contextmanager
    def _told_too_large(self) -> Iterator[None]:
        """Say of a form's file what is said of a raw body."""
        try:
            yield
        except ObjectTooLarge as error:
            limit = self._files.file_bytes_max
            raise BodyTooLarge(f"the file passes {limit} bytes", limit_bytes=limit) from error


async def _begun(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Read the first chunk now, so that a file which cannot be read is answered with a problem, not with half of it."""
    first = await anext(chunks, b"")

    async def whole() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    return whole()


def _upload_key(call: Call, key: str) -> UploadKey:
    def request(row: FileRow) -> KeyedRequest:
        return KeyedRequest(_UPLOAD_ID, key, request_hash((row.name, row.media_type, row.sha256), b""))

    return UploadKey(request, lambda row: pack_reply(_created(call, row)))


def _created(call: Call, row: FileRow) -> Reply:
    location = f"{call.path}/{row.id}".encode()
    return Reply(201, msgspec.json.encode(_shown(row)), headers=((b"location", location), (b"etag", _tag(row))))


def _tag(row: FileRow) -> bytes:
    """Name the state: a file never changes, so its content's hash does."""
    return f'"{row.sha256}"'.encode()


def _disposition(name: str) -> bytes:
    """Say under which name to save: never shown in place, whatever the media type claims (RFC 6266)."""
    saved = name.rpartition("/")[2]
    plain = "".join(one if one.isascii() and one not in '"%' else "_" for one in saved)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(saved, safe='')}".encode("ascii")


def _shown(row: FileRow) -> FileBody:
    return FileBody(
        id=row.id,
        name=row.name,
        media_type=row.media_type,
        bytes=row.bytes_count,
        sha256=row.sha256,
        created_at=stamp(row.created_at),
        created_by=row.created_by,
    )
