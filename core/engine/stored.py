"""JSON values as they lie in state: in their place, by where their bytes stand, or put together from such values."""

from __future__ import annotations

from datetime import datetime
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


class Looked(Reference, frozen=True, array_like=True, tag=61):
    """A kept output of step `step` that counts at `at`; asked for like a value, and never recorded."""

    dag_id: str = ""
    step: str = ""
    version: str = ""
    key: bytes = b""
    at: datetime | None = None


class Former(Reference, frozen=True, array_like=True, tag=62):
    """How a list of the container `holder` (a task path) had ended in another instance; asked for like a value.

    Of a loop: in iteration `first`. Of a map: in the items from number `first` on. It is never recorded.
    """

    instance_id: str = ""
    holder: str = ""
    name: str = ""
    first: int = 0


class GateAsked(Reference, frozen=True, array_like=True, tag=71):
    """How a gate stands; asked for like a value, and kept by the node for whoever asks next."""

    domain_id: str = ""
    limit: str = ""
    key: str = ""


class Found(msgspec.Struct, frozen=True):
    """A kept output: the instance among whose values it lies, and how."""

    instance_id: str
    output: Value


class Gone:
    """In place of a borrowed value, or a kept output, that is not there (any more)."""


GONE = Gone()
