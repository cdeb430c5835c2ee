"""JSON text -> value, strictly.

msgspec judges the grammar; what it lets pass (equal keys, wide integers, depth, null characters) is looked for here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NoReturn

import msgspec

from core.dag.fault import below
from core.dag.position import Mark, locate
from core.dag.syntax import DEPTH_MAX, INTEGER_MAX, INTEGER_MIN, SyntaxFault

# One token but for `:` and `,`; strings and numbers as RFC 8259 writes them. Linear: nothing that was matched is given
# back, and a string that is cut off is one token to the end, so that its quotes behind backslashes begin none.
_TOKEN = re.compile(
    r'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    r"|(?P<number>-?[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)"
    r"|(?P<word>[a-z]+)"
    r"|(?P<mark>[\[\]{}])"
    r'|(?P<open>"(?s:.*))'
)
_BYTE = re.compile(r" ?\(byte (\d+)\)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")
# A double has at most 309 digits before the point; the longest legal integer has 19.
_INTEGER_DIGITS_MAX = 19
# All digits as zeros: an integer that may be too wide is then found as a text.
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG_NUMBER = b"0" * _INTEGER_DIGITS_MAX
_CONTAINERS = frozenset({dict, list})


def read_json(text: str) -> Any:
    """Decode a JSON text.

    Raises:
        SyntaxFault: not JSON, deeper than `DEPTH_MAX`, equal keys, an integer outside 64 bits, a number outside the
            doubles, a lone surrogate, a null character.
    """
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        _refuse_depth(text)
    except msgspec.DecodeError as error:
        _refuse_text(text, str(error))
    # A pair of backslashes is one character of a text: without them, every backslash begins the escape it belongs to.
    escapes = text.replace("\\\\", "")
    if "\\u0000" in escapes or _has_long_number(text) or _is_deep(value):
        _check_values(text, value)
    if _has_equal_keys(text, escapes, value):
        _refuse_equal_keys(text)
    return value


def json_marks(text: str) -> Iterator[Mark]:
    """Give the outline of a JSON text that `read_json` has decoded; places are offsets (`json_place`)."""
    stack: list[str] = []
    expects_key = False
    for token in _TOKEN.finditer(text):
        at = token.start()
        first = text[at]
        if first in "{[":
            yield first, "", at
            stack.append(first)
            expects_key = first == "{"
        elif expects_key and first != "}":
            quoted = token.group()
            yield "key", msgspec.json.decode(quoted) if "\\" in quoted else quoted[1:-1], at
            expects_key = False
        else:
            # A value ended, and what follows it in an object is a key: signs between them need no look.
            if first in "}]":
                yield "end", "", at
                stack.pop()
            else:
                yield "scalar", "", at
            expects_key = bool(stack) and stack[-1] == "{"


def json_places(text: str) -> Callable[[int], tuple[int, int]]:
    """Give the function from offsets in a text to lines and columns."""
    starts = _line_starts(text)
    return lambda offset: _place(starts, offset)


def _line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("\n", text))]


def _place(starts: list[int], offset: int) -> tuple[int, int]:
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


def _has_long_number(text: str) -> bool:
    """Say whether an integer may be wider than 64 bits: a look at the digits costs a hundredth of one at the values."""
    return _LONG_NUMBER in text.encode().translate(_ZEROS)


def _is_deep(value: Any) -> bool:
    """Say whether containers are nested deeper than `DEPTH_MAX`; goes level by level, without recursion."""
    inner: list[Any] = [value]
    for _ in range(DEPTH_MAX + 1):
        # Most levels of large documents hold no containers, which a set of types says faster than a look at each.
        if _CONTAINERS.isdisjoint(map(type, inner)):
            return False
        objects = [item for item in inner if item and type(item) is dict]
        lists = [item for item in inner if item and type(item) is list]
        inner = [*chain.from_iterable(map(dict.values, objects)), *chain.from_iterable(lists)]
    return True


def _has_equal_keys(text: str, escapes: str, value: Any) -> bool:
    """Say whether the text has more colons than its value, as an object with two equal keys does.

    Every key brings a colon, and so does every colon in a text, written plainly or as an escape. The decoder kept one
    of two equal keys, so what it dropped is missing when the value is written again.
    """
    written = text.count(":") + escapes.count("\\u003a") + escapes.count("\\u003A")
    return written != msgspec.json.encode(value).count(b":")


def _check_values(text: str, value: Any) -> None:
    """Refuse the first value that JSON allows and a document does not; without recursion, so that depth is a fault."""
    stack: list[tuple[Any, str, int]] = [([value], "", 0)]
    while stack:
        container, pointer, depth = stack.pop()
        if depth > DEPTH_MAX:
            _refuse_depth(text)
        for name, item in container.items() if type(container) is dict else enumerate(container):
            if type(name) is str and "\0" in name:
                _refuse_at(text, pointer, "a key must not hold the null character")
            kind = type(item)
            if kind is int and not INTEGER_MIN <= item <= INTEGER_MAX:
                _refuse_at(text, _pointer(pointer, name, depth), "an integer must fit into 64 bits")
            elif kind is str and "\0" in item:
                _refuse_at(text, _pointer(pointer, name, depth), "a text must not hold the null character")
            elif (kind is dict or kind is list) and (item or depth >= DEPTH_MAX):
                stack.append((item, _pointer(pointer, name, depth), depth + 1))


def _pointer(parent: str, name: str | int, depth: int) -> str:
    """Extend a pointer; the document itself is the only element of the walk's first list."""
    return below(parent, name) if depth else ""


def _refuse_at(text: str, pointer: str, message: str) -> NoReturn:
    line, column = _place(_line_starts(text), locate(json_marks(text), [pointer])[pointer][0])
    raise SyntaxFault(message, line=line, column=column, pointer=pointer)


def _refuse_depth(text: str) -> NoReturn:
    tokens = _TOKEN.finditer(text)
    depth, offset = 0, 0
    while depth <= DEPTH_MAX:
        offset = next(tokens).start()
        depth += (text[offset] in "{[") - (text[offset] in "}]")
    line, column = _place(_line_starts(text), offset)
    raise SyntaxFault(f"values are nested deeper than {DEPTH_MAX}", line=line, column=column)


def _refuse_text(text: str, said: str) -> NoReturn:
    known = _BYTE.search(said)
    if known:
        offset = len(text.encode()[: int(known.group(1))].decode(errors="ignore"))
        message = _BYTE.sub("", said).removeprefix("JSON is malformed: ")
    else:
        offset, message = _bad_token(text)
    line, column = _place(_line_starts(text), offset)
    raise SyntaxFault(f"not valid JSON: {message}", line=line, column=column)


def _bad_token(text: str) -> tuple[int, str]:
    """Find the token that the decoder refused without saying where; none is wrong in a text that is cut off."""
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "string" and _has_lone_surrogate(token.group()):
            return token.start(), "a lone surrogate in a text"
        if token.lastgroup == "number" and not _fits(token.group()):
            return token.start(), "a number out of range"
    return len(text), "the text ends too early"


def _fits(number: str) -> bool:
    """Say whether a number has a place among integers or doubles."""
    digits = number.lstrip("-")
    if digits.isdigit():
        return len(digits) <= _INTEGER_DIGITS_MAX
    return abs(float(number)) != float("inf")


def _has_lone_surrogate(token: str) -> bool:
    high = False
    for escape in _ESCAPE.finditer(token):
        code = int(escape.group(1) or "0", 16)
        is_low = 0xDC00 <= code <= 0xDFFF  # Unicode 3.8
        if high != is_low:
            return True
        high = 0xD800 <= code <= 0xDBFF  # Unicode 3.8
    return high


def _refuse_equal_keys(text: str) -> NoReturn:
    stack: list[tuple[str, set[str], list[Any]]] = []
    marks = json_marks(text)
    while True:
        kind, key, at = next(marks)
        if kind == "key":
            pointer, keys, name = stack[-1]
            if key in keys:
                line, column = _place(_line_starts(text), at)
                raise SyntaxFault(
                    f"the key {key!r} stands twice", line=line, column=column, pointer=below(pointer, key)
                )
            keys.add(key)
            name[0] = key
        elif kind == "end":
            stack.pop()
        elif kind != "scalar":
            stack.append((_pointer_of_next(stack), set(), [-1]))
        elif isinstance(stack[-1][2][0], int):
            stack[-1][2][0] += 1


def _pointer_of_next(stack: list[tuple[str, set[str], list[Any]]]) -> str:
    if not stack:
        return ""
    pointer, _, name = stack[-1]
    if isinstance(name[0], int):
        name[0] += 1
    return below(pointer, name[0])
