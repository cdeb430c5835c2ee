"""Query parameters: declared once, checked all at once, described in OpenAPI from the same declaration."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from driver_adapters.http.faults import QueryInvalid

QUERY_BYTES_MAX = 8_192  # the longest cursor and every other parameter fit twice
_FIELDS_MAX = 32  # more than any route declares
REMEMBERED_BYTES_MAX = 64  # a wait, a limit, a version; cursors are longer and come once
REMEMBERED_COUNT_MAX = 512


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One query parameter; `kind` decides which of the bounds count. Absent = `default`.

    With a `count_max` above 1 it may be repeated so often: its value is then a tuple, in their order, () when absent.
    `pattern` holds for the whole text; it is linear and has no anchors. `description` says to people what it means.
    """

    name: str
    kind: type[int | float | str]
    description: str
    minimum: float = 0
    maximum: float = 0
    length_max: int = 255
    choices: tuple[str, ...] = ()
    pattern: str = ""
    default: int | float | str | None = None
    count_max: int = 1

    def schema(self) -> dict[str, Any]:
        """Describe the values as JSON Schema."""
        if self.count_max > 1:
            return {"type": "array", "items": self._schema(), "maxItems": self.count_max}
        return self._schema()

    def _schema(self) -> dict[str, Any]:
        if self.kind is str:
            shape: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": self.length_max}
            if self.choices:
                shape = {"enum": list(self.choices)}
            elif self.pattern:
                shape["pattern"] = f"^(?:{self.pattern})$"
        else:
            name = "integer" if self.kind is int else "number"
            shape = {"type": name, "minimum": self.minimum, "maximum": self.maximum}
        return shape if self.default is None else shape | {"default": self.default}

    def counted(self, count: int) -> Parameter:
        """Pass when the parameter may stand so often.

        Raises:
            ValueError: it may not.
        """
        if count > self.count_max:
            raise ValueError("stands twice" if self.count_max == 1 else f"stands more than {self.count_max} times")
        return self

    def read(self, text: str) -> int | float | str:
        """Convert the text.

        Raises:
            ValueError: not allowed; says what is.
        """
        if self.kind is str:
            if self.choices and text not in self.choices:
                raise ValueError(f"allowed are {', '.join(self.choices)}")
            if not 1 <= len(text) <= self.length_max:
                raise ValueError(f"1..{self.length_max} characters are allowed")
            if self.pattern and not re.fullmatch(self.pattern, text):
                raise ValueError(f"{text[:64]!r} is not allowed: {self.description}")
            return text
        try:
            number: int | float = msgspec.convert(text, int if self.kind is int else float, strict=False)
        except msgspec.ValidationError:
            raise ValueError(f"{text!r} is not a number of the kind {self.kind.__name__}") from None
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"{self.minimum:g}..{self.maximum:g} is allowed")
        return number


def read_query(raw: bytes, parameters: tuple[Parameter, ...]) -> Mapping[str, Any]:
    """Give the value of every declared parameter by name.

    Raises:
        QueryInvalid: unknown or repeated names, values that are not allowed; `faults` lists all.
    """
    values: dict[str, Any] = {one.name: one.default if one.count_max == 1 else () for one in parameters}
    if not raw:
        return values
    known = {parameter.name: parameter for parameter in parameters}
    faults: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for name, text in _pairs(raw):
        parameter = known.get(name)
        if parameter is None:
            faults.append(_unknown(name, known))
            continue
        counts[name] = counts.get(name, 0) + 1
        try:
            value = parameter.counted(counts[name]).read(text)
            values[name] = value if parameter.count_max == 1 else (*values[name], value)
        except ValueError as error:
            faults.append({"code": "request.query", "pointer": f"?{name}", "message": str(error)})
    if faults:
        raise QueryInvalid(f"faults in the query: {len(faults)}", faults=faults)
    return values


def _pairs(raw: bytes) -> Sequence[tuple[str, str]]:
    if len(raw) > QUERY_BYTES_MAX:
        raise QueryInvalid(f"the query passes {QUERY_BYTES_MAX} bytes")
    return _remembered_split(raw) if len(raw) <= REMEMBERED_BYTES_MAX else _split(raw)


def _split(raw: bytes) -> Sequence[tuple[str, str]]:
    try:
        text = raw.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise QueryInvalid("the query is not name=value pairs in percent-encoded UTF-8") from None


# Programs send the same short queries again and again.
_remembered_split = functools.lru_cache(REMEMBERED_COUNT_MAX)(_split)


def _unknown(name: str, known: Mapping[str, Parameter]) -> dict[str, Any]:
    fault: dict[str, Any] = {
        "code": "request.query",
        "pointer": f"?{name[:64]}",
        "message": "no parameter of this route has this name",
        "allowed": sorted(known),
    }
    close = difflib.get_close_matches(name[:64], known, 1)
    if close:
        fault["hint"] = f"did you mean {close[0]}?"
    return fault
