"""BatchStore: acts on many instances, kept until they are done; over every adapter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.errors import QueueFull
from core.ports.audit_log import NO_SHARD, AuditEntry
from core.ports.batch_store import BatchRow
from core.ports.instance_store import BODY_BYTES_MAX
from core.ports.key_store import KeptAnswer, NewAnswer
from core.ports.scope import Scope
from tests.contract.rows import NOON, OTHER_SCOPE, SCOPE, later
from tests.contract.stores import Stores


def row(batch_id: str = "b1", **changed: Any) -> BatchRow:
    fields: dict[str, Any] = {
        "domain_id": "dom-a", "step": 0, "is_done": False, "created_at": NOON, "updated_at": NOON, "body": b"{}",
    }  # fmt: skip
    return BatchRow(id=batch_id, **(fields | changed))


def answer(req_hash: str = "h") -> NewAnswer:
    return NewAnswer(
        route="batch", key="k", req_hash=req_hash, status=202, response=b"{}", at=NOON, expires_at=later(60)
    )


async def add(stores: Stores, one: BatchRow, scope: Scope = SCOPE, **more: Any) -> KeptAnswer | None:
    bounds: dict[str, Any] = {"open_max": 5, "forget_before": NOON}
    return await stores.batches.add(scope, one, **(bounds | more))


async def test_batch_reads_back_equal_after_the_store_was_closed_and_belongs_to_its_domain(stores: Stores) -> None:
    assert await add(stores, row()) is None
    await stores.close()
    await stores.open()
    assert row() == await stores.batches.find(SCOPE, "b1")
    assert await stores.batches.find(OTHER_SCOPE, "b1") is None
    assert await stores.batches.find(SCOPE, "b2") is None


async def test_unfinished_are_listed_oldest_first_over_all_domains(stores: Stores) -> None:
    await add(stores, row("b2"))
    await add(stores, row("b1", domain_id="dom-b"), OTHER_SCOPE)
    await add(stores, row("b3"))
    assert await stores.batches.advance(row("b2", step=1, is_done=True))
    assert ["b1", "b3"] == [one.id for one in await stores.batches.unfinished(limit=5)]
    assert ["b1"] == [one.id for one in await stores.batches.unfinished(limit=1)]
    with pytest.raises(ValueError, match="limit"):
        await stores.batches.unfinished(limit=0)


async def test_step_is_written_once_and_nothing_follows_the_last(stores: Stores) -> None:
    await add(stores, row())
    first = row(step=1, body=b"1", updated_at=later(1))
    assert await stores.batches.advance(first)
    assert first == await stores.batches.find(SCOPE, "b1")
    assert not await stores.batches.advance(row(step=1, body=b"2"))
    assert not await stores.batches.advance(row(step=3))
    assert await stores.batches.advance(row(step=2, is_done=True))
    assert not await stores.batches.advance(row(step=3))
    assert not await stores.batches.advance(row("none", step=1))


async def test_open_ones_of_a_domain_are_bounded_and_old_done_ones_are_forgotten(stores: Stores) -> None:
    await add(stores, row("b1"))
    await add(stores, row("b2"))
    with pytest.raises(QueueFull) as refused:
        await add(stores, row("b3"), open_max=2)
    [bound] = refused.value.why
    assert ("open_batches", {"taken": 2, "most": 2}) == (bound.name, bound.value)
    assert ("domain", SCOPE.domain_id) == (bound.holder_kind, bound.holder)
    assert await add(stores, row("c1", domain_id="dom-b"), OTHER_SCOPE, open_max=1) is None
    await stores.batches.advance(row("b1", step=1, is_done=True))
    assert await add(stores, row("b3"), open_max=2, forget_before=later(1)) is None
    assert await stores.batches.find(SCOPE, "b1") is None
    assert await stores.batches.find(SCOPE, "b2") is not None


async def test_repeated_key_stores_nothing_and_gives_the_first_answer(stores: Stores) -> None:
    assert await add(stores, row("b1"), answer=answer()) is None
    assert KeptAnswer("h", 202, b"{}") == await add(stores, row("b2"), answer=answer("other"))
    assert await stores.batches.find(SCOPE, "b2") is None


async def test_body_that_no_row_holds_is_refused(stores: Stores) -> None:
    large = row(body=bytes(BODY_BYTES_MAX + 1))
    with pytest.raises(ValueError, match="passes"):
        await add(stores, large)
    with pytest.raises(ValueError, match="passes"):
        await stores.batches.advance(msgspec.structs.replace(large, step=1))


async def test_act_is_audited_with_its_row_and_not_without_it(stores: Stores) -> None:
    entry = AuditEntry(NO_SHARD, "dom-a", NOON, b'{"act":"batch.pause","by":"p"}')
    await add(stores, row("b1"), answer=answer(), audit=entry)
    await add(stores, row("b2"), answer=answer(), audit=entry)
    await stores.close()
    await stores.open()
    listed = await stores.acts.list(SCOPE, before=None, limit=5)
    assert [(NO_SHARD, NOON, entry.body)] == [(one.shard, one.at, one.body) for one in listed]
