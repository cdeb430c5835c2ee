"""`@time/now`, `@time/add`, `@time/format`: RFC 3339 moments and IANA zones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.dag.catalog import OperatorSpec
from core.executor.operator import ComputeFailed, PureOperator
from core.expression import Fuel, to_json

FORMAT_CHARS_MAX = 256  # a date for people; each directive writes at most 20 characters
ZONE_COUNT_MAX = 1024  # more than the database has
SPAN_MAX = 1_000_000_000_000  # seconds in 31 000 years: beyond any date, and far from what arithmetic refuses

# RFC 3339 5.6, with the blank that it allows for T. A zone is required: a time without one is no moment.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}\Z")
# The directives that mean the same on every platform. A width (`%9999d`) would let one directive fill the memory.
_DIRECTIVES = frozenset("aAbBdHIjmMpSfyYzZuVGwUW%")


def tell(parameters: Any, now: datetime, fuel: Fuel) -> Any:
    """Give the time of the event that is being decided."""
    del parameters
    fuel.burn(1)
    return to_json(now)


def add(parameters: Any, now: datetime, fuel: Fuel) -> Any:
    """Give `at` plus the spans, which may be negative; a day is 24 hours."""
    del now
    fuel.burn(1)
    at = parse_moment(parameters["at"])
    spans = {unit: parameters.get(unit, 0) for unit in ("days", "hours", "minutes", "seconds")}
    try:
        return to_json(at + timedelta(**spans))
    except OverflowError as error:
        raise ComputeFailed("invalid", "the sum is no date between the years 1 and 9999") from error


def write(parameters: Any, now: datetime, fuel: Fuel) -> str:
    """Write `at` in `timezone` (default UTC) as the strftime `format` says."""
    del now
    layout = parameters["format"]
    fuel.burn(len(layout) + 1)
    directives = re.findall(r"%(.?)", layout, re.DOTALL)
    if (bad := next((one for one in directives if one not in _DIRECTIVES or one == ""), None)) is not None:
        raise ComputeFailed("invalid", f"the format has %{bad}, which is not one of %{' %'.join(sorted(_DIRECTIVES))}")
    if "\0" in layout or not layout.isprintable():
        raise ComputeFailed("invalid", "the format has a character that cannot be printed")
    try:
        return parse_moment(parameters["at"]).astimezone(_zone(parameters.get("timezone", "UTC"))).strftime(layout)
    except OverflowError as error:
        raise ComputeFailed("invalid", "in this zone it is no date between the years 1 and 9999") from error


def parse_moment(text: str) -> datetime:
    """Read an RFC 3339 moment into UTC; digits beyond microseconds are cut off.

    Raises:
        ComputeFailed: kind `invalid`.
    """
    parts = _MOMENT.match(text)
    if parts is None:
        raise ComputeFailed("invalid", f"{text[:64]!r} is no RFC 3339 time with a zone")
    day, clock, fraction, offset = parts.groups()
    micros = (fraction or ".0")[:7]
    try:
        return datetime.fromisoformat(f"{day}T{clock}{micros.ljust(7, '0')}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ComputeFailed("invalid", f"{text[:64]!r} is no date and time that exists") from error


@lru_cache(maxsize=ZONE_COUNT_MAX)
def _zone(key: str) -> ZoneInfo:
    fault = ComputeFailed("invalid", f"{key[:64]!r} is no time zone of the IANA database")
    if not _ZONE.match(key):
        raise fault
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:  # OSError: the key names a folder of zones
        raise fault from error


def _spec(
    name: str, title: str, properties: dict[str, Any], required: list[str], output: dict[str, Any]
) -> OperatorSpec:
    return OperatorSpec(
        name=name,
        title=title,
        kind="pure",
        parameters={"type": "object", "properties": properties, "required": required, "additionalProperties": False},
        output=output,
        has_side_effects=False,
        dry_run="runs",
    )


_AT = {"type": "string", "maxLength": 64}
_SPAN = {"type": "number", "minimum": -SPAN_MAX, "maximum": SPAN_MAX, "default": 0}
_MOMENT_TEXT = {"type": "string", "format": "date-time"}

TIME_OPERATORS = (
    PureOperator(_spec("@time/now", "Now", {}, [], _MOMENT_TEXT), tell),
    PureOperator(
        _spec(
            "@time/add",
            "Add to a time",
            {"at": _AT, "days": _SPAN, "hours": _SPAN, "minutes": _SPAN, "seconds": _SPAN},
            ["at"],
            _MOMENT_TEXT,
        ),
        add,
    ),
    PureOperator(
        _spec(
            "@time/format",
            "Write a time",
            {
                "at": _AT,
                "format": {"type": "string", "maxLength": FORMAT_CHARS_MAX},
                "timezone": {"type": "string", "maxLength": 64, "default": "UTC"},
            },
            ["at", "format"],
            {"type": "string"},
        ),
        write,
    ),
)
