"""Where a JSON value of an instance lies: its encoded bytes in place, or where they stand (engine.md 1)."""

from __future__ import annotations

from typing import Literal

import msgspec


class Reference(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """`length` bytes of JSON from `offset` in the values of commit `seq`; `hash` = their first 32 bits of blake2b."""

    seq: int
    offset: int
    length: int
    hash: int


class Joined(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A value put together from others: an object by `keys`, a list, or the concatenation of lists."""

    form: Literal["object", "list", "concat"]
    parts: tuple[Value, ...]
    keys: tuple[str, ...] = ()


class Indirect(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A `Joined` that is itself too large for its frame: its encoding lies where `at` says."""

    at: Reference


Value = bytes | Reference | Joined | Indirect
