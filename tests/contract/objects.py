"""Both object stores behind one face: open, close, a crash at a point, a disk that is full."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from core.ports.object_store import ObjectStore
from driven_adapters.object_store import LocalObjectStore, MemoryObjectStore
from tests.contract.stores import HandClock, Points


class Objects(Protocol):
    """One object store.

    Capabilities: `has_paths` says that a runner on this machine can read the objects as files.
    """

    has_paths: bool
    points: Points
    store: ObjectStore

    async def open(self) -> None:
        """Open an empty store, or the one that was closed."""

    async def close(self) -> None:
        """Close it; what it holds stays."""

    async def full(self, room_bytes: int) -> ObjectStore:
        """Give a store over the same place that takes no more than so many bytes."""

    def leftovers(self) -> list[str]:
        """List what lies around and is no object."""


class MemoryObjects:
    """The memory adapter; it is what it holds."""

    has_paths = False

    def __init__(self) -> None:
        self.points = Points()
        self.store: ObjectStore = MemoryObjectStore(HandClock(), on_point=self.points)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def full(self, room_bytes: int) -> ObjectStore:
        return MemoryObjectStore(HandClock(), room_bytes=room_bytes)

    def leftovers(self) -> list[str]:
        return []


class FullDisk:
    """The file system of the adapter, of which every file fails when it has taken its bytes."""

    def __init__(self, inner: Any, room_bytes: int) -> None:
        self._inner = inner
        self._room_bytes = room_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, path: str, mode: str) -> Any:
        return _FullFile(self._inner.open(path, mode), self._room_bytes)


class _FullFile:
    def __init__(self, inner: Any, room_bytes: int) -> None:
        self._inner = inner
        self._left = room_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise OSError(28, "No space left on device")
        count: int = self._inner.write(data)
        return count


class LocalObjects:
    """The folder adapter."""

    has_paths = True
    store: ObjectStore

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.points = Points()

    async def open(self) -> None:
        await self._use(LocalObjectStore(self.folder, free_bytes_min=0, on_point=self.points))

    async def close(self) -> None:
        await self._local.close()

    async def full(self, room_bytes: int) -> ObjectStore:
        from fsspec.implementations.local import LocalFileSystem

        await self._local.close()
        disk: Any = FullDisk(LocalFileSystem(), room_bytes)
        await self._use(LocalObjectStore(self.folder, filesystem=disk, free_bytes_min=0))
        return self.store

    async def _use(self, store: LocalObjectStore) -> None:
        self.store = self._local = store
        await store.open()

    def leftovers(self) -> list[str]:
        return [one.name for one in (self.folder / "incoming").iterdir()]


async def stream(parts: Iterable[bytes], then: Callable[[], None] = lambda: None) -> AsyncIterator[bytes]:
    """Give parts one after another, then do what is asked: fail, for one."""
    for part in parts:
        yield part
    then()


async def read(store: ObjectStore, domain_id: str, key: str, **wanted: Any) -> bytes:
    return b"".join([chunk async for chunk in store.get(domain_id, key, **wanted)])
