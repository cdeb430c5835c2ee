"""Chance from the operating system's generator."""

from __future__ import annotations

import os

_SEED_BYTES = 16
# Drawn in one call: a seed is needed per decision, and a system call for each would be felt.
_POOL_BYTES = _SEED_BYTES * 256


class SystemDice:
    """Unpredictable bytes; fit for keys."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._pool = b""
        self._at = 0

    def seed(self) -> bytes:
        """Give 16 unpredictable bytes, never the same twice."""
        if self._at == len(self._pool):
            self._pool = os.urandom(_POOL_BYTES)
            self._at = 0
        self._at += _SEED_BYTES
        return self._pool[self._at - _SEED_BYTES : self._at]
