"""`@text/split`, `@text/join`, `@text/match`, `@text/template`."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import re2

from core.dag.catalog import OperatorSpec
from core.executor.operator import ComputeFailed, PureOperator
from core.executor.pure.fuel import burn_bytes
from core.expression import Fuel

RESULT_CHARS_MAX = 1024 * 1024  # as a template's result (dag-language.md 3)
PATTERN_CHARS_MAX = 1024  # a pattern is written by a person; its automaton costs memory by its length
PATTERN_COUNT_MAX = 256  # compiled patterns kept
PATTERN_BYTES_MAX = 1024 * 1024  # of one compiled pattern; re2 refuses what needs more

_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def split(parameters: Any, now: datetime, fuel: Fuel) -> list[str]:
    """Split `text` at every `separator`."""
    del now
    text, separator = parameters["text"], parameters["separator"]
    burn_bytes(fuel, len(text))
    fuel.burn(text.count(separator) + 1)
    return text.split(separator)  # type: ignore[no-any-return]  # the schema says text


def join(parameters: Any, now: datetime, fuel: Fuel) -> str:
    """Put `items` together with `separator` between them; what is no text is written as JSON."""
    del now
    items = parameters["items"]
    fuel.burn(len(items))
    texts = [_text_of(item) for item in items]
    separator = parameters.get("separator", "")
    _bound(sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1), fuel)
    return str(separator.join(texts))


def match(parameters: Any, now: datetime, fuel: Fuel) -> dict[str, Any]:
    """Find the first place where `pattern` matches; `groups` are the texts of its groups, null where one is not in it.

    Linear in the text whatever the pattern is (re2).
    """
    del now
    text, pattern = parameters["text"], parameters["pattern"]
    burn_bytes(fuel, len(text) + len(pattern))
    found = _compiled(pattern).search(text)
    if found is None:
        return {"matched": False, "groups": []}
    return {"matched": True, "groups": list(found.groups())}


def template(parameters: Any, now: datetime, fuel: Fuel) -> str:
    """Replace every `{name}` by that value; other braces stay as they are."""
    del now
    text, values = parameters["template"], parameters["values"]
    burn_bytes(fuel, len(text))
    pieces = _NAME.split(text)  # text, name, text, name, ... text
    fuel.burn(len(pieces))
    if (missing := next((name for name in pieces[1::2] if name not in values), None)) is not None:
        raise ComputeFailed("invalid", f"no value for {{{missing}}}")
    rendered = {name: _text_of(values[name]) for name in set(pieces[1::2])}
    pieces[1::2] = [rendered[name] for name in pieces[1::2]]
    _bound(sum(map(len, pieces)), fuel)
    return "".join(pieces)


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _bound(chars: int, fuel: Fuel) -> None:
    if chars > RESULT_CHARS_MAX:
        raise ComputeFailed("limit", f"the text has {chars} characters, more than {RESULT_CHARS_MAX}")
    burn_bytes(fuel, chars)


@lru_cache(maxsize=PATTERN_COUNT_MAX)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = PATTERN_BYTES_MAX
    options.log_errors = False  # a user's mistake belongs into the task's error, not on the server's output
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ComputeFailed("invalid", f"the pattern is no regular expression: {_words(error)}") from error


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


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


_TEXT = {"type": "string"}

TEXT_OPERATORS = (
    PureOperator(
        _spec(
            "@text/split",
            "Split text",
            {"text": _TEXT, "separator": {"type": "string", "minLength": 1}},
            ["text", "separator"],
            {"type": "array", "items": _TEXT},
        ),
        split,
    ),
    PureOperator(
        _spec(
            "@text/join",
            "Join texts",
            {"items": {"type": "array", "items": _SCALAR}, "separator": {"type": "string", "default": ""}},
            ["items"],
            _TEXT,
        ),
        join,
    ),
    PureOperator(
        _spec(
            "@text/match",
            "Match text",
            {"text": _TEXT, "pattern": {"type": "string", "maxLength": PATTERN_CHARS_MAX}},
            ["text", "pattern"],
            {
                "type": "object",
                "properties": {
                    "matched": {"type": "boolean"},
                    "groups": {"type": "array", "items": {"type": ["string", "null"]}},
                },
                "required": ["matched", "groups"],
                "additionalProperties": False,
            },
        ),
        match,
    ),
    PureOperator(
        _spec(
            "@text/template",
            "Fill a text",
            {"template": _TEXT, "values": {"type": "object"}},
            ["template", "values"],
            _TEXT,
        ),
        template,
    ),
)
