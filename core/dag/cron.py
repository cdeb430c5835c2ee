"""The form of a cron expression (triggers.md): whether it can be read, not when it is due."""

from __future__ import annotations

import re

ALIASES = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_MONTHS = dict(
    zip(("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), range(1, 13), strict=True)
)
_DAYS = dict(zip(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), range(7), strict=True))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
# Longest legal expressions list every minute; beyond this nobody wrote it by hand.
CRON_CHARACTERS_MAX = 1_000
# The longest month of each number decides whether a date exists at all; February has 29 days in some years.
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def cron_fault(text: str) -> str:
    """Say what is wrong with a cron expression of 5 or 6 fields (seconds first) or an alias; empty text = nothing."""
    if len(text) > CRON_CHARACTERS_MAX:
        return f"a cron expression has at most {CRON_CHARACTERS_MAX} characters"
    if text.startswith("@"):
        return "" if text in ALIASES else f"the alias must be one of {', '.join(sorted(ALIASES))}"
    fields = text.split()
    if len(fields) not in (5, 6):
        return f"a cron expression has 5 or 6 fields, not {len(fields)}"
    for field, (name, low, high, names) in zip(fields, _FIELDS[6 - len(fields) :], strict=True):
        for part in field.upper().split(","):
            if not _is_part(part, name, low, high, names):
                return f"{part or 'nothing'} is no {name} ({low} to {high})"
    return _date_fault(*fields[-3:])


def _is_part(part: str, name: str, low: int, high: int, names: dict[str, int]) -> bool:
    if name == "day of the month" and part in ("L", "LW"):
        return True
    if name == "day of the week" and _is_nth_day(part, names):
        return True
    span, slash, step = part.partition("/")
    if slash and not (step.isdigit() and step.isascii() and 0 < int(step[:4]) <= high):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    numbers = [_number(one, names) for one in ((first, last) if dash else (first,))]
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)


def _is_nth_day(part: str, names: dict[str, int]) -> bool:
    """Accept `5#3` (third Friday) and `5L` (last Friday)."""
    day, mark, nth = part.partition("#")
    if mark:
        return 0 <= _number(day, names) <= 7 and nth in ("1", "2", "3", "4", "5")
    return part.endswith("L") and 0 <= _number(part[:-1], names) <= 7


def _number(text: str, names: dict[str, int]) -> int:
    """Give a number of at most two digits or a name's number, -1 for anything else."""
    if re.fullmatch(r"[0-9]{1,2}", text):
        return int(text)
    return names.get(text, -1)


def _date_fault(day: str, month: str, weekday: str) -> str:
    """Find a plain day that none of the plain months has: the trigger would never fire."""
    months = [_number(one, _MONTHS) for one in month.upper().split(",")]
    days = [_number(one, {}) for one in day.split(",")]
    if weekday != "*" or -1 in months or -1 in days:
        return ""
    longest = max(_MONTH_DAYS[number - 1] for number in months)
    return f"no month of {month} has a day {day}" if min(days) > longest else ""
