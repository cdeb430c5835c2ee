"""New identities: ULIDs that ascend within one process."""

from __future__ import annotations

import os
import time

from ulid import ULID

_CLOCK_BITS = 80  # a ULID is 48 bits of milliseconds, then 80 of chance
_CHANCE_BYTES = 10
# Drawn in one call: one ULID costs 10 bytes, and a system call per id would cost more than the id.
_POOL_BYTES = 10 * 512
_STEP_BITS = 32  # ids of one millisecond ascend by a random step of at least 1, so the next one cannot be guessed


class UlidSource:
    """ULIDs: later ids are greater, also within one millisecond and after the wall clock went back."""

    def __init__(self) -> None:
        """Start below every id of the present."""
        self._last = 0
        self._pool = b""
        self._at = 0

    def new_id(self) -> str:
        """Give a ULID, 26 characters of Crockford's base 32."""
        made = (time.time_ns() // 1_000_000) << _CLOCK_BITS | int.from_bytes(self._draw())
        if made <= self._last or made >> _CLOCK_BITS == self._last >> _CLOCK_BITS:
            made = self._last + 1 + (made & ((1 << _STEP_BITS) - 1))
        self._last = made
        return str(ULID(made.to_bytes(16)))

    def _draw(self) -> bytes:
        if self._at == len(self._pool):
            self._pool = os.urandom(_POOL_BYTES)
            self._at = 0
        self._at += _CHANCE_BYTES
        return self._pool[self._at - _CHANCE_BYTES : self._at]
