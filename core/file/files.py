"""Files of a business domain: what the API's use cases and the steps of DAGs share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from datetime import timedelta
from typing import overload

import msgspec

from core.errors import CommitUnknown, ErrorKind, FlowError, NoSuchFile, OutcomeUnknown, QueueFull, StoreUnavailable
from core.ports.clock import Clock, IdSource
from core.ports.file_store import FileRow, FileStore, object_key
from core.ports.key_store import KeptAnswer, NewAnswer
from core.ports.object_notes import LooseObject, ObjectNotes
from core.ports.object_store import ObjectMissing, ObjectStore, PutObject
from core.ports.scope import Scope
from core.predicate import full_node

FILE_BYTES_MAX_DEFAULT = 2 * 1024**3
UPLOAD_S_MAX = 3_600.0  # 2 GiB at 0.6 MB/s; who is slower holds a place for nothing
UPLOADS_COUNT_MAX = 32  # each holds about 2 MiB of memory and a file handle
TRIES_MAX = 3  # for a commit whose answer was lost: it is given again, and finds what landed
LOOSE_KEPT = timedelta(hours=2)  # longer than an upload may take, so that none loses its object under its hands
SWEEP_PERIOD_S = 600.0
SWEEP_PORTION = 100  # objects removed between two looks at the list
SWEEP_PORTIONS_MAX = 100


class UploadTimeout(FlowError):
    """The file did not arrive within an hour; nothing of it was kept."""

    kind, slug, title = ErrorKind.TIMEOUT, "upload-timeout", "Upload took too long"


class NewFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to be stored; name and media type were checked. `write_key`: the task's idempotency key."""

    name: str
    media_type: str
    write_key: str | None = None


class Files:
    """Keeps rows and objects together."""

    def __init__(
        self,
        store: FileStore,
        notes: ObjectNotes,
        objects: ObjectStore,
        clock: Clock,
        ids: IdSource,
        *,
        file_bytes_max: int = FILE_BYTES_MAX_DEFAULT,
    ) -> None:
        """Take the ports; `file_bytes_max` = the largest file."""
        self._store = store
        self._notes = notes
        self._objects = objects
        self._clock = clock
        self._ids = ids
        self.file_bytes_max = file_bytes_max
        self._uploads = 0

    @overload
    async def put(self, scope: Scope, new: NewFile, chunks: AsyncIterable[bytes]) -> FileRow: ...

    @overload
    async def put(
        self, scope: Scope, new: NewFile, chunks: AsyncIterable[bytes], *, answer: Callable[[FileRow], NewAnswer]
    ) -> FileRow | KeptAnswer: ...

    async def put(
        self,
        scope: Scope,
        new: NewFile,
        chunks: AsyncIterable[bytes],
        *,
        answer: Callable[[FileRow], NewAnswer] | None = None,
    ) -> FileRow | KeptAnswer:
        """Store a file from a stream.

        Args:
            scope: whose it will be.
            new: what it is called.
            chunks: its content; what they raise ends the upload and goes on.
            answer: makes the answer of a request with an idempotency key, kept with the file.

        Returns:
            The file; with a `write_key` the one that an earlier attempt made. Or the answer that the key has already.

        Raises:
            QueueFull: UPLOADS_COUNT_MAX are under way. UploadTimeout: longer than UPLOAD_S_MAX.
            ObjectTooLarge: larger than `file_bytes_max`. StoreFull, StoreUnavailable: nothing was stored.
            OutcomeUnknown: it may have been stored.
        """
        if self._uploads >= UPLOADS_COUNT_MAX:
            bound = full_node("uploads", self._uploads, UPLOADS_COUNT_MAX, "one of them ends")
            raise QueueFull(f"{UPLOADS_COUNT_MAX} uploads are under way", bound)
        self._uploads += 1
        try:
            return await self._put(scope, new, chunks, answer)
        finally:
            self._uploads -= 1

    async def get(self, scope: Scope, file_id: str) -> FileRow:
        """Read what is known of a file.

        Raises:
            NoSuchFile: not in this business domain.
        """
        row = await self._store.find(scope, file_id=file_id)
        if row is None:
            raise NoSuchFile(f"no file {file_id}")
        return row

    async def find(self, scope: Scope, name: str) -> FileRow:
        """Read what is known of the newest file of a name.

        Raises:
            NoSuchFile: none in this business domain is called so.
        """
        row = await self._store.find(scope, name=name)
        if row is None:
            raise NoSuchFile(f"no file is called {name}")
        return row

    async def list(self, scope: Scope, *, prefix: str, after: tuple[str, str], limit: int) -> Sequence[FileRow]:
        """Page files, ascending by (name, id)."""
        return await self._store.list(scope, prefix=prefix, after=after, limit=limit)

    async def read(self, row: FileRow, *, first: int = 0, last: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read bytes of a file, both ends included; None = to its end.

        Raises:
            NoSuchFile: it was deleted meanwhile, said at the first chunk. StoreUnavailable.
        """
        try:
            async for chunk in self._objects.get(row.domain_id, object_key(row.id), first=first, last=last):
                yield chunk
        except ObjectMissing as error:
            raise NoSuchFile(f"no file {row.id}") from error

    async def local_path(self, row: FileRow) -> str | None:
        """Give the path of a file's content for a runner on this machine; None when there is none."""
        return await self._objects.local_path(row.domain_id, object_key(row.id))

    async def delete(self, scope: Scope, file_id: str) -> None:
        """Delete a file: its row at once, its bytes a moment later.

        Raises:
            NoSuchFile: not in this business domain.
        """
        if not await self._store.remove(scope, file_id, self._clock.now()):
            raise NoSuchFile(f"no file {file_id}")
        with contextlib.suppress(StoreUnavailable):  # its note is in the list: the sweep removes it
            await self._objects.delete(scope.domain_id, object_key(file_id))

    async def sweep(self) -> int:
        """Remove objects, of files or not, that are loose for longer than LOOSE_KEPT; gives how many were done with.

        Raises:
            FlowError: of either store; the rest is left to the next round.
        """
        done = 0
        for _ in range(SWEEP_PORTIONS_MAX):
            loose = await self._notes.loose(self._clock.now() - LOOSE_KEPT, SWEEP_PORTION)
            condemned = await self._notes.condemn(loose) if loose else ()
            for one in condemned:
                await self._objects.delete(one.domain_id, one.key)
            if condemned:
                await self._notes.forget(condemned)
            done += len(condemned)
            if len(loose) < SWEEP_PORTION:
                break
        return done

    async def run_sweeps(self) -> None:
        """Sweep once a period, until cancelled; a store that does not answer is asked again in the next one."""
        while True:
            # A fault is told by readiness and by whoever wants a file; nothing is lost by sweeping later.
            with contextlib.suppress(FlowError):
                await self.sweep()
            await self._clock.sleep_until(self._clock.monotonic() + SWEEP_PERIOD_S)

    async def _put(
        self,
        scope: Scope,
        new: NewFile,
        chunks: AsyncIterable[bytes],
        answer: Callable[[FileRow], NewAnswer] | None,
    ) -> FileRow | KeptAnswer:
        file_id = self._ids.new_id()
        key = object_key(file_id)
        await self._notes.note([LooseObject(scope.domain_id, key, self._clock.now())])
        put = await self._received(scope, key, chunks)
        row = FileRow(
            id=file_id,
            domain_id=scope.domain_id,
            name=new.name,
            media_type=new.media_type,
            bytes_count=put.bytes_count,
            sha256=put.sha256,
            created_at=self._clock.now(),
            created_by=scope.principal.id,
            write_key=new.write_key,
        )
        earlier = await self._add(scope, row, None if answer is None else answer(row))
        if earlier is None:
            return row
        # Its note stays in the list, so a crash here leaves nothing behind for ever.
        await self._objects.delete(scope.domain_id, key)
        return earlier

    async def _received(self, scope: Scope, key: str, chunks: AsyncIterable[bytes]) -> PutObject:
        try:
            async with asyncio.timeout(UPLOAD_S_MAX):
                return await self._objects.put(scope.domain_id, key, chunks, bytes_max=self.file_bytes_max)
        except TimeoutError as error:
            raise UploadTimeout(f"the file did not arrive within {UPLOAD_S_MAX:g} s") from error

    async def _add(self, scope: Scope, row: FileRow, answer: NewAnswer | None) -> FileRow | KeptAnswer | None:
        """Store the row; after a lost answer look whether it landed."""
        for _ in range(TRIES_MAX):
            try:
                return await self._store.add(scope, row, answer=answer)
            except CommitUnknown:
                if await self._store.find(scope, file_id=row.id) is not None:
                    return None
        raise OutcomeUnknown("the file may have been stored: list the files before trying again")
