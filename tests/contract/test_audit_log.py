"""AuditLog: acts written with the commit of their instance, listed newest first; over every adapter."""

from __future__ import annotations

import pytest

from core.engine.audit_chain import check, seals
from core.ports.audit_log import AuditEntry, ChainEnd, ChainHead, SealedPage, Unsealed
from core.ports.shard_store import Fence
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


async def acts(stores: Stores, fences: list[Fence], name: str, count: int, domain_id: str = "dom-a") -> None:
    made = tuple(AuditEntry(SHARD, domain_id, later(number), b"%d" % number) for number in range(count))
    assert [None] == await stores.instances.commit(
        fences, [change(name, None, audit=made, row={"domain_id": domain_id})]
    )


async def sealed_all(stores: Stores, limit: int = 100) -> None:
    """Seal what is there, portion by portion."""
    while (found := await stores.acts.unsealed(limit=limit)).rows:
        made = [
            one for domain_id, rows in found.rows.items() for one in seals(domain_id, found.heads.get(domain_id), rows)
        ]
        assert await stores.acts.seal(made)


async def test_r35_acts_are_sealed_in_their_order_and_each_domain_has_its_chain(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await acts(stores, fences, "i1", 3)
    await acts(stores, fences, "i2", 2, "dom-b")
    found = await stores.acts.unsealed(limit=4)
    assert ({"dom-a": [b"0", b"1", b"2"], "dom-b": [b"0"]}, {}) == (
        {domain_id: [row.body for row in rows] for domain_id, rows in found.rows.items()}, found.heads,
    )  # fmt: skip
    await sealed_all(stores, limit=2)
    await stores.close()
    await stores.open()

    page = await stores.acts.sealed(SCOPE, after=0, limit=10)
    assert [1, 2, 3] == [one.seal.position for one in page.acts]
    assert ([], ()) == (check("dom-a", None, page.acts), page.strays)
    rest = await stores.acts.sealed(SCOPE, after=1, limit=1)
    assert [b"1"] == [one.row.body for one in rest.acts if one.row is not None]
    last = page.acts[-1].seal
    assert ChainEnd(ChainHead(3, last.n, last.hash), 0, None) == await stores.acts.chain_end(SCOPE)
    assert 2 == len((await stores.acts.sealed(OTHER_SCOPE, after=0, limit=10)).acts)
    assert Unsealed({}, {}) == await stores.acts.unsealed(limit=1)


async def test_r35_end_of_a_chain_says_what_lies_behind_it(stores: Stores) -> None:
    assert ChainEnd(None, 0, None) == await stores.acts.chain_end(SCOPE)
    assert SealedPage((), ()) == await stores.acts.sealed(SCOPE, after=0, limit=10)
    fences = await own(stores, SHARD)
    await acts(stores, fences, "i1", 1)
    assert ChainEnd(None, 1, NOON) == await stores.acts.chain_end(SCOPE)
    await sealed_all(stores)
    await acts(stores, fences, "i3", 2)
    end = await stores.acts.chain_end(SCOPE)
    assert end.head is not None
    assert (1, 2, NOON) == (end.head.position, end.unsealed_count, end.oldest_unsealed_at)
    found = await stores.acts.unsealed(limit=10)
    assert {"dom-a": end.head} == found.heads


async def test_r35_seals_that_do_not_follow_the_newest_one_are_not_written(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await acts(stores, fences, "i1", 2)
    found = await stores.acts.unsealed(limit=10)
    made = seals("dom-a", None, found.rows["dom-a"])
    assert not await stores.acts.seal(made[1:])
    assert await stores.acts.seal(made)
    assert not await stores.acts.seal(made)
    assert 2 == len((await stores.acts.sealed(SCOPE, after=0, limit=10)).acts)


async def test_r35_pages_of_a_chain_are_bounded(stores: Stores) -> None:
    with pytest.raises(ValueError, match="limit"):
        await stores.acts.unsealed(limit=0)
    with pytest.raises(ValueError, match="limit"):
        await stores.acts.sealed(SCOPE, after=0, limit=0)
