"""Every call that the server got, in order: in memory for `GET /ledger`, in a file for whoever counts from outside."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

CALL_COUNT_MAX = 1_000_000  # about 300 MB; a longer test starts a new ledger


class LedgerCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call, written before it is answered.

    Attributes:
        n: order of arrival, from 1, over restarts of the server with the same file.
        key: `Idempotency-Key`. attempt: `X-Flow-Attempt`. status: what the call is answered with.
    """

    n: int
    method: str
    path: str
    status: int
    key: str | None = None
    attempt: str | None = None


class LedgerFull(Exception):
    """CALL_COUNT_MAX calls are in the ledger."""


class Ledger:
    """Calls in order of arrival. With a file: one JSON line per call, in one write each, so no line is ever half."""

    def __init__(self, path: Path | None = None) -> None:
        """Take the calls that the file holds already; a last line without its end is dropped.

        A file written here is safe against the end of this process, not against that of the machine: nothing is synced.
        """
        self.calls: list[LedgerCall] = []
        self._seen_keys: set[str] = set()
        self._file = -1
        if path is not None:
            for call in read_ledger(path):
                self._keep(call)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.ftruncate(self._file, path.read_bytes().rfind(b"\n") + 1)

    def __enter__(self) -> Self:
        """Give the open ledger."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def is_first(self, path: str, key: str | None) -> bool:
        """Tell whether no call of this path with this key is in the ledger yet; without key every call is a first."""
        return key is None or f"{path} {key}" not in self._seen_keys

    def record(self, *, method: str, path: str, key: str | None, attempt: str | None, status: int) -> None:
        """Write one call; it is in the file when this returns.

        Raises:
            LedgerFull: nothing was written.
        """
        if len(self.calls) >= CALL_COUNT_MAX:
            raise LedgerFull
        call = LedgerCall(n=len(self.calls) + 1, method=method, path=path, key=key, attempt=attempt, status=status)
        if self._file >= 0:
            os.write(self._file, msgspec.json.encode(call) + b"\n")
        self._keep(call)

    def _keep(self, call: LedgerCall) -> None:
        self.calls.append(call)
        if call.key is not None:
            self._seen_keys.add(f"{call.path} {call.key}")


def read_ledger(path: Path) -> list[LedgerCall]:
    """Read the calls in a ledger file, in order; a missing file has none, and an unfinished last line is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=LedgerCall) for line in lines]
