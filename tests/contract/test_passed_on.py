"""What a commit passes on to other instances, over every adapter (ADR 0029)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.ports.instance_store import READ_ROWS_MAX, TERMINAL_STATUSES, PayloadRange
from core.ports.instance_views import InstanceFilter
from tests.contract.rows import SCOPE, SHARD, TOO_LARGE, change, new_command, new_start, start_key
from tests.contract.stores import Stores, own

ELSEWHERE = SHARD + 1  # a shard that the committing node does not own


def child(instance_id: str, key: str = "call", **more: Any) -> Any:
    fields = {"shard": ELSEWHERE, "parent_id": "i1", "parent_path": "c", **more}
    return new_start(instance_id, start_key(instance_id, key), **fields)


async def inbox(stores: Stores) -> list[tuple[str, str]]:
    rows = await stores.instances.pull_inbox([SHARD, ELSEWHERE], limit=READ_ROWS_MAX)
    return [(row.instance_id, row.kind) for row in rows]


async def test_s29_start_that_is_passed_on_lies_as_if_it_was_ingested(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    assert [None] == await stores.instances.commit(fences, [change("i1", None, passed=(child("i2"),))])
    loaded = await stores.instances.load("i2")
    assert loaded is not None
    assert (0, "queued", ELSEWHERE, "i1", "c") == (
        loaded.row.seq, loaded.row.status, loaded.row.shard, loaded.row.parent_id, loaded.row.parent_path,
    )  # fmt: skip
    assert [b"inputs"] == await stores.instances.read_payloads("i2", [PayloadRange(0, 0, 6)])
    assert [("i2", "start")] == await inbox(stores)


async def test_s29_start_whose_key_is_there_is_refused_with_what_passes_it_on(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, passed=(child("i2"),))])
    again = change("i1", 1, passed=(child("i3"),))
    twice = [change("i4", None, passed=(child("i5", "k"),)), change("i6", None, passed=(child("i7", "k"),))]
    answers = await stores.instances.commit(fences, [again, *twice])
    assert ["invalid", None, "invalid"] == [None if one is None else one.reason for one in answers]
    assert [None, None, None] == [await stores.instances.load(one) for one in ("i3", "i6", "i7")]
    loaded = await stores.instances.load("i1")
    assert loaded is not None
    assert 1 == loaded.row.seq


@pytest.mark.parametrize("status", ["running", *sorted(TERMINAL_STATUSES)])
async def test_s29_command_reaches_an_instance_that_has_not_ended(stores: Stores, status: str) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i2", None, row={"status": status})])
    passed = (new_command("i2", "k1"), new_command("nobody", "k2"))
    assert [None] == await stores.instances.commit(fences, [change("i1", None, passed=passed)])
    assert ([("i2", passed[0].kind)] if status == "running" else []) == await inbox(stores)


async def test_s29_command_follows_the_start_that_it_is_for(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    told = new_command("i2", "k1", shard=ELSEWHERE)
    assert [None] == await stores.instances.commit(fences, [change("i1", None, passed=(child("i2"), told))])
    assert [("i2", "start"), ("i2", told.kind)] == await inbox(stores)


async def test_s29_what_no_store_holds_or_another_domain_owns_is_not_passed_on(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    foreign = msgspec.structs.replace(new_command("i2", "k1"), domain_id="dom-b")
    large = msgspec.structs.replace(new_command("i2", "k1"), body=TOO_LARGE)
    for one in (foreign, large, child("i2", domain_id="dom-b")):
        [answer] = await stores.instances.commit(fences, [change("i1", None, passed=(one,))])
        assert answer is not None
        assert "invalid" == answer.reason
    assert None is await stores.instances.load("i1")


async def test_s29_children_are_listed_by_their_parent_and_other_conditions(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    one = child("i2", "a", labels={"x": "1", "y": "2"})
    passed = (one, child("i3", "b", trigger_kind="call"), child("i4", "c", parent_id="i9"))
    assert [None] == await stores.instances.commit(fences, [change("i1", None, passed=passed)])

    async def ids(**conditions: Any) -> list[str]:
        page = await stores.views.list(SCOPE, InstanceFilter(parent="i1", **conditions), limit=10)
        return [row.id for row in page.rows]

    assert ["i3", "i2"] == await ids()
    assert ["i2"] == await ids(labels={"x": "1", "y": "2"})
    assert [] == await ids(labels={"x": "1", "y": "3"})
    assert (["i3"], ["i2"]) == (await ids(trigger="call"), await ids(before="i3"))
    assert ([], ["i3", "i2"]) == (await ids(status="running"), await ids(status="queued", dag_id="dag-1"))
