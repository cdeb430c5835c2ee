"""When another attempt follows, and under which token: arithmetic only (semantics.md S14, reliability.md R21, R25)."""

from __future__ import annotations

import hashlib

from core.dag.catalog import Retry

TOKEN_BYTES = 16


def delay_s(retry: Retry, *, failures: int, share: float, retry_after_s: float | None) -> float:
    """Give the seconds to wait after failure number `failures` (from 1).

    Args:
        share: 0..1, the random share that `full` jitter takes.
        retry_after_s: what the target asked for; it raises the delay, up to `max_delay_s`.
    """
    growth = min(1023.0, failures - 1.0)  # a power beyond is no float, and far beyond any cap
    try:
        full = min(retry.max_delay_s, retry.delay_s * float(retry.backoff**growth))
    except OverflowError:
        full = retry.max_delay_s
    wait = full * share if retry.jitter == "full" else full
    return max(wait, min(retry_after_s or 0.0, retry.max_delay_s))


def share_of(seed: bytes, path: str, number: int) -> float:
    """Give the random share of attempt `number`: blake2b of seed, path and number (engine.md 2), 0 <= share < 1."""
    return int.from_bytes(_digest(seed, path, number, b"jitter")[:7], "big") / float(1 << 56)


def token_of(seed: bytes, path: str, number: int) -> bytes:
    """Give the token of attempt `number`, 16 bytes that nobody can guess (engine.md 2)."""
    return _digest(seed, path, number, b"token")


def _digest(seed: bytes, path: str, number: int, purpose: bytes) -> bytes:
    text = f"{number}:{path}".encode()
    return hashlib.blake2b(text, digest_size=TOKEN_BYTES, key=seed, person=purpose).digest()
