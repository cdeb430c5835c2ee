"""One log line: its fields cut to a bound, then written as JSON or for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from typing import Any

LINE_CHARS_MAX = 16_384  # common collectors split lines at 16 KiB, and half a JSON object is none
FIELDS_MAX = 24  # our own lines have at most 12
KEY_CHARS_MAX = 64
EVENT_CHARS_MAX = 2_000
# Of the end, where the exception and the innermost call stand.
EXCEPTION_CHARS_MAX = 6_000
FIELD_CHARS_MAX = 200
# Written first and never left out; the bound of each. What the rest may have is FIELD_CHARS_MAX.
_OWN = {"event": EVENT_CHARS_MAX, "level": 16, "timestamp": 40, "exception": EXCEPTION_CHARS_MAX}
_CUT = "[cut]"


def bounded_fields(event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Give the fields of one line so that it has at most LINE_CHARS_MAX characters as JSON; short lines as they are.

    Values are plain and masked already: cutting first could leave a part of a secret that nobody knows any more.
    """
    shown = {key: value for key, value in event.items() if not key.startswith("_")}
    if len(_json(shown)) <= LINE_CHARS_MAX:
        return event
    hidden = {key: value for key, value in event.items() if key.startswith("_")}
    first = {key: shown[key] for key in _OWN if key in shown}
    rest = [key for key in shown if key not in _OWN]
    cut: dict[str, Any] = {key: _cut(value, _OWN[key], is_end=key == "exception") for key, value in first.items()}
    for key in rest[: FIELDS_MAX - len(_OWN)]:
        cut[_cut(key, KEY_CHARS_MAX)] = _cut(shown[key], FIELD_CHARS_MAX)
    return {**cut, "line_cut": True, **hidden}


def json_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write one line of ASCII JSON."""
    return _json(event)


def text_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write for a person: time, level, event, then the fields; no value can start a line of its own."""
    at, level, said = event.pop("timestamp", ""), event.pop("level", ""), event.pop("event", "")
    fields = " ".join(f"{_shown(key)}={_shown(value)}" for key, value in sorted(event.items()) if key != "exception")
    line = f"{at} {level:<9}{_shown(said)}{' ' if fields else ''}{fields}"
    if "exception" not in event:
        return line
    # Indented, so that a line break in a message cannot look like a line of the log.
    trace = "\n".join(f"    {_shown(part)}" for part in str(event["exception"]).split("\n"))
    return f"{line}\n{trace}"


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=True, default=repr)


def _cut(value: Any, chars_max: int, *, is_end: bool = False) -> Any:
    """Give the value when its JSON is short enough, else as much of its text as fits; escapes count as written."""
    text = value if isinstance(value, str) else _json({"": value})[5:-1]
    if len(json.dumps(text)) - 2 <= chars_max:
        return value
    kept_count = chars_max
    while True:  # ends after 4 rounds at most: an escape is 12 characters for one
        part = text[-kept_count:] if is_end else text[:kept_count]
        if len(json.dumps(part)) - 2 <= chars_max:
            return f"{_CUT}{part}" if is_end else f"{part}{_CUT}"
        kept_count //= 2


def _shown(value: Any) -> str:
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
