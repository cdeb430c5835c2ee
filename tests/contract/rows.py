"""Rows for the store suites: small, valid, and different only in what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from core.ports.access_store import KeyRow
from core.ports.definition_store import DagRow, VersionRow
from core.ports.instance_store import (
    BODY_BYTES_MAX,
    FrameRow,
    InboxRow,
    InstanceChange,
    InstanceRow,
    JournalRow,
    NewCommand,
    NewStart,
    OutwardRows,
    PayloadObject,
    PayloadRow,
    SeenKey,
    SnapshotRow,
    StartKey,
    TimerRow,
)
from core.ports.key_store import NewAnswer
from core.ports.object_notes import LooseObject
from core.ports.permits import Gate, PermitAct
from core.ports.scope import Principal, Scope

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARD = 3
TOO_LARGE = bytes(BODY_BYTES_MAX + 1)
SCOPE = Scope("dom-a", Principal("ann", "key", "Ann"))
OTHER_SCOPE = Scope("dom-b", Principal("bob", "key", "Bob"))


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def instance_row(instance_id: str, seq: int = 1, **changed: Any) -> InstanceRow:
    fields: dict[str, Any] = {
        "domain_id": "dom-a",
        "shard": SHARD,
        "dag_id": "dag-1",
        "dag_hash": "h1",
        "dag_version": "v1.0.0",
        "status": "running",
        "open_attempts": 1,
        "ready": 2,
        "open_frames": 3,
        "epoch": 1,
        "created_at": NOON,
        "updated_at": later(seq),
    }
    return InstanceRow(id=instance_id, seq=seq, **(fields | changed))


def line(instance_id: str, seq: int) -> JournalRow:
    return JournalRow(instance_id, seq, 1, f"{instance_id} did {seq}".encode())


def change(instance_id: str, expected_seq: int | None, *, lines: int = 1, **more: Any) -> InstanceChange:
    """Give a change of `lines` journal rows upon `expected_seq`.

    A key `row` in `more` changes the instance's row; those of `OutwardRows` are written beyond the instance.
    """
    first = expected_seq or 0
    row = instance_row(instance_id, first + lines, **more.pop("row", {}))
    journal = tuple(line(instance_id, seq) for seq in range(first + 1, first + lines + 1))
    outward = {name: more.pop(name) for name in OutwardRows.__struct_fields__ if name in more}
    if outward:
        more["outward"] = OutwardRows(**outward)
    return InstanceChange(row=row, expected_seq=expected_seq, **({"journal": journal} | more))


def frame(instance_id: str, path: str, seq: int = 1, *, is_open: bool = True, body: bytes = b"frame") -> FrameRow:
    return FrameRow(instance_id, path, seq, is_open, body)


def payload(instance_id: str, seq: int, part: int, body: bytes) -> PayloadRow:
    return PayloadRow(instance_id, seq, part, body)


def payload_object(instance_id: str, seq: int, key: str = "payload/i1/o1", bytes_count: int = 300_000) -> PayloadObject:
    return PayloadObject(instance_id, seq, key, bytes_count)


def loose(key: str, since: datetime = NOON, domain_id: str = "dom-a") -> LooseObject:
    return LooseObject(domain_id, key, since)


def timer(instance_id: str, n: int, due_at: datetime, shard: int = SHARD) -> TimerRow:
    return TimerRow(shard, due_at, instance_id, n, "step", "retry")


def start_key(instance_id: str, key: str = "k1", *, domain_id: str = "dom-a", req_hash: str = "r1") -> StartKey:
    return StartKey(domain_id, "run:dag-1:ann", key, instance_id, req_hash)


def seen_key(key: str, *, expires_at: datetime | None = None) -> SeenKey:
    return SeenKey("dom-a", "signal", key, expires_at or later(3_600))


def new_answer(key: str = "k1", *, at: datetime = NOON, kept_s: float = 3_600, **changed: Any) -> NewAnswer:
    fields: dict[str, Any] = {"route": "createDag", "req_hash": "r1", "status": 201, "response": b"made"} | changed
    return NewAnswer(key=key, at=at, expires_at=at + timedelta(seconds=kept_s), **fields)


def new_start(instance_id: str, key: StartKey | None = None, **changed: Any) -> NewStart:
    row = instance_row(instance_id, 0, status="queued", **changed)
    inputs = (payload(instance_id, 0, 0, b"inputs"),)
    return NewStart(row=row, payloads=inputs, start_key=key, source="api", kind="start", body=b"{}", at=NOON)


def new_command(instance_id: str, key: str, **changed: Any) -> NewCommand:
    fields: dict[str, Any] = {
        "domain_id": "dom-a",
        "shard": SHARD,
        "source": "api",
        "kind": "cancel",
        "body": b"{}",
        "at": NOON,
        "seen_expires_at": later(3_600),
    }
    return NewCommand(instance_id=instance_id, key=key, **(fields | changed))


def names(rows: list[InboxRow]) -> list[tuple[str, str, str]]:
    return [(row.instance_id, row.kind, row.key) for row in rows]


def dag_row(dag_id: str, title: str, version: str = "v1.0.0", **changed: Any) -> DagRow:
    fields: dict[str, Any] = {
        "domain_id": "dom-a",
        "description": "Adds things up",
        "tags": ("daily", "größer"),
        "status": "active",
        "type": "workflow",
        "content_hash": f"hash-{version}",
        "created_at": NOON,
        "updated_at": later(1),
    }
    return DagRow(id=dag_id, title=title, version=version, **(fields | changed))


def version_row(dag_id: str, version: str = "v1.0.0", **changed: Any) -> VersionRow:
    fields: dict[str, Any] = {
        "domain_id": "dom-a",
        "content_hash": f"hash-{version}",
        "document": b'{"steps":[]}',
        "change_log": "first",
        "published_at": NOON,
        "published_by": "ann",
    }
    return VersionRow(dag_id=dag_id, version=version, **(fields | changed))


def key_row(key_id: str, prefix: str = "fa_abc", **changed: Any) -> KeyRow:
    fields: dict[str, Any] = {
        "domain_id": "dom-a",
        "hash": bytes(32),
        "name": "first",
        "roles": ("owner", "editor"),
        "created_at": NOON,
        "expires_at": later(3_600),
        "revoked_at": None,
        "last_used_at": None,
    }
    return KeyRow(id=key_id, prefix=prefix, **(fields | changed))


def permit_act(kind: Any, gate: Gate) -> PermitAct:
    return PermitAct(kind, gate, "", 1, 3, NOON)


def misfits() -> list[tuple[str, InstanceChange]]:
    """List changes that no store holds, one fault each, under the name of the fault."""
    i1 = "i1"
    key = start_key(i1, "lone \ud800")
    return [
        (
            "journal row too large",
            InstanceChange(row=instance_row(i1), expected_seq=None, journal=(JournalRow(i1, 1, 1, TOO_LARGE),)),
        ),
        ("frame too large", change(i1, None, frames=(frame(i1, "", body=TOO_LARGE),))),
        ("payload too large", change(i1, None, payloads=(payload(i1, 1, 0, TOO_LARGE),))),
        ("snapshot too large", change(i1, None, snapshots=(SnapshotRow(i1, "", 1, TOO_LARGE),))),
        ("journal with a gap", InstanceChange(row=instance_row(i1, 2), expected_seq=None, journal=(line(i1, 2),))),
        ("journal out of order", change(i1, None, lines=2, journal=(line(i1, 2), line(i1, 1)))),
        ("journal of another", InstanceChange(row=instance_row(i1), expected_seq=None, journal=(line("i9", 1),))),
        ("frame of another", change(i1, None, frames=(frame("i9", ""),))),
        ("timer of another", change(i1, None, timers_set=(timer("i9", 1, later(1)),))),
        ("timer of another shard", change(i1, None, timers_set=(timer(i1, 1, later(1), shard=SHARD + 1),))),
        ("payload of another", change(i1, None, payloads=(payload("i9", 1, 0, b"x"),))),
        ("payload twice", change(i1, None, payloads=(payload(i1, 1, 0, b"x"), payload(i1, 1, 0, b"y")))),
        ("object of another", change(i1, None, payload_object=payload_object("i9", 1))),
        ("object of an earlier commit", change(i1, 4, payload_object=payload_object(i1, 4))),
        (
            "values in rows and an object",
            change(i1, None, payloads=(payload(i1, 1, 0, b"x"),), payload_object=payload_object(i1, 1)),
        ),
        ("key that is no text", change(i1, None, start_key=key)),
        ("seen key that is no text", change(i1, None, seen=(seen_key("lone \udfff"),))),
        ("seen key twice", change(i1, None, seen=(seen_key("s"), seen_key("s")))),
        ("gate of another domain", change(i1, None, permits=(permit_act("take", Gate("dom-b", "key", "k")),))),
        ("gate whose key is no text", change(i1, None, permits=(permit_act("take", Gate("dom-a", "key", "\ud800")),))),
        ("inbox row twice", change(i1, None, inbox_taken=(1, 1))),
    ]
