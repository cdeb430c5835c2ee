"""A disk that fails when told to: a SQLite VFS over the real one."""

from __future__ import annotations

from typing import Any

import apsw


class FaultyDisk(apsw.VFS):
    """Counts the writes, syncs, truncations and reads of database and log; raises at one of them.

    Attributes:
        counts: operation -> how often it was asked for since `arm`.
        fault: what happens when operation number `fail_at` of kind `kind` is asked for, and at every later one.
    """

    def __init__(self, name: str) -> None:
        self.counts = {"write": 0, "sync": 0, "truncate": 0, "read": 0}
        self.name = name
        self.kind = ""
        self.fail_at = 0
        self.fail_count = 0
        self.fault: type[Exception] = apsw.IOError
        super().__init__(name, "")

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
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        self._disk.note("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note("sync")
        super().xSync(flags)

    def xTruncate(self, size_bytes: int) -> None:  # noqa: N802 - apsw's name
        self._disk.note("truncate")
        super().xTruncate(size_bytes)
