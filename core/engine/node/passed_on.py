"""What a decision makes other instances begin or hear: rows of their shards, in the commit of its own (engine.md 3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.engine.effects import Outward
from core.engine.node.inbox import stored_command, stored_start
from core.engine.sure import sure
from core.ports.instance_store import NewCommand, NewStart, StartKey

FIXED_BYTES = 512  # of an instance's row, an inbox row and their keys, by estimate
ROWS_COUNT = 4  # instance, start key, inputs, inbox


def passed_on(
    outward: Outward, domain_id: str, teller_id: str, shard_of: Callable[[str], int], at: datetime
) -> list[NewStart | NewCommand]:
    """Give the rows, starts first: what is told to a child that starts here is told after its start.

    `teller_id` is the instance that decided.
    """
    rows: list[NewStart | NewCommand] = []
    for start in outward.children:
        parent = sure(start.parent)
        key = StartKey(domain_id, f"call:{parent.instance_id}", parent.path, start.id, "")
        rows.append(stored_start(start, key, shard_of(start.id), at))
    for told in outward.told:
        shard = shard_of(told.instance_id)
        rows.append(stored_command(domain_id, told.instance_id, shard, told.stimulus, teller_id, at))
    return rows


def bytes_of(one: NewStart | NewCommand) -> int:
    """Give what one of these takes in a batch, by estimate."""
    return (
        FIXED_BYTES + len(one.body) + (sum(len(part.body) for part in one.payloads) if isinstance(one, NewStart) else 0)
    )
