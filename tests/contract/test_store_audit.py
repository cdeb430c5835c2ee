"""`StoreAudit`: every adapter reads the same of the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.ports.instance_store import TimerRow
from core.ports.permits import Gate, PermitAct, PermitRow
from core.ports.store_audit import Beside
from tests.contract.rows import NOON, SHARD, change, later, new_command, start_key, timer
from tests.contract.stores import SqliteStores, Stores, own


async def fill(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    timers = (timer("i1", 1, later(5)), timer("i1", 2, later(5)))
    batch = [
        change("i1", None, start_key=start_key("i1"), timers_set=timers),
        change("i2", None, row={"domain_id": "dom-b"}, start_key=start_key("i2", "k2", domain_id="dom-b")),
        change("i3", None, row={"status": "failed"}, timers_set=(timer("i3", 1, NOON),)),
    ]
    assert [None] * 3 == await stores.instances.commit(fences, batch)
    await stores.instances.commit(fences, [change("i1", 1, lines=2)])
    await stores.instances.ingest([new_command("i1", "c1"), new_command("i1", "c2", domain_id="dom-b")])


async def test_instances_page_by_id_of_all_domains_or_one(stores: Stores) -> None:
    await fill(stores)
    pages = [
        [row.id for row in await stores.audit.instances(domain_id=None, after=after, limit=2)] for after in ("", "i2")
    ]

    assert [["i1", "i2"], ["i3"]] == pages
    assert ["i2"] == [row.id for row in await stores.audit.instances(domain_id="dom-b", after="", limit=9)]


async def test_journal_pages_ascending_behind_a_seq(stores: Stores) -> None:
    await fill(stores)

    assert [2, 3] == [row.seq for row in await stores.audit.journal("i1", after_seq=1, limit=9)]
    assert [1] == [row.seq for row in await stores.audit.journal("i1", after_seq=0, limit=1)]
    assert [] == list(await stores.audit.journal("nobody", after_seq=0, limit=9))


async def test_what_stands_beside_an_instance_is_read_at_once(stores: Stores) -> None:
    await fill(stores)
    asked = [(later(5), 2), (later(6), 1), (later(5), 9)]

    assert Beside(
        seq=3, journal_count=3, timers=frozenset({2}), inbox_count=2, foreign_count=1
    ) == await stores.audit.beside("i1", asked)
    assert Beside(
        seq=1, journal_count=1, timers=frozenset(), inbox_count=0, foreign_count=0
    ) == await stores.audit.beside("i2", [])
    assert await stores.audit.beside("nobody", []) is None


async def test_timers_page_in_order_with_the_status_of_their_instance(stores: Stores) -> None:
    await fill(stores)
    after: TimerRow | None = None
    seen = []
    while page := await stores.audit.timers(after=after, limit=1):
        seen += [(held.row.instance_id, held.row.n, held.status) for held in page]
        after = page[-1].row

    assert [("i3", 1, "failed"), ("i1", 1, "running"), ("i1", 2, "running")] == seen


async def test_start_keys_page_in_order_with_the_domain_of_their_instance(stores: Stores) -> None:
    await fill(stores)
    first = await stores.audit.start_keys(after=None, limit=1)
    rest = await stores.audit.start_keys(after=first[-1].key, limit=9)

    assert [("k1", "dom-a"), ("k2", "dom-b")] == [(held.key.key, held.domain_id) for held in (*first, *rest)]


@pytest.mark.parametrize("limit", [0, 1_001])
async def test_audit_page_out_of_bounds_raises_value_error(stores: Stores, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        await stores.audit.instances(domain_id=None, after="", limit=limit)
    with pytest.raises(ValueError, match="limit"):
        await stores.audit.journal("i1", after_seq=0, limit=limit)
    with pytest.raises(ValueError, match="limit"):
        await stores.audit.timers(after=None, limit=limit)
    with pytest.raises(ValueError, match="limit"):
        await stores.audit.start_keys(after=None, limit=limit)
    with pytest.raises(ValueError, match="limit"):
        await stores.audit.permits(after=None, limit=limit)


async def test_timers_of_instances_that_are_gone_are_paged_to_their_end(tmp_path: Path) -> None:
    stores = SqliteStores(tmp_path)
    await stores.open()
    await fill(stores)

    def remove(tx: Any) -> None:
        tx.write("DELETE FROM instance WHERE id = 'i1'")

    await stores.database.write(remove)
    after: TimerRow | None = None
    seen = []
    while page := await stores.audit.timers(after=after, limit=1):
        seen += [(held.row.n, held.status) for held in page]
        after = page[-1].row
        assert len(seen) < 9
    await stores.close()

    assert [(1, "failed"), (1, None), (2, None)] == seen


async def test_permits_page_in_order_with_the_status_of_their_instance(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    gates = [Gate("dom-a", "dag:dag-1", "eu"), Gate("dom-a", "key", "crane")]
    acts = [PermitAct("take", gates[1], "a", 2, 3, NOON), PermitAct("take", gates[0], "", 2, 3, NOON)]
    await stores.instances.commit(
        fences,
        [change("i1", None, permits=tuple(acts)), change("i2", None, permits=(acts[1],), row={"status": "failed"})],
    )
    after: PermitRow | None = None
    seen = []
    while page := await stores.audit.permits(after=after, limit=1):
        seen += [(held.row.gate, held.row.instance_id, held.row.task_path, held.status) for held in page]
        after = page[-1].row

    expected = [(gates[0], "i1", "", "running"), (gates[0], "i2", "", "failed"), (gates[1], "i1", "a", "running")]
    assert expected == seen


async def test_permits_and_grants_on_their_way_stand_beside_an_instance(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    act = PermitAct("wait", Gate("dom-a", "key", "crane"), "a", 1, 3, NOON)
    await stores.instances.commit(fences, [change("i1", None, permits=(act,))])
    beside = await stores.audit.beside("i1", ())
    assert beside is not None

    row = PermitRow(act.gate, "i1", "a", SHARD, 1, 3, NOON, is_held=True)
    assert ((row,), frozenset({"a"}), 1) == (beside.permits, beside.granted, beside.inbox_count)
