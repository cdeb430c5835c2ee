"""Times as they lie in the file: whole microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROS_PER_S = 1_000_000


def to_stamp(at: datetime) -> int:
    """Write an aware time. Exact: a double holds microseconds of this century to a quarter of one."""
    return round(at.timestamp() * _MICROS_PER_S)


def from_stamp(stamp: int) -> datetime:
    """Read a time, aware UTC."""
    return _EPOCH + timedelta(microseconds=stamp)


def to_stamp_or_none(at: datetime | None) -> int | None:
    """Write a time that may be absent."""
    return None if at is None else to_stamp(at)


def from_stamp_or_none(stamp: int | None) -> datetime | None:
    """Read a time that may be absent."""
    return None if stamp is None else from_stamp(stamp)
