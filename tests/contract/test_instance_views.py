"""InstanceViews: pages within one business domain, over every adapter."""

from __future__ import annotations

import pytest

from core.errors import PayloadMissing
from core.ports.instance_store import READ_ROWS_MAX, InstanceChange, Loaded, PayloadRange
from core.ports.instance_views import InstanceFilter, StampedRow
from core.ports.shard_store import Fence
from tests.contract.rows import OTHER_SCOPE, SCOPE, SHARD, change, frame, later, line, payload
from tests.contract.stores import Stores, own

ANY = InstanceFilter()


async def fill(stores: Stores) -> None:
    """Store i1 of domain A with all kinds of rows, i2 and i3 bare, and b1 of domain B with the same kinds."""
    fences = await own(stores, SHARD)

    def full(name: str, domain_id: str) -> InstanceChange:
        return change(
            name,
            None,
            lines=70,
            frames=(frame(name, ""), frame(name, "z"), frame(name, "a", is_open=False)),
            payloads=(payload(name, 1, 0, name.encode()),),
            row={"domain_id": domain_id},
        )

    batch = [
        full("i1", "dom-a"),
        full("b1", "dom-b"),
        change("i2", None, row={"dag_id": "dag-2", "status": "failed", "dag_version": "v1.0.1"}),
        change("i3", None, row={"dag_id": "dag-2"}),
    ]
    assert [None] * 4 == await stores.instances.commit(fences, batch)


async def test_view_gives_top_frame_and_journal_tail(stores: Stores) -> None:
    await fill(stores)
    found = await stores.views.get(SCOPE, "i1")

    assert isinstance(found, Loaded)
    assert ("i1", ["", 70, 7]) == (found.row.id, [found.frames[0].path, found.journal[-1].seq, found.journal[0].seq])
    assert 1 == len(found.frames)


async def test_view_of_another_domain_answers_like_a_missing_instance(stores: Stores) -> None:
    await fill(stores)
    for missing in ("b1", "nothing"):
        assert await stores.views.get(SCOPE, missing) is None
        assert [] == list(await stores.views.journal(SCOPE, missing, after_seq=0, limit=10))
        assert [] == list(await stores.views.frames(SCOPE, missing, after_path=None, limit=10))
        with pytest.raises(PayloadMissing):
            await stores.views.read_payloads(SCOPE, missing, [PayloadRange(1, 0, 2)])
        with pytest.raises(PayloadMissing):
            await stores.views.read_payloads(SCOPE, missing, [])


async def test_domain_sees_its_own_rows_of_every_kind(stores: Stores) -> None:
    await fill(stores)
    found = await stores.views.get(OTHER_SCOPE, "b1")

    assert found is not None
    assert ["b1"] == [row.id for row in await stores.views.list(OTHER_SCOPE, ANY, limit=10)]
    assert [StampedRow(line("b1", 1), later(70))] == list(
        await stores.views.journal(OTHER_SCOPE, "b1", after_seq=0, limit=1)
    )
    assert ["", "a", "z"] == [
        row.path for row in await stores.views.frames(OTHER_SCOPE, "b1", after_path=None, limit=9)
    ]
    assert [b"b1"] == list(await stores.views.read_payloads(OTHER_SCOPE, "b1", [PayloadRange(1, 0, 2)]))
    assert {"running": 1} == await stores.views.counts(OTHER_SCOPE)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (ANY, ["i3", "i2", "i1"]),
        (InstanceFilter(before="i3"), ["i2", "i1"]),
        (InstanceFilter(before="i1"), []),
        (InstanceFilter(dag_id="dag-2"), ["i3", "i2"]),
        (InstanceFilter(status="running"), ["i3", "i1"]),
        (InstanceFilter(status="running", before="i3"), ["i1"]),
        (InstanceFilter(dag_id="dag-2", status="running"), ["i3"]),
        (InstanceFilter(dag_id="dag-2", status="running", before="i3"), []),
        (InstanceFilter(dag_id="dag-9"), []),
        (InstanceFilter(dag_id="dag-2", version="v1.0.0"), ["i3"]),
        (InstanceFilter(dag_id="dag-2", version="v1.0.1", status="failed"), ["i2"]),
        (InstanceFilter(dag_id="dag-2", version="v1.0.1", status="running"), []),
        (InstanceFilter(since="i2"), ["i3", "i2"]),
        (InstanceFilter(since="i2", before="i3"), ["i2"]),
        (InstanceFilter(dag_id="dag-2", status="failed", since="i3"), []),
        (InstanceFilter(status="running", since="i2"), ["i3"]),
    ],
)
async def test_list_gives_newest_first_what_the_filter_chooses(
    stores: Stores, chosen: InstanceFilter, expected: list[str]
) -> None:
    await fill(stores)

    assert expected == [row.id for row in await stores.views.list(SCOPE, chosen, limit=10)]
    assert expected[:1] == [row.id for row in await stores.views.list(SCOPE, chosen, limit=1)]


async def test_counts_follow_a_change_of_status(stores: Stores) -> None:
    await fill(stores)
    fence = (await stores.shards.shards())[SHARD]
    assert {"running": 2, "failed": 1} == await stores.views.counts(SCOPE)
    fences = await own_again(stores, fence.epoch)
    await stores.instances.commit(fences, [change("i3", 1, row={"status": "succeeded"})])

    assert {"running": 1, "failed": 1, "succeeded": 1} == await stores.views.counts(SCOPE)
    assert ["i1"] == [row.id for row in await stores.views.list(SCOPE, InstanceFilter(status="running"), limit=9)]


async def own_again(stores: Stores, epoch: int) -> list[Fence]:
    await stores.renew_incarnation()
    fence = await stores.shards.acquire("node-1", SHARD, epoch)
    assert fence is not None
    return [fence]


async def test_journal_pages_ascending_after_a_seq(stores: Stores) -> None:
    await fill(stores)
    pages: list[StampedRow] = []
    while page := await stores.views.journal(SCOPE, "i1", after_seq=len(pages), limit=30):
        pages += page

    assert [line("i1", seq) for seq in range(1, 71)] == [stamped.row for stamped in pages]


async def test_frames_page_ascending_after_a_path(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    paths = ["", *(f"m/#{n:03d}" for n in range(150))]
    frames = tuple(frame("i1", path, is_open=len(path) % 2 == 0) for path in reversed(paths))
    await stores.instances.commit(fences, [change("i1", None, frames=frames)])
    all_at_once = await stores.views.frames(SCOPE, "i1", after_path=None, limit=READ_ROWS_MAX)
    first = await stores.views.frames(SCOPE, "i1", after_path=None, limit=2)
    second = await stores.views.frames(SCOPE, "i1", after_path=first[-1].path, limit=100)

    assert paths == [row.path for row in all_at_once]
    assert (paths[:2], paths[2:102]) == ([row.path for row in first], [row.path for row in second])
    assert paths[1:] == [row.path for row in await stores.views.frames(SCOPE, "i1", after_path="", limit=200)]


@pytest.mark.parametrize("limit", [0, READ_ROWS_MAX + 1])
async def test_view_page_out_of_bounds_raises_value_error(stores: Stores, limit: int) -> None:
    with pytest.raises(ValueError, match=str(limit)):
        await stores.views.list(SCOPE, ANY, limit=limit)
    with pytest.raises(ValueError, match=str(limit)):
        await stores.views.journal(SCOPE, "i1", after_seq=0, limit=limit)
    with pytest.raises(ValueError, match=str(limit)):
        await stores.views.frames(SCOPE, "i1", after_path=None, limit=limit)


async def test_journal_rows_of_one_commit_have_its_time_and_later_ones_their_own(stores: Stores) -> None:
    await fill(stores)
    fence = (await stores.shards.shards())[SHARD]
    fences = await own_again(stores, fence.epoch)
    await stores.instances.commit(fences, [change("i1", 70, lines=2)])
    found = await stores.views.journal(SCOPE, "i1", after_seq=69, limit=10)

    assert [(70, later(70)), (71, later(72)), (72, later(72))] == [(one.row.seq, one.at) for one in found]
