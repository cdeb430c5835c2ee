"""Use cases of files: who may do what."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence

import msgspec

from core.access.kept_answers import KeptAnswers, KeyedRequest
from core.access.permission import require
from core.file.files import Files, NewFile
from core.file.name import check_media_type, check_name
from core.ports.file_store import FileRow
from core.ports.key_store import KeptAnswer, NewAnswer
from core.ports.scope import Scope

PAGE_ROWS_MAX = 200


class UploadKey(msgspec.Struct, frozen=True):
    """The Idempotency-Key of an upload: `request` names it once the content is known, `shown` packs the answer."""

    request: Callable[[FileRow], KeyedRequest]
    shown: Callable[[FileRow], tuple[int, bytes]]


class FileService:
    """Files over HTTP."""

    def __init__(self, files: Files, answers: KeptAnswers) -> None:
        """Take the files and the answers under idempotency keys."""
        self._files = files
        self._answers = answers

    @property
    def file_bytes_max(self) -> int:
        """The largest file."""
        return self._files.file_bytes_max

    def allow_upload(self, scope: Scope) -> None:
        """Pass when this principal may upload; asked before anything of the body is read.

        Raises:
            NotAllowed: `file:create` is missing.
        """
        require(scope, "file", "create")

    async def upload(self, scope: Scope, name: str, media_type: str, chunks: AsyncIterable[bytes]) -> FileRow:
        """Store a file from a stream.

        Raises:
            NotAllowed: `file:create` is missing. RequestInvalid: name or media type. What `Files.put` raises.
        """
        require(scope, "file", "create")
        new = NewFile(name=check_name(name, "?name"), media_type=check_media_type(media_type))
        return await self._files.put(scope, new, chunks)

    async def upload_once(
        self, scope: Scope, name: str, media_type: str, chunks: AsyncIterable[bytes], key: UploadKey
    ) -> KeptAnswer:
        """Do what `upload` does, once for all requests with this key, and give the answer that stands under it.

        The content must have come before it is known whether it is the same: a repeat costs another upload.

        Raises:
            IdempotencyKeyReused: the key belongs to another request. Else as `upload`.
        """
        require(scope, "file", "create")
        new = NewFile(name=check_name(name, "?name"), media_type=check_media_type(media_type))
        asked: list[KeyedRequest] = []

        def answer(row: FileRow) -> NewAnswer:
            asked.append(key.request(row))
            return self._answers.new(asked[0], *key.shown(row))

        made = await self._files.put(scope, new, chunks, answer=answer)
        if isinstance(made, KeptAnswer):
            return self._answers.same(asked[0], made)
        return KeptAnswer(asked[0].req_hash, *key.shown(made))

    async def get(self, scope: Scope, file_id: str) -> FileRow:
        """Read what is known of a file.

        Raises:
            NotAllowed: `file:view` is missing. NoSuchFile: not in this business domain.
        """
        require(scope, "file", "view")
        return await self._files.get(scope, file_id)

    def read(self, row: FileRow, *, first: int = 0, last: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read the content of a file that `get` gave; as `Files.read`."""
        return self._files.read(row, first=first, last=last)

    async def list(self, scope: Scope, *, prefix: str, after: tuple[str, str], limit: int) -> Sequence[FileRow]:
        """Page files, ascending by (name, id), at most PAGE_ROWS_MAX.

        Raises:
            NotAllowed: `file:list` is missing.
        """
        require(scope, "file", "list")
        return await self._files.list(scope, prefix=prefix, after=after, limit=limit)

    async def delete(self, scope: Scope, file_id: str) -> None:
        """Delete a file.

        Raises:
            NotAllowed: `file:delete` is missing. NoSuchFile: not in this business domain.
        """
        require(scope, "file", "delete")
        await self._files.delete(scope, file_id)
