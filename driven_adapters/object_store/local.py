"""Objects as files of a folder: written beside, synced, renamed into place, so that a crash leaves whole ones only."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fsspec.implementations.local import LocalFileSystem

from core.errors import FlowError, StoreFull, StoreUnavailable
from core.ports.object_store import (
    CHUNK_BYTES,
    ObjectMissing,
    ObjectStat,
    ObjectTooLarge,
    PutObject,
    check_page,
)
from driven_adapters.object_store.layout import Layout, walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from fsspec import AbstractFileSystem

Answer = TypeVar("Answer")

FOLDER_MODE = 0o700  # files of every tenant lie there
# The journal's file shares this disk as a rule: uploads must not take what the engine needs to go on.
FREE_BYTES_MIN = 256 * 1024 * 1024
# Pieces of work at the disk at the same time: more would wait in the kernel's queue instead of ours.
THREAD_COUNT = 4
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LocalObjectStore:
    """`ObjectStore` in a folder that one process uses (its owner holds the data folder's lock).

    Bytes go through fsspec, whose own transaction is not used: it moves files in from another folder, perhaps another
    disk, and syncs nothing.

    Args:
        root: the folder; made when it is opened.
        filesystem: where the bytes lie; a test gives one that fails.
        free_bytes_min: what every write leaves free.
        on_point: called at the named points of a write (written, before_sync, before_visible, visible); what it raises
            ends the write there.
    """

    def __init__(
        self,
        root: Path,
        *,
        filesystem: AbstractFileSystem | None = None,
        free_bytes_min: int = FREE_BYTES_MIN,
        on_point: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self._root = root.resolve()
        self._layout = Layout(self._root)
        self._files = filesystem or LocalFileSystem(use_listings_cache=False)
        self._free_bytes_min = free_bytes_min
        self._on_point = on_point
        self._threads = ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="objects")
        self._numbers = itertools.count()

    async def open(self) -> None:
        """Make the folders and remove what an earlier process had not finished.

        Raises:
            StoreUnavailable: the folder cannot be made or written.
        """

        def prepare() -> None:
            for folder in (self._layout.incoming, self._layout.objects):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for left in self._layout.incoming.iterdir():
                left.unlink()

        await self._run(prepare)

    async def close(self) -> None:
        """Let the threads end; what they do at the moment is finished."""
        await asyncio.to_thread(self._threads.shutdown)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def put(self, domain_id: str, key: str, chunks: AsyncIterable[bytes], *, bytes_max: int) -> PutObject:
        """Write an object from a stream."""
        target = self._layout.path(domain_id, key)
        part = self._layout.incoming / f"{next(self._numbers)}.part"
        digest = hashlib.sha256()
        count = 0
        file = await self._run(lambda: self._files.open(str(part), "wb"))

        def write(piece: bytes) -> None:
            self._check_room(len(piece))
            digest.update(piece)
            file.write(piece)
            self._on_point("written")

        try:
            async for piece in _pieces(chunks):
                count += len(piece)
                if count > bytes_max:
                    raise ObjectTooLarge(f"more than {bytes_max} bytes", limit_bytes=bytes_max)
                await self._run(lambda piece=piece: write(piece))  # type: ignore[misc] # bound for the thread, at once
            await self._run(lambda: self._finish(file, part, target))
        finally:
            await self._run(lambda: _discard(file, part))
        return PutObject(count, digest.hexdigest())

    async def get(self, domain_id: str, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        """Read a range as chunks."""
        path = self._layout.path(domain_id, key)

        def start() -> Any:
            file = self._files.open(str(path), "rb")
            file.seek(first)
            return file

        left = None if last is None else last + 1 - first
        file = await self._run(start)
        try:
            while left is None or left > 0:
                wanted = CHUNK_BYTES if left is None else min(left, CHUNK_BYTES)
                piece: bytes = await self._run(lambda wanted=wanted: file.read(wanted))  # type: ignore[misc] # as above
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
        finally:
            await self._run(file.close)

    async def stat(self, domain_id: str, key: str) -> ObjectStat | None:
        """Say how long an object is and when it was stored."""
        path = self._layout.path(domain_id, key)
        try:
            return _stat(key, await self._run(lambda: self._files.info(str(path))))
        except ObjectMissing:
            return None

    async def delete(self, domain_id: str, key: str) -> bool:
        """Remove an object; its folder stays, the next object comes soon."""
        path = self._layout.path(domain_id, key)
        try:
            await self._run(lambda: self._files.rm_file(str(path)))
        except ObjectMissing:
            return False
        return True

    async def list(self, domain_id: str, *, prefix: str, after: str, limit: int) -> Sequence[ObjectStat]:
        """Page objects, ascending by key."""
        check_page(prefix, limit)
        folder = self._layout.domain(domain_id)

        def page() -> list[ObjectStat]:
            found = walk(self._files, folder, "", prefix, after)
            return [_stat(key, entry) for key, entry in itertools.islice(found, limit)]

        return await self._run(page)

    async def presign(self, domain_id: str, key: str, *, lifetime_s: float) -> str | None:
        """Give none: nobody but this process serves the folder."""
        del domain_id, key, lifetime_s
        return None

    async def local_path(self, domain_id: str, key: str) -> str | None:
        """Give the file's path."""
        found = await self.stat(domain_id, key)
        return None if found is None else str(self._layout.path(domain_id, key))

    def _check_room(self, bytes_count: int) -> None:
        disk = os.statvfs(self._root)
        if disk.f_bavail * disk.f_frsize - bytes_count < self._free_bytes_min:
            raise StoreFull(f"less than {self._free_bytes_min} bytes would be left on the disk")

    def _finish(self, file: Any, part: Path, target: Path) -> None:
        self._on_point("before_sync")
        file.flush()
        os.fsync(file.fileno())
        file.close()
        _make_folders(target.parent)
        self._on_point("before_visible")
        part.replace(target)
        _sync_folder(target.parent)
        self._on_point("visible")

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        """Do a piece of work in a thread; when the caller is cancelled, after it: nobody may close its file meanwhile.

        Raises:
            ObjectMissing, StoreFull, StoreUnavailable: for what the disk said.
        """
        with _translated():
            future = asyncio.get_running_loop().run_in_executor(self._threads, work)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait((future,))
                future.exception()
                raise


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the disk's faults into the core's; their texts name paths, which are nobody's business."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing("no such object") from error
    except OSError as error:
        fault: type[FlowError] = StoreFull if error.errno in _FULL else StoreUnavailable
        raise fault(f"the objects' disk says: {error.strerror or type(error).__name__}") from error


async def _pieces(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Gather small chunks and cut large ones, so that each trip to a thread is worth it and none is long."""
    gathered = bytearray()
    async for chunk in chunks:
        gathered += chunk
        while len(gathered) >= CHUNK_BYTES:
            yield bytes(memoryview(gathered)[:CHUNK_BYTES])
            del gathered[:CHUNK_BYTES]
    if gathered:
        yield bytes(gathered)


def _stat(key: str, entry: Any) -> ObjectStat:
    return ObjectStat(key, entry["size"], datetime.fromtimestamp(entry["mtime"], UTC))


def _discard(file: Any, part: Path) -> None:
    """Close the file and remove it, unless it was renamed into place; a full disk may refuse what is still buffered."""
    with contextlib.suppress(OSError):
        file.close()
    part.unlink(missing_ok=True)


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, each entry synced: a rename is durable only if its folder is."""
    missing = list(itertools.takewhile(lambda one: not one.is_dir(), (folder, *folder.parents)))
    for one in reversed(missing):
        one.mkdir(mode=FOLDER_MODE, exist_ok=True)
        _sync_folder(one.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
