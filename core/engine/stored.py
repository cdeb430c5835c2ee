"""JSON values as they lie in state: in their place, by where their bytes stand, or put together from such values."""

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


class Borrowed(Reference, frozen=True, array_like=True, tag=60):
    """A value among those of another instance. It is only asked for: what lies in state refers to its own instance."""

    instance_id: str = ""


class Gone:
    """In place of a borrowed value that is not there any more."""


GONE = Gone()
