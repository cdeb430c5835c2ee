"""InstanceStore: the group commit and what the engine reads back, over every adapter."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.errors import Fenced, PayloadMissing
from core.ports.instance_store import (
    BODY_BYTES_MAX,
    JOURNAL_TAIL_ROWS,
    READ_ROWS_MAX,
    InstanceChange,
    Loaded,
    PayloadRange,
    Refusal,
    SeenKey,
)
from core.ports.shard_store import Fence
from tests.contract.rows import (
    SCOPE,
    SHARD,
    TOO_LARGE,
    change,
    frame,
    instance_row,
    later,
    line,
    misfits,
    names,
    new_command,
    new_start,
    payload,
    seen_key,
    start_key,
    timer,
)
from tests.contract.stores import LEASE_S, Stores, own


def reasons(refusals: list[Refusal | None]) -> list[str | None]:
    return [None if refusal is None else refusal.reason for refusal in refusals]


async def loaded(stores: Stores, instance_id: str, *paths: str) -> Loaded:
    found = await stores.instances.load(instance_id, paths=paths or None)
    assert found is not None
    return found


async def test_inserted_instance_reads_back_equal(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    made = change("i1", None, lines=2, frames=(frame("i1", "", 2),))

    assert [None] == await stores.instances.commit(fences, [made])
    assert Loaded(made.row, made.journal, made.frames) == await stores.instances.load("i1")


async def test_many_loads_at_once_each_give_their_own_instance(stores: Stores) -> None:
    """Also those that are large, have many frames or a long journal, or are not there."""
    fences = await own(stores, SHARD)
    made: dict[str, Loaded | None] = {"none": None}
    for n in range(40):
        name = f"i{n:02d}"
        top = frame(name, "", 2, body=bytes([n]) * (BODY_BYTES_MAX - 1 if n % 2 else 10))
        frames = (top, frame(name, "p", 1), frame(name, "q", 2, is_open=False))
        one = change(name, None, lines=2 + n, row={"open_frames": 2}, frames=frames)
        await stores.instances.commit(fences, [one])
        made[name] = Loaded(one.row, one.journal, frames[:2])
    wide = tuple(frame("wide", f"m/#{n:03d}") for n in range(200))
    one = change("wide", None, lines=JOURNAL_TAIL_ROWS + 9, row={"open_frames": 200}, frames=wide)
    await stores.instances.commit(fences, [one])
    made["wide"] = Loaded(one.row, one.journal[9:], wide)

    found = await asyncio.gather(*(stores.instances.load(name) for name in made))
    again = await asyncio.gather(*(stores.instances.load("i03") for _ in range(3)))

    assert list(made.values()) == found
    assert [made["i03"]] * 3 == again


async def test_unknown_instance_loads_as_none(stores: Stores) -> None:
    assert await stores.instances.load("i1") is None


async def test_moved_instance_keeps_what_its_insert_fixed(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None)])
    other = {"dag_hash": "h2", "dag_version": "v9", "created_at": later(99), "status": "waiting", "ready": 7}
    await stores.instances.commit(fences, [change("i1", 1, row=other)])

    expected = instance_row("i1", 2, status="waiting", ready=7)
    assert expected == (await loaded(stores, "i1")).row


async def test_batch_of_many_instances_and_shards_lands_whole(stores: Stores) -> None:
    fences = await own(stores, 1, 2, 3)
    ids = [f"i{n:03d}" for n in range(150)]
    made = [change(name, None, row={"shard": 1 + n % 3}) for n, name in enumerate(ids)]
    await stores.instances.commit(fences, made)
    moved = [
        change(name, 1, row={"shard": 1 + n % 3, "status": "succeeded" if n % 2 else "running"})
        for n, name in enumerate(ids)
    ]

    assert [None] * 150 == await stores.instances.commit(fences, moved)
    assert {"running": 75, "succeeded": 75} == await stores.views.counts(SCOPE)
    for n, name in enumerate(ids):
        found = await loaded(stores, name)
        assert ((line(name, 1), line(name, 2)), moved[n].row) == (found.journal, found.row)


async def test_empty_batch_under_a_living_fence_changes_nothing(stores: Stores) -> None:
    assert [] == await stores.instances.commit(await own(stores, SHARD), [])


async def test_old_epoch_in_a_mixed_batch_refuses_the_whole_batch(stores: Stores) -> None:
    fences = await own(stores, 2, SHARD)
    stores.clock.move(LEASE_S)
    await own(stores, 2, node="node-2")
    batch = [change("i1", None), change("i2", None, row={"shard": 2})]
    with pytest.raises(Fenced) as caught:
        await stores.instances.commit(fences, batch)

    assert (2,) == caught.value.shards
    assert [None, None] == [await stores.instances.load(name) for name in ("i1", "i2")]


async def test_late_batch_of_the_old_epoch_is_refused_after_the_next_owner_committed(stores: Stores) -> None:
    old = await own(stores, SHARD)
    await stores.instances.commit(old, [change("i1", None)])
    stores.clock.move(LEASE_S)
    new = await own(stores, SHARD, node="node-2")
    assert [None] == await stores.instances.commit(new, [change("i1", 1)])
    with pytest.raises(Fenced):
        await stores.instances.commit(old, [change("i1", 1, row={"ready": 99})])

    assert instance_row("i1", 2) == (await loaded(stores, "i1")).row


async def test_item_of_a_shard_without_fence_is_refused_as_fenced(stores: Stores) -> None:
    fences = await own(stores, 2)
    with pytest.raises(Fenced) as caught:
        await stores.instances.commit(fences, [change("i1", None)])

    assert (SHARD,) == caught.value.shards
    assert await stores.instances.load("i1") is None


async def test_another_incarnation_refuses_the_commit(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.renew_incarnation()
    with pytest.raises(Fenced):
        await stores.instances.commit(fences, [change("i1", None)])

    again = await stores.shards.acquire("node-1", SHARD, 1)
    assert again is not None
    assert Fence(SHARD, 2, again.incarnation) == again
    assert [None] == await stores.instances.commit([again], [change("i1", None)])


@pytest.mark.parametrize("expected_seq", [None, 0, 1, 3])
async def test_wrong_expected_seq_takes_only_that_item_out(stores: Stores, expected_seq: int | None) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, lines=2)])
    batch = [change("i0", None), change("i1", expected_seq), change("i2", None)]

    assert [None, "seq", None] == reasons(await stores.instances.commit(fences, batch))
    assert 2 == (await loaded(stores, "i1")).row.seq
    assert [1, 1] == [(await loaded(stores, name)).row.seq for name in ("i0", "i2")]


async def test_change_of_a_missing_instance_is_refused_by_seq(stores: Stores) -> None:
    fences = await own(stores, SHARD)

    assert ["seq"] == reasons(await stores.instances.commit(fences, [change("i1", 4)]))


async def test_start_key_in_use_answers_the_first_instance(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, start_key=start_key("i1", req_hash="first"))])
    second = change("i2", None, start_key=start_key("i2", req_hash="second"))

    assert [Refusal("duplicate", "i1", "first")] == await stores.instances.commit(fences, [second])
    assert await stores.instances.load("i2") is None


async def test_start_key_twice_in_one_batch_starts_the_first_item(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    batch = [change(name, None, start_key=start_key(name, req_hash=name)) for name in ("i1", "i2")]

    assert [None, Refusal("duplicate", "i1", "i1")] == await stores.instances.commit(fences, batch)
    assert await stores.instances.load("i2") is None


async def test_start_key_of_a_refused_item_is_free_for_the_next(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    bad = change("i1", None, start_key=start_key("i1"), frames=(frame("i1", "", body=TOO_LARGE),))
    good = change("i2", None, start_key=start_key("i2"))

    assert ["invalid", None] == reasons(await stores.instances.commit(fences, [bad, good]))


async def test_start_key_of_another_domain_is_another_key(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    other = change("i2", None, start_key=start_key("i2", domain_id="dom-b"), row={"domain_id": "dom-b"})
    batch = [change("i1", None, start_key=start_key("i1")), other]

    assert [None, None] == await stores.instances.commit(fences, batch)


async def test_seen_key_refuses_until_it_expires(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    first = change("i1", None, seen=(seen_key("s1", expires_at=later(60)),))
    await stores.instances.commit(fences, [first])
    early = change("i1", 1, seen=(seen_key("s1", expires_at=later(99)),), row={"updated_at": later(59)})
    late = change("i1", 1, seen=(seen_key("s1", expires_at=later(120)),), row={"updated_at": later(60)})
    again = change("i1", 2, seen=(seen_key("s1"),), row={"updated_at": later(119)})

    assert ["seen"] == reasons(await stores.instances.commit(fences, [early]))
    assert [None] == await stores.instances.commit(fences, [late])
    assert ["seen"] == reasons(await stores.instances.commit(fences, [again]))


async def test_seen_key_says_of_which_request_it_was(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    key = msgspec.structs.replace(seen_key("s1"), req_hash="first")
    await stores.instances.commit(fences, [change("i1", None, seen=(key,))])
    again = msgspec.structs.replace(key, req_hash="second")
    [refusal] = await stores.instances.commit(fences, [change("i1", 1, seen=(again,))])
    assert refusal is not None
    assert ("seen", "s1", "first") == (refusal.reason, refusal.detail, refusal.req_hash)
    stored = [await stores.instances.ingest([new_command("i1", "c1", req_hash=text)]) for text in ("one", "two")]
    assert [("accepted", ""), ("duplicate", "one")] == [(one.status, one.req_hash) for [one] in stored]


async def test_seen_key_twice_in_one_batch_refuses_the_second(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    batch = [change(name, None, seen=(seen_key("s1"),)) for name in ("i1", "i2")]

    assert [None, "seen"] == reasons(await stores.instances.commit(fences, batch))
    assert await stores.instances.load("i2") is None


async def test_taken_inbox_row_is_gone_and_cannot_be_taken_again(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.ingest([new_command("i1", "c1"), new_command("i1", "c2")])
    first, second = await stores.instances.pull_inbox([SHARD], limit=10)
    assert [None] == await stores.instances.commit(fences, [change("i1", None, inbox_taken=(first.n,))])
    again = change("i1", 1, inbox_taken=(second.n, first.n))

    assert ["inbox"] == reasons(await stores.instances.commit(fences, [again]))
    assert [second] == await stores.instances.pull_inbox([SHARD], limit=10)
    assert 1 == (await loaded(stores, "i1")).row.seq


async def test_inbox_row_twice_in_one_batch_goes_to_the_first_item(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.ingest([new_command("i1", "c1")])
    [row] = await stores.instances.pull_inbox([SHARD], limit=10)
    batch = [change(name, None, inbox_taken=(row.n,)) for name in ("i1", "i2")]

    assert [None, "inbox"] == reasons(await stores.instances.commit(fences, batch))


async def test_inbox_row_of_another_shard_cannot_be_taken(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.ingest([new_command("i1", "c1", shard=1)])
    [row] = await stores.instances.pull_inbox([1], limit=10)

    assert ["inbox"] == reasons(await stores.instances.commit(fences, [change("i1", None, inbox_taken=(row.n,))]))


@pytest.mark.parametrize("misfit", [made for _, made in misfits()], ids=[name for name, _ in misfits()])
async def test_change_no_store_holds_is_refused_alone(stores: Stores, misfit: InstanceChange) -> None:
    fences = await own(stores, SHARD)
    batch = [change("i0", None), misfit, change("i2", None)]

    assert [None, "invalid", None] == reasons(await stores.instances.commit(fences, batch))
    assert await stores.instances.load("i1") is None
    assert [1, 1] == [(await loaded(stores, name)).row.seq for name in ("i0", "i2")]


async def test_value_of_an_earlier_commit_cannot_be_written_again(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, payloads=(payload("i1", 1, 0, b"first"),))])
    again = change("i1", 1, payloads=(payload("i1", 1, 0, b"other"),))

    assert ["invalid"] == reasons(await stores.instances.commit(fences, [again]))
    assert [b"first"] == await stores.instances.read_payloads("i1", [PayloadRange(1, 0, 5)])


async def test_instance_twice_in_a_batch_lands_once(stores: Stores) -> None:
    fences = await own(stores, SHARD)

    assert [None, "invalid"] == reasons(await stores.instances.commit(fences, [change("i1", None), change("i1", 1)]))
    assert 1 == (await loaded(stores, "i1")).row.seq


async def test_row_of_exactly_the_bound_is_kept(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    body = bytes(BODY_BYTES_MAX)

    assert [None] == await stores.instances.commit(fences, [change("i1", None, frames=(frame("i1", "", body=body),))])
    assert body == (await loaded(stores, "i1")).frames[0].body


async def test_load_gives_the_newest_journal_rows_ascending(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, lines=JOURNAL_TAIL_ROWS), change("i2", None)])
    await stores.instances.commit(fences, [change("i1", JOURNAL_TAIL_ROWS, lines=6)])
    journal = (await loaded(stores, "i1")).journal

    assert tuple(line("i1", seq) for seq in range(7, JOURNAL_TAIL_ROWS + 7)) == journal


async def test_load_gives_open_frames_and_the_top_one(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    frames = (frame("i1", "b"), frame("i1", "a", is_open=False), frame("i1", "", is_open=False), frame("i1", "a/c"))
    await stores.instances.commit(fences, [change("i1", None, frames=frames), change("i2", None)])

    assert ["", "a/c", "b"] == [row.path for row in (await loaded(stores, "i1")).frames]
    assert () == (await loaded(stores, "i2")).frames


async def test_load_by_path_gives_those_that_have_a_row(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    frames = (frame("i1", "b", is_open=False), frame("i1", "a"), frame("i1", ""))
    await stores.instances.commit(fences, [change("i1", None, frames=frames)])

    assert ["", "b"] == [row.path for row in (await loaded(stores, "i1", "b", "nope", "", "b")).frames]
    none_asked = await stores.instances.load("i1", paths=())
    assert none_asked is not None
    assert () == none_asked.frames


async def test_load_of_many_open_frames_gives_every_one_in_order(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    paths = [f"m/#{n:04d}" for n in range(200)]
    frames = tuple(frame("i1", path, body=path.encode()) for path in reversed(paths))
    await stores.instances.commit(fences, [change("i1", None, frames=(*frames, frame("i1", "")))])

    assert ["", *paths] == [row.path for row in (await loaded(stores, "i1")).frames]
    assert paths[5:190] == [row.path for row in (await loaded(stores, "i1", *paths[5:190])).frames]


async def test_frame_written_again_replaces_the_one_before(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, frames=(frame("i1", ""), frame("i1", "a")))])
    closed = frame("i1", "a", 2, is_open=False, body=b"closed")
    await stores.instances.commit(fences, [change("i1", 1, frames=(closed,))])

    assert (frame("i1", ""),) == (await loaded(stores, "i1")).frames
    assert (closed,) == (await loaded(stores, "i1", "a")).frames


async def test_payload_ranges_cross_part_borders_in_the_order_asked(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    body = bytes(range(256)) * (BODY_BYTES_MAX // 256) + bytes(range(255, -1, -1)) * (BODY_BYTES_MAX // 256) + b"tail"
    parts = tuple(
        payload("i1", 1, part, body[part * BODY_BYTES_MAX : (part + 1) * BODY_BYTES_MAX]) for part in range(3)
    )
    await stores.instances.commit(fences, [change("i1", None, payloads=parts)])
    ranges = [(2 * BODY_BYTES_MAX - 3, 7), (0, 10), (BODY_BYTES_MAX - 2, 4), (0, len(body)), (5, 0), (12, 1)]

    assert [body[at : at + length] for at, length in ranges] == await stores.instances.read_payloads(
        "i1", [PayloadRange(1, at, length) for at, length in ranges]
    )


async def test_payloads_of_many_commits_are_read_in_one_call(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, payloads=(payload("i1", 1, 0, b"1"),))])
    for seq in range(2, 151):
        made = change("i1", seq - 1, payloads=(payload("i1", seq, 0, b"%d" % seq),))
        await stores.instances.commit(fences, [made])
    wanted = [PayloadRange(seq, 0, len(b"%d" % seq)) for seq in (150, 1, 75, *range(2, 149))]

    assert [b"%d" % place.seq for place in wanted] == await stores.instances.read_payloads("i1", wanted)


@pytest.mark.parametrize(
    ("instance_id", "seq", "offset", "length"),
    [("i1", 1, 0, 6), ("i1", 2, 0, 1), ("i9", 1, 0, 1), ("i1", 1, BODY_BYTES_MAX, 1)],
    ids=["too short", "other commit", "other instance", "other part"],
)
async def test_missing_payload_bytes_raise_payload_missing(
    stores: Stores, instance_id: str, seq: int, offset: int, length: int
) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, payloads=(payload("i1", 1, 0, b"12345"),))])

    with pytest.raises(PayloadMissing):
        await stores.instances.read_payloads(instance_id, [PayloadRange(1, 0, 5), PayloadRange(seq, offset, length)])


async def test_open_instances_pages_by_id_without_terminal_ones(stores: Stores) -> None:
    fences = await own(stores, 2, SHARD)
    statuses = ["queued", "running", "waiting", "paused", "cancelling", "succeeded", "failed", "cancelled"]
    made = [change(f"i{n}", None, row={"status": status}) for n, status in enumerate(statuses)]
    await stores.instances.commit(fences, [*reversed(made), change("j", None, row={"shard": 2})])
    first = await stores.instances.open_instances(SHARD, after="", limit=3)
    rest = await stores.instances.open_instances(SHARD, after=first[-1].id, limit=3)

    assert [f"i{n}" for n in range(5)] == [row.id for row in (*first, *rest)]
    assert made[0].row == first[0]


async def test_instance_that_ended_leaves_the_open_ones(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None), change("i2", None)])
    await stores.instances.commit(fences, [change("i1", 1, row={"status": "failed"})])

    assert ["i2"] == [row.id for row in await stores.instances.open_instances(SHARD, after="", limit=10)]


async def test_due_timers_come_soonest_first_of_the_shards_asked(stores: Stores) -> None:
    fences = await own(stores, 1, 2, SHARD)
    for shard in (1, 2, SHARD):
        name = f"i{shard}"
        set_now = tuple(timer(name, n, later(10 * n - shard), shard) for n in (3, 1, 2))
        await stores.instances.commit(fences, [change(name, None, row={"shard": shard}, timers_set=set_now)])
    due = await stores.instances.due_timers([1, SHARD], until=later(19), limit=10)
    soonest = await stores.instances.due_timers([2, 1], until=None, limit=2)

    assert [("i3", 1), ("i1", 1), ("i3", 2), ("i1", 2)] == [(row.instance_id, row.n) for row in due]
    assert [timer("i2", 1, later(8), 2), timer("i1", 1, later(9), 1)] == soonest
    later_ones = await stores.instances.due_timers([1, SHARD], since=later(9), until=later(19), limit=10)
    last = await stores.instances.due_timers([1, SHARD], since=later(9), skip=2, until=later(19), limit=10)
    assert due[1:] == later_ones
    assert due[3:] == last


async def test_removed_timer_is_gone_and_one_set_again_is_there(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    set_now = (timer("i1", 1, later(10)), timer("i1", 2, later(10)), timer("i1", 3, later(10)))
    await stores.instances.commit(fences, [change("i1", None, timers_set=set_now)])
    moved = change(
        "i1",
        1,
        timers_removed=((later(10), 1), (later(10), 2), (later(99), 9)),
        timers_set=(timer("i1", 2, later(10)), timer("i1", 3, later(10))),
    )

    assert [None] == await stores.instances.commit(fences, [moved])
    assert [2, 3] == sorted(row.n for row in await stores.instances.due_timers([SHARD], until=None, limit=10))


async def test_time_of_a_microsecond_comes_back_exactly(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    at = later(0.000_001)
    await stores.instances.commit(fences, [change("i1", None, row={"updated_at": at, "created_at": at})])
    row = (await loaded(stores, "i1")).row

    assert (at, at) == (row.created_at, row.updated_at)


@pytest.mark.parametrize("limit", [0, READ_ROWS_MAX + 1])
async def test_page_out_of_bounds_raises_value_error(stores: Stores, limit: int) -> None:
    with pytest.raises(ValueError, match=str(limit)):
        await stores.instances.pull_inbox([1], limit=limit)
    with pytest.raises(ValueError, match=str(limit)):
        await stores.instances.open_instances(1, after="", limit=limit)
    with pytest.raises(ValueError, match=str(limit)):
        await stores.instances.due_timers([1], until=None, limit=limit)


async def test_ingested_start_waits_with_its_inputs(stores: Stores) -> None:
    item = new_start("i1", start_key("i1"))
    [answer] = await stores.instances.ingest([item])
    [waiting] = await stores.instances.pull_inbox([SHARD], limit=10)

    assert ("accepted", "i1") == (answer.status, answer.instance_id)
    assert Loaded(item.row, (), ()) == await stores.instances.load("i1")
    assert [b"inputs"] == await stores.instances.read_payloads("i1", [PayloadRange(0, 0, 6)])
    assert ("i1", "start", "k1", "dom-a", b"{}") == (
        waiting.instance_id,
        waiting.kind,
        waiting.key,
        waiting.domain_id,
        waiting.body,
    )


async def test_repeated_keyed_start_answers_the_first_and_changes_nothing(stores: Stores) -> None:
    first = new_start("i1", start_key("i1", req_hash="first"))
    again = new_start("i2", start_key("i2", req_hash="second"))
    [_] = await stores.instances.ingest([first])
    answers = await stores.instances.ingest([again, first])

    assert [("duplicate", "i1", "first")] * 2 == [(a.status, a.instance_id, a.req_hash) for a in answers]
    assert await stores.instances.load("i2") is None
    assert 1 == len(await stores.instances.pull_inbox([SHARD], limit=10))


async def test_keyed_start_that_the_owner_committed_is_a_duplicate_at_ingest(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None, start_key=start_key("i1", req_hash="first"))])
    [answer] = await stores.instances.ingest([new_start("i2", start_key("i2"))])

    assert ("duplicate", "i1", "first") == (answer.status, answer.instance_id, answer.req_hash)


async def test_repeated_start_without_key_is_known_by_its_id(stores: Stores) -> None:
    answers = await stores.instances.ingest([new_start("i1"), new_start("i1")])

    assert ["accepted", "duplicate"] == [answer.status for answer in answers]
    assert 1 == len(await stores.instances.pull_inbox([SHARD], limit=10))


async def test_repeated_command_changes_nothing_until_its_key_expires(stores: Stores) -> None:
    first = new_command("i1", "c1", seen_expires_at=later(60))
    answers = await stores.instances.ingest([first, first])
    answers += await stores.instances.ingest([first, new_command("i1", "c1", at=later(60)), new_command("i1", "c2")])

    assert ["accepted", "duplicate", "duplicate", "accepted", "accepted"] == [answer.status for answer in answers]
    assert 3 == len(await stores.instances.pull_inbox([SHARD], limit=10))


async def test_command_key_of_ingest_is_seen_by_the_commit(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.ingest([new_command("i1", "c1", source="signal")])
    known = SeenKey("dom-a", "signal", "c1", later(60))

    assert ["seen"] == reasons(await stores.instances.commit(fences, [change("i1", None, seen=(known,))]))


async def test_inbox_is_read_by_presence_oldest_first_per_shard(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    items = [new_command(name, f"c{n}", shard=1 + n % 3) for n, name in enumerate(["a", "b", "c", "d", "e", "f"])]
    await stores.instances.ingest(items)
    rows = await stores.instances.pull_inbox([SHARD, 1], limit=10)
    assert [("a", "cancel", "c0"), ("d", "cancel", "c3"), ("c", "cancel", "c2"), ("f", "cancel", "c5")] == names(rows)
    await stores.instances.commit(fences, [change("c", None, inbox_taken=(rows[2].n,))])

    assert ["f"] == [row.instance_id for row in await stores.instances.pull_inbox([SHARD], limit=10)]
    assert ["a"] == [row.instance_id for row in await stores.instances.pull_inbox([1, SHARD], limit=1)]


async def test_inbox_numbers_are_never_given_twice(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.ingest([new_command("i1", "c1")])
    [first] = await stores.instances.pull_inbox([SHARD], limit=10)
    await stores.instances.commit(fences, [change("i1", None, inbox_taken=(first.n,))])
    await stores.close()
    await stores.open()
    await stores.instances.ingest([new_command("i1", "c2")])
    [second] = await stores.instances.pull_inbox([SHARD], limit=10)

    assert second.n > first.n


@pytest.mark.parametrize(
    "item",
    [
        new_command("i1", "c1", body=TOO_LARGE),
        new_command("i1", "lone \ud800"),
        new_command("i1", "c1", source="lone \ud800"),
        new_start("i1", start_key("i1", "lone \ud800")),
    ],
    ids=["body", "key", "source", "start key"],
)
async def test_ingest_of_what_no_store_holds_raises_and_stores_nothing(stores: Stores, item: object) -> None:
    with pytest.raises(ValueError, match=r"is no text|bytes"):
        await stores.instances.ingest([new_command("i0", "c0"), item])  # type: ignore[list-item]  # a table of both kinds

    assert [] == await stores.instances.pull_inbox([SHARD], limit=10)


async def test_store_holds_everything_after_it_was_reopened(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    made = change(
        "i1",
        None,
        frames=(frame("i1", ""),),
        payloads=(payload("i1", 1, 0, b"value"),),
        timers_set=(timer("i1", 1, later(5)),),
        start_key=start_key("i1"),
    )
    await stores.instances.commit(fences, [made])
    await stores.close()
    await stores.open()

    assert Loaded(made.row, made.journal, made.frames) == await stores.instances.load("i1")
    assert [b"value"] == await stores.instances.read_payloads("i1", [PayloadRange(1, 0, 5)])
    assert [timer("i1", 1, later(5))] == await stores.instances.due_timers([SHARD], until=None, limit=1)
    [again] = await stores.instances.ingest([new_start("i2", start_key("i2"))])
    assert ("duplicate", "i1") == (again.status, again.instance_id)
