"""Literals: from the text of a token to its value."""

from __future__ import annotations

import re
from typing import Final

from core.expression.value import INT_MAX, finite

INT_DIGITS_MAX: Final = len(str(INT_MAX))
_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "?": "?",
    '"': '"',
    "'": "'",
    "`": "`",
}
_ESCAPE: Final = re.compile(
    r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL
)
_SURROGATES: Final = range(0xD800, 0xE000)
_CODE_POINT_MAX: Final = 0x10FFFF


class LiteralInvalid(Exception):
    """A literal is well delimited but means nothing; the message says why."""


def integer_of(token: str) -> int:
    """Read a decimal or hexadecimal integer without sign; raise `LiteralInvalid` beyond 64 bits."""
    is_hexadecimal = token[:2] in ("0x", "0X")
    digits = token[2:] if is_hexadecimal else token
    # 19 digits hold every such integer: stop before int() meets thousands of them.
    if len(digits.lstrip("0")) <= INT_DIGITS_MAX and (amount := int(digits, 16 if is_hexadecimal else 10)) <= INT_MAX:
        return amount
    raise LiteralInvalid("an integer must fit into 64 bits")


def double_of(token: str) -> float:
    """Read a double; raise `ExpressionFailed` when it is too large for one."""
    return finite(float(token))


def text_of(token: str) -> str:
    """Read a text literal with its quotes and prefix; raise `LiteralInvalid` for an unknown escape."""
    if token[0] in "rR":
        return _inside(token[1:])
    body = _inside(token)
    return _ESCAPE.sub(_text_escape, body) if "\\" in body else body


def bytes_of(token: str) -> bytes:
    """Read a bytes literal: characters as UTF-8, numeric escapes as single bytes."""
    prefix = token[: 2 if token[1] in "rR" else 1]
    body = _inside(token[len(prefix) :])
    if len(prefix) > 1 or "\\" not in body:
        return body.encode()
    parts: list[bytes] = []
    end = 0
    for found in _ESCAPE.finditer(body):
        parts += (body[end : found.start()].encode(), _bytes_escape(found))
        end = found.end()
    return b"".join([*parts, body[end:].encode()])


def _inside(token: str) -> str:
    if len(token) >= 6 and token[:3] in ('"""', "'''"):
        return token[3:-3]
    return token[1:-1]


def _text_escape(found: re.Match[str]) -> str:
    two, four, eight, octal, simple = found.groups()
    if simple is not None:
        return _simple_escape(simple)
    code = int(octal, 8) if octal else int(two or four or eight, 16)
    if code in _SURROGATES or code > _CODE_POINT_MAX:
        raise LiteralInvalid(f"{found[0]} is not a character")
    return chr(code)


def _bytes_escape(found: re.Match[str]) -> bytes:
    two, four, eight, octal, simple = found.groups()
    if simple is not None:
        return _simple_escape(simple).encode()
    if four or eight:
        raise LiteralInvalid(f"{found[0]} is no escape of bytes")
    return bytes([int(octal, 8) if octal else int(two, 16)])


def _simple_escape(letter: str) -> str:
    try:
        return _SIMPLE[letter]
    except KeyError:
        raise LiteralInvalid(f"\\{letter} is no escape; a backslash itself is written \\\\") from None
