"""`@file/read`, `@file/write`, `@file/list`: files of the business domain as steps see them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from core.dag.catalog import OperatorSpec, Retry, Timeout
from core.engine.values import stamp
from core.errors import ErrorKind, FlowError
from core.executor.operator import Call, Failed, Outcome, Succeeded
from core.file.files import Files, NewFile
from core.file.name import MEDIA_TYPE_CHARACTERS_MAX, NAME_CHARACTERS_MAX, check_media_type, check_name
from core.ports.file_store import FileRow
from core.ports.scope import Principal, Scope
from driven_adapters.operators.file_encoding import (
    ENCODINGS,
    MEDIA_TYPES,
    ContentInvalid,
    decode_content,
    encode_content,
)
from pkg.json_value import json_size

T = TypeVar("T")

CONTENT_BYTES_MAX = 16 * 1024 * 1024  # of a file as a value; larger ones are for `@data/query` and whoever downloads
CONTENT_BYTES_DEFAULT = 1024 * 1024
INLINE_BYTES_MAX = 64 * 1024  # decoded within a millisecond; a thread would cost more
NODE_BYTES = 16  # a value in a list or object costs about as long as this much text
LIST_COUNT_MAX = 200
_ID = "^[0-9A-HJKMNP-TV-Z]{26}$"
_NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS_MAX}
_KINDS = {
    ErrorKind.NOT_FOUND: "not_found",
    ErrorKind.INVALID: "invalid",
    ErrorKind.UNDECODABLE: "invalid",
    ErrorKind.EXHAUSTED: "exhausted",
    ErrorKind.STORAGE_FULL: "exhausted",
    ErrorKind.TIMEOUT: "timeout",
}
FILE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "media_type": {"type": "string"},
        "bytes": {"type": "integer"},
        "sha256": {"type": "string"},
        "created_at": {"type": "string"},
    },
    "required": ["id", "name", "media_type", "bytes", "sha256", "created_at"],
    "additionalProperties": False,
}
# A file by its id, or the newest of a name.
ONE_FILE: dict[str, Any] = {"id": {"type": "string", "pattern": _ID}, "name": _NAME}
ID_OR_NAME: list[dict[str, Any]] = [{"required": ["id"]}, {"required": ["name"]}]
_ENCODING: dict[str, Any] = {"enum": list(ENCODINGS), "default": "text"}


class FileRead:
    """`@file/read`: the content of a file as a value."""

    spec = OperatorSpec(
        name="@file/read",
        title="Read a file",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {
                **ONE_FILE,
                "encoding": _ENCODING,
                "bytes_max": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": CONTENT_BYTES_MAX,
                    "default": CONTENT_BYTES_DEFAULT,
                },
            },
            "oneOf": ID_OR_NAME,
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {"file": FILE_SCHEMA, "content": {}},
            "required": ["file", "content"],
            "additionalProperties": False,
        },
        retry=Retry(),
        timeout=Timeout(attempt_s=60.0),
        has_side_effects=False,
        dry_run="runs",
    )

    def __init__(self, files: Files | None) -> None:
        """Take the files; None in processes that check DAGs and run none."""
        self._files = files

    async def execute(self, call: Call) -> Outcome:
        """Find the file, read it up to the bound, decode it."""
        return await told(self._read(call))

    async def _read(self, call: Call) -> Outcome:
        files = present(self._files)
        row = await find_file(files, scope_of(call), call.parameters)
        bytes_max = call.parameters.get("bytes_max", CONTENT_BYTES_DEFAULT)
        if row.bytes_count > bytes_max:
            message = f"the file has {row.bytes_count} bytes, more than bytes_max = {bytes_max}"
            return Failed(error_kind="limit", message=message)
        async with contextlib.aclosing(files.read(row)) as chunks:
            data = b"".join([chunk async for chunk in chunks])
        encoding = call.parameters.get("encoding", "text")
        content = await aside(lambda: decode_content(data, encoding), len(data))
        return Succeeded({"file": file_view(row), "content": content})


class FileWrite:
    """`@file/write`: a value as a file. However often an attempt is repeated, the task makes one file."""

    spec = OperatorSpec(
        name="@file/write",
        title="Write a file",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {
                "name": _NAME,
                "content": {},
                "encoding": _ENCODING,
                "media_type": {"type": "string", "minLength": 1, "maxLength": MEDIA_TYPE_CHARACTERS_MAX},
            },
            "required": ["name", "content"],
            "additionalProperties": False,
        },
        output=FILE_SCHEMA,
        retry=Retry(),
        timeout=Timeout(attempt_s=60.0),
        has_side_effects=True,
        dry_run="skips",
    )

    def __init__(self, files: Files | None) -> None:
        """Take the files; None in processes that check DAGs and run none."""
        self._files = files

    async def execute(self, call: Call) -> Outcome:
        """Encode the content and store it under the task's idempotency key."""
        return await told(self._write(call))

    async def _write(self, call: Call) -> Outcome:
        given = call.parameters
        encoding = given.get("encoding", "text")
        content = given["content"]
        size = len(content) if isinstance(content, str) else json_size(content) * NODE_BYTES
        data = await aside(lambda: encode_content(content, encoding), size)
        if len(data) > CONTENT_BYTES_MAX:
            message = f"the content has {len(data)} bytes, more than {CONTENT_BYTES_MAX}"
            return Failed(error_kind="limit", message=message)
        new = NewFile(
            name=check_name(given["name"], "/name"),
            media_type=check_media_type(given.get("media_type", MEDIA_TYPES[encoding])),
            write_key=call.idempotency_key,
        )
        row = await present(self._files).put(scope_of(call), new, _one(data))
        return Succeeded(file_view(row))


class FileList:
    """`@file/list`: what is there, by name."""

    spec = OperatorSpec(
        name="@file/list",
        title="List files",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {
                "prefix": {"type": "string", "maxLength": NAME_CHARACTERS_MAX, "default": ""},
                "after": {"type": "object", "properties": ONE_FILE, "required": ["id", "name"]},
                "limit": {"type": "integer", "minimum": 1, "maximum": LIST_COUNT_MAX, "default": LIST_COUNT_MAX},
            },
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {"files": {"type": "array", "items": FILE_SCHEMA}, "is_complete": {"type": "boolean"}},
            "required": ["files", "is_complete"],
            "additionalProperties": False,
        },
        retry=Retry(),
        timeout=Timeout(attempt_s=60.0),
        has_side_effects=False,
        dry_run="runs",
    )

    def __init__(self, files: Files | None) -> None:
        """Take the files; None in processes that check DAGs and run none."""
        self._files = files

    async def execute(self, call: Call) -> Outcome:
        """Give a page of files, ascending by name, then id; `after` = the last file of the page before."""
        return await told(self._list(call))

    async def _list(self, call: Call) -> Outcome:
        given = call.parameters
        limit = given.get("limit", LIST_COUNT_MAX)
        after = given.get("after", {"name": "", "id": ""})
        rows = await present(self._files).list(
            scope_of(call), prefix=given.get("prefix", ""), after=(after["name"], after["id"]), limit=limit
        )
        return Succeeded({"files": [file_view(row) for row in rows], "is_complete": len(rows) < limit})


class FilesAbsent(FlowError):
    """This process checks DAGs and runs none; it has no files."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "files-absent", "This process has no files"


def present(files: Files | None) -> Files:
    """Give the files back.

    Raises:
        FilesAbsent: there are none.
    """
    if files is None:
        raise FilesAbsent("this process has no files")
    return files


async def told(work: Any) -> Outcome:
    """Give the outcome of a coroutine; faults of the files and of the disk are outcomes, too."""
    try:
        outcome: Outcome = await work
    except ContentInvalid as error:
        return Failed(error_kind="invalid", message=str(error))
    except FlowError as error:
        return failed_of(error)
    except OSError as error:
        return Failed(error_kind="unavailable", message=f"the disk says: {error.strerror or type(error).__name__}")
    return outcome


def failed_of(error: FlowError) -> Failed:
    """Say what a fault of the files is for the task."""
    kind = "limit" if error.slug == "object-too-large" else _KINDS.get(error.kind, "unavailable")
    return Failed(error_kind=kind, message=error.detail or error.title, retry_after_s=error.retry_after_s)


def scope_of(call: Call) -> Scope:
    """Act for the instance within its business domain: whoever may run the DAG may have it use the domain's files."""
    return Scope(call.domain_id, Principal(id=call.instance_id, kind="system", name=call.task_path))


async def find_file(files: Files, scope: Scope, named: Any) -> FileRow:
    """Find a file by `id`, or the newest by `name`.

    Raises:
        NoSuchFile: there is none. RequestInvalid: no file can be called so.
    """
    if "id" in named:
        return await files.get(scope, named["id"])
    return await files.find(scope, check_name(named["name"], "/name"))


def file_view(row: FileRow) -> dict[str, Any]:
    """Show a file as steps see it."""
    return {
        "id": row.id,
        "name": row.name,
        "media_type": row.media_type,
        "bytes": row.bytes_count,
        "sha256": row.sha256,
        "created_at": stamp(row.created_at),
    }


async def aside(work: Callable[[], T], bytes_count: int) -> T:
    """Do work on many bytes in a thread, so that the engine decides meanwhile."""
    return work() if bytes_count <= INLINE_BYTES_MAX else await asyncio.to_thread(work)


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
