"""Parents and children: instances that a call of another one started (semantics.md S29)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from core.engine.stored import Reference


class Parent(msgspec.Struct, frozen=True, array_like=True):
    """What started a child.

    Attributes:
        instance_id, path: the calling instance, and the path of its task.
        is_awaited: the task waits for the child's end. ends_too: the child is told to end when the task ends before it.
        dag_ids: of all DAGs above, the outermost first, the caller's last.
    """

    instance_id: str
    path: str
    is_awaited: bool
    ends_too: bool
    dag_ids: tuple[str, ...]


class Asked(Reference, frozen=True, array_like=True, tag=62):
    """The DAG that a call names, as it is at `at`; asked for like a value, and never recorded."""

    dag: str = ""
    version: str | None = None
    at: datetime | None = None


class Rehearsed:
    """In place of a callee: a dry run starts nothing, so it looks nothing up."""


REHEARSED = Rehearsed()
