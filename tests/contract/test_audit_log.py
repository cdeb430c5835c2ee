"""AuditLog: acts written with the commit of their instance, listed newest first; over every adapter."""

from __future__ import annotations

import pytest

from core.ports.audit_log import AuditEntry
from tests.contract.rows import NOON, OTHER_SCOPE, SCOPE, SHARD, change, later
from tests.contract.stores import Stores, own


def entries(*bodies: bytes) -> tuple[AuditEntry, ...]:
    return tuple(AuditEntry(SHARD, "dom-a", later(number), body) for number, body in enumerate(bodies))


async def test_acts_land_with_their_change_and_are_listed_newest_first(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    refused = change("i1", 5, audit=entries(b"refused"))
    made = [change("i1", None, audit=entries(b"a", b"b")), change("i2", None, audit=entries(b"c"))]
    assert [None, None] == await stores.instances.commit(fences, made)
    assert [False] == [answer is None for answer in await stores.instances.commit(fences, [refused])]
    await stores.close()
    await stores.open()

    listed = await stores.acts.list(SCOPE, before=None, limit=2)
    assert [(b"c", NOON), (b"b", later(1))] == [(one.body, one.at) for one in listed]
    rest = await stores.acts.list(SCOPE, before=listed[-1].n, limit=2)
    assert [(b"a", SHARD)] == [(one.body, one.shard) for one in rest]
    assert [] == list(await stores.acts.list(OTHER_SCOPE, before=None, limit=2))
    with pytest.raises(ValueError, match="limit"):
        await stores.acts.list(SCOPE, before=None, limit=0)
