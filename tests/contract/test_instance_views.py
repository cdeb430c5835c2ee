"""InstanceViews: pages within one business domain, over every adapter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.errors import PayloadMissing
from core.ports.instance_store import READ_ROWS_MAX, ApprovalRow, InstanceChange, Loaded, PayloadRange, Refusal
from core.ports.instance_views import InstanceFilter, InstanceList, InstanceViews, StampedRow
from core.ports.shard_store import Fence
from tests.contract.rows import OTHER_SCOPE, SCOPE, SHARD, change, frame, later, line, new_start, payload
from tests.contract.stores import Stores, own

ANY = InstanceFilter()
EU = {"region": "eu"}


def ids(page: InstanceList) -> list[str]:
    return [row.id for row in page.rows]


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


async def test_view_gives_the_frames_that_are_asked_for_the_closed_ones_too(stores: Stores) -> None:
    await fill(stores)
    found = await stores.views.get(SCOPE, "i1", paths=("z", "a", "nothing"))
    nothing = await stores.views.get(SCOPE, "i1", paths=())

    assert found is not None
    assert nothing is not None
    assert (["a", "z"], []) == ([row.path for row in found.frames], [row.path for row in nothing.frames])


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
    assert ["b1"] == ids(await stores.views.list(OTHER_SCOPE, ANY, limit=10))
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

    whole = await stores.views.list(SCOPE, chosen, limit=10)
    first = await stores.views.list(SCOPE, chosen, limit=1)

    assert (expected, None) == (ids(whole), whole.next)
    assert (expected[:1], expected[0] if expected else None) == (ids(first), first.next)


async def test_counts_follow_a_change_of_status(stores: Stores) -> None:
    await fill(stores)
    fence = (await stores.shards.shards())[SHARD]
    assert {"running": 2, "failed": 1} == await stores.views.counts(SCOPE)
    fences = await own_again(stores, fence.epoch)
    await stores.instances.commit(fences, [change("i3", 1, row={"status": "succeeded"})])

    assert {"running": 1, "failed": 1, "succeeded": 1} == await stores.views.counts(SCOPE)
    assert ["i1"] == ids(await stores.views.list(SCOPE, InstanceFilter(status="running"), limit=9))


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


async def test_priority_of_a_start_stays_in_its_row_whoever_wrote_it(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    batch = [change("p1", None), change("p2", None, row={"priority": 5})]
    assert [None, None] == await stores.instances.commit(fences, batch)
    await stores.instances.ingest([new_start("p3", priority=1)])
    assert [None] == await stores.instances.commit(fences, [change("p2", 1, row={"priority": 5, "status": "waiting"})])
    listed = {row.id: row.priority for row in (await stores.views.list(SCOPE, ANY, limit=10)).rows}
    assert {"p3": 1, "p2": 5, "p1": None} == listed
    loaded = await stores.instances.load("p2")
    assert loaded is not None
    assert (5, "waiting") == (loaded.row.priority, loaded.row.status)


async def test_s44_instance_names_the_one_that_it_is_a_rerun_of(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    batch = [change("r1", None), change("r2", None, row={"rerun_of": "r1"})]
    assert [None, None] == await stores.instances.commit(fences, batch)
    listed = {row.id: row.rerun_of for row in (await stores.views.list(SCOPE, ANY, limit=10)).rows}
    assert {"r2": "r1", "r1": None} == listed
    for paths in ((), None):
        loaded = await stores.instances.load("r2", paths=paths)
        assert loaded is not None
        assert "r1" == loaded.row.rerun_of


async def fill_labelled(stores: Stores) -> None:
    """Store l1 to l9 of domain A, each third in region us, and one of domain B with the labels of l1."""
    fences = await own(stores, SHARD)

    def labelled(number: int) -> InstanceChange:
        labels = {"region": "us" if number % 3 == 0 else "eu", "order": f"n-{number % 2}"}
        row = {"labels": labels, "dag_id": f"dag-{number % 2}", "trigger_kind": "cron" if number > 6 else "manual"}
        return change(f"l{number}", None, row=row | ({"status": "failed"} if number == 4 else {}))

    batch = [labelled(number) for number in range(1, 10)]
    batch += [change("lb", None, row={"domain_id": "dom-b", "labels": {"region": "eu", "order": "n-1"}})]
    batch += [change("l0", None, row={"dag_id": "dag-9"})]
    assert [None] * 11 == await stores.instances.commit(fences, batch)


FOUND_BY_LABEL = [
    (InstanceFilter(labels=EU), ["l8", "l7", "l5", "l4", "l2", "l1"]),
    (InstanceFilter(labels={"region": "us"}), ["l9", "l6", "l3"]),
    (InstanceFilter(labels=EU | {"order": "n-1"}), ["l7", "l5", "l1"]),
    (InstanceFilter(labels={"order": "n-1"} | EU), ["l7", "l5", "l1"]),
    (InstanceFilter(labels={"region": "e"}), []),
    (InstanceFilter(labels={"Region": "eu"}), []),
    (InstanceFilter(labels=EU | {"other": "x"}), []),
    (InstanceFilter(labels=EU, status="failed"), ["l4"]),
    (InstanceFilter(labels=EU, dag_id="dag-0"), ["l8", "l4", "l2"]),
    (InstanceFilter(labels=EU, dag_id="dag-0", version="v1.0.1"), []),
    (InstanceFilter(labels=EU, trigger="cron"), ["l8", "l7"]),
    (InstanceFilter(labels=EU, trigger="manual", dag_id="dag-1", status="running"), ["l5", "l1"]),
    (InstanceFilter(labels=EU, before="l7", since="l4"), ["l5", "l4"]),
    (InstanceFilter(trigger="cron"), ["l9", "l8", "l7"]),
    (InstanceFilter(trigger="cron", before="l9", since="l8"), ["l8"]),
    (InstanceFilter(trigger="manual"), ["l6", "l5", "l4", "l3", "l2", "l1", "l0"]),
    (InstanceFilter(trigger="event"), []),
    (InstanceFilter(trigger="cron", dag_id="dag-1"), ["l9", "l7"]),
    (InstanceFilter(trigger="manual", dag_id="dag-1", version="v1.0.0"), ["l5", "l3", "l1"]),
    (InstanceFilter(trigger="manual", status="failed"), ["l4"]),
    (InstanceFilter(trigger="cron", status="running"), ["l9", "l8", "l7"]),
    (InstanceFilter(trigger="cron", status="running", dag_id="dag-0", version="v1.0.0"), ["l8"]),
]


@pytest.mark.parametrize(("chosen", "expected"), FOUND_BY_LABEL)
async def test_list_gives_what_labels_and_trigger_choose_with_the_other_conditions(
    stores: Stores, chosen: InstanceFilter, expected: list[str]
) -> None:
    await fill_labelled(stores)
    found = await stores.views.list(SCOPE, chosen, limit=20)

    assert (expected, None) == (ids(found), found.next)


@pytest.mark.parametrize("limit", [1, 2, 20])
@pytest.mark.parametrize("walked", [1, 2, 5, 20])
async def test_pages_that_end_short_together_give_each_instance_once(stores: Stores, walked: int, limit: int) -> None:
    await fill_labelled(stores)
    for chosen, expected in FOUND_BY_LABEL:
        pages = await every_page(stores.short_views(walked), chosen, limit)

        assert expected == [one for page in pages for one in ids(page)], chosen
        assert all(len(page.rows) <= limit for page in pages)


async def every_page(views: InstanceViews, chosen: InstanceFilter, limit: int) -> list[InstanceList]:
    pages = [await views.list(SCOPE, chosen, limit=limit)]
    while pages[-1].next is not None:
        below = msgspec.structs.replace(chosen, before=pages[-1].next)
        pages.append(await views.list(SCOPE, below, limit=limit))
        assert len(pages) < 30
    return pages


async def test_page_of_rare_instances_looks_at_no_more_than_it_may(stores: Stores) -> None:
    await fill_labelled(stores)
    page = await stores.short_views(3).list(SCOPE, InstanceFilter(trigger="manual"), limit=20)

    assert ([], "l7") == (ids(page), page.next)


async def test_labels_and_trigger_are_shown_and_later_commits_change_neither(stores: Stores) -> None:
    await fill_labelled(stores)
    fence = (await stores.shards.shards())[SHARD]
    fences = await own_again(stores, fence.epoch)
    await stores.instances.commit(fences, [change("l8", 1, row={"labels": {"region": "us"}, "status": "succeeded"})])
    found = await stores.views.get(SCOPE, "l8")

    assert found is not None
    assert ("cron", {"region": "eu", "order": "n-0"}) == (found.row.trigger_kind, found.row.labels)
    assert found.row in (await stores.views.list(SCOPE, InstanceFilter(labels=EU), limit=20)).rows


async def test_ingested_start_is_found_by_its_labels(stores: Stores) -> None:
    await stores.instances.ingest([new_start("l1", labels=EU, trigger_kind="cron"), new_start("l2")])

    assert ["l1"] == ids(await stores.views.list(SCOPE, InstanceFilter(labels=EU), limit=9))
    assert ["l1"] == ids(await stores.views.list(SCOPE, InstanceFilter(trigger="cron"), limit=9))
    assert [] == ids(await stores.views.list(OTHER_SCOPE, InstanceFilter(labels=EU), limit=9))


async def test_refused_start_leaves_no_label(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("l1", None)])
    refused = await stores.instances.commit(fences, [change("l1", None, row={"labels": EU})])

    assert [Refusal("seq", detail="stored 1, expected None")] == refused
    assert [] == ids(await stores.views.list(SCOPE, InstanceFilter(labels=EU), limit=9))


async def test_any_text_is_a_value_and_is_found_by_itself_alone(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    values = ["größer", "a:b=c", "\"'", "100%", "  ", "\n", "日" * 256]
    batch = [change(f"l{number}", None, row={"labels": {"v": value}}) for number, value in enumerate(values)]
    await stores.instances.commit(fences, batch)

    for number, value in enumerate(values):
        found = await stores.views.list(SCOPE, InstanceFilter(labels={"v": value}), limit=9)
        assert [f"l{number}"] == ids(found)
        assert {"v": value} == found.rows[0].labels


def approval(name: str, instance_id: str = "i1", **fields: Any) -> ApprovalRow:
    given: dict[str, Any] = {
        "id": name, "domain_id": "dom-a", "instance_id": instance_id, "dag_id": "d1", "dag_hash": "h", "dag_version": "v1.0.0",
        "task_path": "ok", "title": "Really?", "approvers": ("p1", "role:approver"), "since": later(1), "due_at": later(2),
    }  # fmt: skip
    return ApprovalRow(**{**given, **fields})


async def test_approvals_are_listed_by_id_until_their_commit_takes_them_away(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    rows = [approval(name) for name in ("a1", "a2", "a3")]
    rows[1] = approval("a2", approvers=None, due_at=None)
    assert [None] == await stores.instances.commit(fences, [change("i1", None, approvals_set=tuple(reversed(rows)))])
    assert rows == list(await stores.views.approvals(SCOPE, from_id="", limit=10))
    assert rows[1:2] == list(await stores.views.approvals(SCOPE, from_id="a2", limit=1))
    assert [] == list(await stores.views.approvals(OTHER_SCOPE, from_id="", limit=10))
    for seq in (1, 2):
        assert [None] == await stores.instances.commit(fences, [change("i1", seq, approvals_removed=("a1", "a3"))])
        assert rows[1:2] == list(await stores.views.approvals(SCOPE, from_id="", limit=10))


async def test_approval_of_another_instance_is_refused(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    for row in (approval("a1", "i2"), approval("a1", domain_id="else")):
        [refusal] = await stores.instances.commit(fences, [change("i1", None, approvals_set=(row,))])
        assert refusal is not None
        assert "invalid" == refusal.reason
