"""What a crash between any two statements, a lost answer or a cancelled caller leaves behind, over every adapter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from core.errors import CommitUnknown
from core.ports.access_store import AccessStore
from core.ports.definition_store import DraftRow
from core.ports.instance_store import InstanceChange, ObjectRange, PayloadRange, SnapshotRow
from core.ports.instance_views import InstanceFilter
from core.ports.shard_store import Fence
from tests.contract.rows import (
    OTHER_SCOPE,
    SCOPE,
    SHARD,
    change,
    dag_row,
    frame,
    key_row,
    later,
    loose,
    new_answer,
    new_command,
    new_start,
    payload,
    payload_object,
    seen_key,
    start_key,
    timer,
    version_row,
)
from tests.contract.stores import LEASE_S, Crash, Stores, own

POINTS_MAX = 60  # a group commit of every kind of row has fewer statements; the loop must end

# Does what must come before, and gives the call that crashes.
Act = Callable[[Stores], Awaitable[Awaitable[object]]]


def full_batch(inbox_n: int) -> list[InstanceChange]:
    """Give a batch that writes to every table: a keyed start, a change, an end."""
    return [
        change(
            "i3",
            None,
            start_key=start_key("i3"),
            frames=(frame("i3", ""),),
            timers_set=(timer("i3", 1, later(9)),),
            payload_object=payload_object("i3", 1, "payload/i3/o1"),
        ),
        change(
            "i1",
            1,
            seen=(seen_key("s1"),),
            frames=(frame("i1", "", 2), frame("i1", "a", 2)),
            payloads=(payload("i1", 2, 0, b"value"),),
            snapshots=(SnapshotRow("i1", "", 2, b"frame"),),
            timers_set=(timer("i1", 8, later(80)),),
            timers_removed=((later(7), 7),),
            inbox_taken=(inbox_n,),
        ),
        change("i2", 1, row={"status": "succeeded"}),
    ]


DRAFT = DraftRow(dag_id="d1", domain_id="dom-a", revision=1, document=b"{}", saved_at=later(1), saved_by="ann")


async def prepare(stores: Stores) -> None:
    """Store two instances, a timer, an inbox row, a DAG; own the shard."""
    fences = await own(stores, SHARD)
    first = [change("i1", None, timers_set=(timer("i1", 7, later(7)),)), change("i2", None)]
    await stores.instances.commit(fences, first)
    await stores.instances.ingest([new_command("i1", "c1")])
    await stores.notes.note([loose("payload/i3/o1"), loose("file/f1")])
    await stores.definitions.create(SCOPE, dag_row("d1", "One"), version_row("d1"))
    await stores.history.save_draft(SCOPE, DRAFT, expected_revision=0)


async def own_again(stores: Stores) -> Fence:
    """Take the shard as after any restart: with another incarnation nobody owns it."""
    await stores.renew_incarnation()
    with contextlib.suppress(ValueError):
        await stores.shards.open_lease("node-1", LEASE_S)
    fence = await stores.shards.acquire("node-1", SHARD, (await stores.shards.shards())[SHARD].epoch)
    assert fence is not None
    return fence


async def prepare_commit(stores: Stores) -> Awaitable[object]:
    fence = await own_again(stores)
    rows = await stores.instances.pull_inbox([SHARD], limit=10)
    return stores.instances.commit([fence], full_batch(rows[0].n if rows else 1))


async def prepare_acquire(stores: Stores) -> Awaitable[object]:
    await own_again(stores)
    return stores.shards.acquire("node-1", 5, 0)


def at_once(act: Callable[[Stores], Awaitable[object]]) -> Act:
    """Make an act of a call that needs nothing before it."""

    async def prepare_act(stores: Stores) -> Awaitable[object]:
        return act(stores)

    return prepare_act


ACTS: dict[str, Act] = {
    "commit": prepare_commit,
    "acquire": prepare_acquire,
    "ingest": at_once(
        lambda stores: stores.instances.ingest([new_start("i9", start_key("i9", "k9")), new_command("i1", "c9")])
    ),
    "note objects": at_once(lambda stores: stores.notes.note([loose("a"), loose("b")])),
    "forget objects": at_once(lambda stores: stores.notes.forget([loose("file/f1")])),
    "create": at_once(lambda stores: stores.definitions.create(SCOPE, dag_row("d2", "Two"), version_row("d2"))),
    "create with a key": at_once(
        lambda stores: stores.definitions.create(SCOPE, dag_row("d2", "Two"), version_row("d2"), answer=new_answer())
    ),
    "publish": at_once(
        lambda stores: stores.definitions.publish(SCOPE, dag_row("d1", "Uno", "v2.0.0"), version_row("d1", "v2.0.0"))
    ),
    "publish with a key": at_once(
        lambda stores: stores.definitions.publish(SCOPE, dag_row("d1", "Uno"), None, answer=new_answer())
    ),
    "publish a draft": at_once(
        lambda stores: stores.definitions.publish(
            SCOPE, dag_row("d1", "Uno", "v2.0.0"), version_row("d1", "v2.0.0"), expected_revision=1, draft_revision=1
        )
    ),
    "save a draft": at_once(lambda stores: stores.history.save_draft(SCOPE, DRAFT, expected_revision=1)),
    "remove": at_once(lambda stores: stores.history.remove(SCOPE, "d1", expected_revision=1)),
    "first key": at_once(lambda stores: stores.access.create_first_key("dom-a", "Home", key_row("k1"))),
}


async def picture(stores: Stores) -> dict[str, object]:
    """Read everything that the ports show, but the owners: every try takes its shard anew."""
    instances = {name: await stores.instances.load(name, paths=("", "a")) for name in ("i1", "i2", "i3", "i9")}
    values: dict[str, object] = {}
    for name, seq in (("i1", 2), ("i3", 1), ("i9", 0)):
        with contextlib.suppress(Exception):
            values[name] = await stores.instances.read_payloads(name, [PayloadRange(seq, 0, 5)])
    return {
        "instances": instances,
        "values": values,
        "list": (await stores.views.list(SCOPE, InstanceFilter(), limit=10)).rows,
        "counts": await stores.views.counts(SCOPE),
        "open": await stores.instances.open_instances(SHARD, after="", limit=10),
        "notes": list(await stores.notes.loose(later(9), 10)),
        "inbox": [(row.instance_id, row.key) for row in await stores.instances.pull_inbox([SHARD], limit=10)],
        "timers": await stores.instances.due_timers([SHARD], until=None, limit=10),
        "epochs": [row.epoch for row in await stores.shards.shards() if row.shard != SHARD],
        "draft": await stores.history.draft(SCOPE, "d1"),
        "dags": list(await stores.definitions.list(SCOPE, after=None, limit=10)),
        "versions": [await stores.definitions.version(SCOPE, name, "v2.0.0") for name in ("d1", "d2")],
        "keys": await keys_of(stores.access),
        "answer": await stores.keys.find_answer(SCOPE, "createDag", "k1", now=later(0)),
        "other": await stores.views.counts(OTHER_SCOPE),
    }


async def keys_of(access: AccessStore) -> list[object]:
    return list(await access.find_keys("fa_abc"))


@pytest.mark.parametrize("name", ACTS)
async def test_crash_at_any_point_leaves_all_or_nothing(stores: Stores, name: str) -> None:
    await prepare(stores)
    before = await picture(stores)
    passed: list[str] = []
    now = before
    while now == before and len(passed) < POINTS_MAX:
        passed.append(await crash_at(stores, ACTS[name], len(passed)))
        await stores.close()
        await stores.open()
        now = await picture(stores)
    inserted = await (await ACTS[name](stores)) if name == "commit" else None

    # Each point before the commit left nothing; the first that left something is the one after it.
    assert "after_commit" == passed[-1]
    assert {"before_begin", "before_commit", "after_each_statement:1"} <= set(passed)
    # And what it left is all of it: none of the three items can land again.
    if isinstance(inserted, list):
        assert ["duplicate", "seen", "seq"] == [refusal.reason for refusal in inserted]
        assert "after_fence" in passed


async def crash_at(stores: Stores, act: Act, at: int) -> str:
    """Run an act on a store that stops at its point number `at`, from 0; give the point's name."""
    passed: list[str] = []

    def stop(point: str) -> None:
        passed.append(point)
        if len(passed) > at:
            raise Crash(point)

    work = await act(stores)
    stores.points.on_pass = stop
    with pytest.raises((Crash, CommitUnknown)):
        await work
    stores.points.on_pass = None
    return passed[-1]


async def test_whole_batch_landed_when_only_its_answer_was_lost(stores: Stores) -> None:
    await prepare(stores)
    work = await prepare_commit(stores)
    rows = await stores.instances.pull_inbox([SHARD], limit=10)
    expected = full_batch(rows[0].n)

    def lose(point: str) -> None:
        if point == "after_commit":
            raise Crash(point)

    stores.points.on_pass = lose
    with pytest.raises(CommitUnknown):
        await work
    stores.points.on_pass = None
    found = [await stores.instances.load(made.row.id, paths=("", "a")) for made in expected]

    assert [made.row.seq for made in expected] == [one.row.seq for one in found if one is not None]
    assert [("i1", 8), ("i3", 1)] == sorted(
        (row.instance_id, row.n) for row in await stores.instances.due_timers([SHARD], until=None, limit=10)
    )
    assert [] == await stores.instances.pull_inbox([SHARD], limit=10)
    assert [b"value"] == await stores.instances.read_payloads("i1", [PayloadRange(2, 0, 5)])
    assert [ObjectRange("payload/i3/o1", 0, 5)] == await stores.instances.read_payloads("i3", [PayloadRange(1, 0, 5)])
    assert ["file/f1"] == [one.key for one in await stores.notes.loose(later(9), 10)]


async def test_settle_after_a_lost_answer_shows_the_fate(stores: Stores) -> None:
    [fence] = await own(stores, SHARD)

    def lose(point: str) -> None:
        if point == "after_commit":
            raise Crash(point)

    stores.points.on_pass = lose
    with pytest.raises(CommitUnknown):
        await stores.instances.commit([fence], [change("i1", None)])
    stores.points.on_pass = None
    await stores.shards.settle([fence])

    assert await stores.instances.load("i1") is not None


async def test_store_works_on_after_a_transaction_failed_in_its_middle(stores: Stores) -> None:
    fences = await own(stores, SHARD)

    def stop(point: str) -> None:
        if point == "after_each_statement:2":
            raise Crash(point)

    stores.points.on_pass = stop
    with pytest.raises(Crash):
        await stores.instances.commit(fences, [change("i1", None)])
    stores.points.on_pass = None

    assert await stores.instances.load("i1") is None
    assert [None] == await stores.instances.commit(fences, [change("i1", None)])


async def test_cancelled_commit_lands_whole_or_not_at_all(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    ids = [f"i{n}" for n in range(20)]
    for n in range(20):
        batch = [change(f"{name}.{n}", None) for name in ids]
        work = asyncio.ensure_future(stores.instances.commit(fences, batch))
        for _ in range(n % 4):
            await asyncio.sleep(0)
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        # The next commit comes after the cancelled one, so its fate is seen.
        assert [None] == await stores.instances.commit(fences, [change(f"next.{n}", None)])
        found = [await stores.instances.load(made.row.id) for made in batch]
        assert len({one is None for one in found}) == 1


async def test_calls_at_the_same_time_each_get_their_own_answer(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    commits = [stores.instances.commit(fences, [change(f"i{n:02d}", None)]) for n in range(30)]
    answers = await asyncio.gather(*commits)
    found = await asyncio.gather(*(stores.instances.load(f"i{n:02d}") for n in range(30)))

    assert [[None]] * 30 == answers
    assert [f"i{n:02d}" for n in range(30)] == [one.row.id for one in found if one is not None]
