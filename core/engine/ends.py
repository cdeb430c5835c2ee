"""How a list, a chunk of map items and one item had ended: what is kept of them when nothing of them is open."""

from __future__ import annotations

import msgspec

from core.engine.stored import Value


class ListEnd(msgspec.Struct, frozen=True, array_like=True):
    """How a list ended: succeeded with a value, or not."""

    succeeded: bool
    value: Value | None


class ChunkEnd(msgspec.Struct, frozen=True, array_like=True):
    """What an ended chunk folded into: its items' values (a list), its errors (a list or None), how many failed."""

    values: Value
    errors: Value | None
    failed: int


class ItemEnd(msgspec.Struct, frozen=True, array_like=True):
    """How one map item ended. `value` None with success = the output of the body's last step."""

    succeeded: bool
    value: Value | None = None
    error: Value | None = None
