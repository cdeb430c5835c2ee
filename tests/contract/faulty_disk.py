"""A disk that fails when told to: a SQLite VFS over the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw


class FaultyDisk(apsw.VFS):
    """Counts the writes, syncs, truncations and reads of database and log; raises at one of them.

    Args:
        is_default: stores opened without a disk's name lie on it.
        full_while: while this file exists, no file can grow.

    Attributes:
        counts: operation -> how often it was asked for since `arm`.
        fault: what happens when operation number `fail_at` of kind `kind` is asked for, and at every later one.
        The kind "short" is a write of which a part is done; "lost" a sync after which nothing is there that was
        written since the one before, as some kernels have it.
    """

    def __init__(self, name: str, *, is_default: bool = False, full_while: Path | None = None) -> None:
        self.counts = dict.fromkeys(("write", "short", "sync", "lost", "truncate", "read"), 0)
        self.full_while = full_while
        self.name = name
        self.kind = ""
        self.fail_at = 0
        self.fail_count = 0
        self.fault: type[Exception] = apsw.IOError
        self.real_disk = apsw.vfs_names()[0]  # the default of this moment: files must not lie on this disk once more
        super().__init__(name, self.real_disk, is_default)

    def arm(self, kind: str, fail_at: int, fault: type[Exception], fail_count: int) -> None:
        """Fail operations number `fail_at` (from 1, counted from now) to `fail_at + fail_count - 1`."""
        self.counts = dict.fromkeys(self.counts, 0)
        self.kind, self.fail_at, self.fault, self.fail_count = kind, fail_at, fault, fail_count

    def disarm(self) -> None:
        self.kind = ""

    def note(self, kind: str) -> None:
        self.counts[kind] += 1
        if kind == self.kind and self.fail_at <= self.counts[kind] < self.fail_at + self.fail_count:
            raise self.fault(f"{kind} {self.counts[kind]} fails")

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:  # noqa: N802 - apsw's name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    """One file on it."""

    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._overwritten: list[tuple[int, bytes, int]] = []
        super().__init__(disk.real_disk, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        self._disk.note("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        disk = self._disk
        disk.note("write")
        if disk.full_while is not None and disk.full_while.exists() and offset + len(data) > self.xFileSize():
            raise apsw.FullError("no space is left")
        try:
            disk.note("short")
        except disk.fault:
            super().xWrite(data[: len(data) // 2], offset)
            raise
        if disk.kind == "lost":
            size_bytes = self.xFileSize()
            self._overwritten.append(
                (offset, super().xRead(min(len(data), max(0, size_bytes - offset)), offset), size_bytes)
            )
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note("sync")
        try:
            self._disk.note("lost")
        except self._disk.fault:
            for offset, data, size_bytes in reversed(self._overwritten):
                super().xWrite(data, offset)
                super().xTruncate(size_bytes)
            raise
        self._overwritten.clear()
        super().xSync(flags)

    def xTruncate(self, size_bytes: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note("truncate")
        super().xTruncate(size_bytes)
