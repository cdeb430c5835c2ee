"""Timestamps and durations: reading them, and their parts in a time zone. Both count microseconds."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from core.expression.value import DURATION_MAX, INT_MAX, Value, failed

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Longer texts are no timestamp or duration: refused before a pattern looks at them.
TEXT_LENGTH_MAX: Final = 64
# Zones that stay loaded; there are about 600, and a foreign name costs a search in the file system.
_ZONES_MAX: Final = 1024

_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_DURATION: Final = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|us|µs|ns|m|s))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|us|µs|ns|m|s)", re.ASCII)
_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
# Nanoseconds of each unit: sums are exact before the rounding to microseconds.
_UNITS_NS: Final = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1000,
    "µs": 1000,
    "ns": 1,
}
_NS_PER_US: Final = 1000


def parse_timestamp(text: str) -> datetime:
    """Read RFC 3339; digits beyond the microsecond are cut off, a leap second is refused.

    Raises:
        ExpressionFailed: another form, no zone, or a day that does not exist.
    """
    found = _TIMESTAMP.fullmatch(text) if len(text) <= TEXT_LENGTH_MAX else None
    if found is None:
        raise failed("a timestamp is written as RFC 3339 with a zone, as in 2024-02-29T12:00:00Z")
    year, month, day, hour, minute, second, part, utc, sign, zone_hour, zone_minute = found.groups()
    microsecond = int((part or "0").ljust(6, "0")[:6])
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, tzinfo=UTC)
        return at if utc else at - _offset(sign, zone_hour, zone_minute)
    except (ValueError, OverflowError):
        raise failed("the timestamp does not exist, or lies outside of the years 1 to 9999") from None


def _offset(sign: str, hour: str, minute: str) -> timedelta:
    offset = timedelta(hours=int(hour), minutes=int(minute))
    return -offset if sign == "-" else offset


def timestamp_of_epoch(seconds: int) -> datetime:
    """Give the timestamp so many seconds after 1970."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise failed("the timestamp lies outside of the years 1 to 9999") from None


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `1h30m`, `-1.5s` or `250ms`; what is finer than a microsecond is cut off.

    Raises:
        ExpressionFailed: another form, or more than 292 years.
    """
    if text in ("0", "+0", "-0"):
        return timedelta()
    if len(text) > TEXT_LENGTH_MAX or not _DURATION.fullmatch(text):
        raise failed("a duration is written as numbers with units h, m, s, ms, us or ns, as in 1h30m")
    total_ns = 0
    for number, unit in _DURATION_PART.findall(text):
        whole, _, part = number.partition(".")
        unit_ns = _UNITS_NS[unit]
        total_ns += int(whole or "0") * unit_ns + int(part or "0") * unit_ns // 10 ** len(part)
    total_us = total_ns // _NS_PER_US
    if total_us > DURATION_MAX // timedelta(microseconds=1):
        raise failed("a duration is at most 292 years")
    return timedelta(microseconds=-total_us if text[0] == "-" else total_us)


def shift(at: datetime, by: timedelta) -> datetime:
    """Move a timestamp."""
    try:
        return at + by
    except OverflowError:
        raise failed("the timestamp lies outside of the years 1 to 9999") from None


def in_range(duration: timedelta) -> timedelta:
    """Let a duration through unless it is over 292 years."""
    if -DURATION_MAX <= duration <= DURATION_MAX:
        return duration
    raise failed("a duration is at most 292 years")


@functools.lru_cache(_ZONES_MAX)
def zone_of(name: str) -> tzinfo:
    """Find a time zone by its IANA name or by an offset such as `+05:30`.

    Raises:
        ExpressionFailed: there is no such zone.
    """
    found = _OFFSET.fullmatch(name) if len(name) <= TEXT_LENGTH_MAX else None
    try:
        if found:
            return timezone(_offset(*found.groups()))
        return ZoneInfo(name[: TEXT_LENGTH_MAX + 1])
    except (ValueError, OSError, KeyError):  # a bad name, a folder's name, an unknown name
        raise failed("no such time zone; use a name such as Europe/Berlin or an offset such as +02:00") from None


_OF_TIMESTAMP: Final[dict[str, Callable[[datetime], int]]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
_UNITS: Final = {
    "getHours": timedelta(hours=1),
    "getMinutes": timedelta(minutes=1),
    "getSeconds": timedelta(seconds=1),
    "getMilliseconds": timedelta(milliseconds=1),
}
GETTERS: Final = tuple(_OF_TIMESTAMP)
DURATION_GETTERS: Final = tuple(_UNITS)


def part_of(getter: str, value: Value, zone: tzinfo | None) -> int:
    """Give one part of a timestamp in a zone (UTC without one), or of a duration.

    Raises:
        ExpressionFailed: the value has no such part.
    """
    if isinstance(value, datetime):
        try:
            return _OF_TIMESTAMP[getter](value.astimezone(UTC if zone is None else zone))
        except OverflowError:
            raise failed("the timestamp in this zone lies outside of the years 1 to 9999") from None
    if not isinstance(value, timedelta) or zone is not None or getter not in DURATION_GETTERS:
        raise failed(f"{getter}() needs a timestamp")
    size = abs(value)
    # Milliseconds are a part of the second, the others count the whole duration.
    count = size // _UNITS[getter] % (1000 if getter == "getMilliseconds" else INT_MAX)
    return -count if value < timedelta() else count
