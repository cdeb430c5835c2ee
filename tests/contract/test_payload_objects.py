"""Values that lie in objects: what a commit stores of them, when it is refused, and how they read; over every adapter."""

from __future__ import annotations

import pytest

from core.errors import PayloadMissing
from core.ports.instance_store import BODY_BYTES_MAX, InstanceChange, ObjectRange, PayloadRange, Refusal
from tests.contract.rows import OTHER_SCOPE, SCOPE, SHARD, change, later, loose, payload, payload_object
from tests.contract.stores import Stores, own

KEY = "payload/i1/o1"


def reasons(answers: list[Refusal | None]) -> list[str]:
    return ["" if answer is None else answer.reason for answer in answers]


def large(instance_id: str = "i1", key: str = KEY) -> InstanceChange:
    return change(instance_id, None, payload_object=payload_object(instance_id, 1, key))


async def noted(stores: Stores) -> list[str]:
    return [one.key for one in await stores.notes.loose(later(9_999), 10)]


async def test_object_is_named_for_its_values_and_its_note_is_taken(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.notes.note([loose(KEY), loose("payload/i1/o2"), loose(KEY, domain_id="dom-b")])

    assert [None] == await stores.instances.commit(fences, [large()])
    await stores.close()
    await stores.open()

    wanted = [PayloadRange(1, 0, 5), PayloadRange(1, 299_999, 1), PayloadRange(1, 7, 0)]
    expected = [ObjectRange(KEY, 0, 5), ObjectRange(KEY, 299_999, 1), b""]
    assert expected == await stores.instances.read_payloads("i1", wanted)
    assert expected == list(await stores.views.read_payloads(SCOPE, "i1", wanted))
    assert {("dom-a", "payload/i1/o2"), ("dom-b", KEY)} == {
        (one.domain_id, one.key) for one in await stores.notes.loose(later(9), 10)
    }
    with pytest.raises(PayloadMissing):
        await stores.views.read_payloads(OTHER_SCOPE, "i1", wanted)


async def test_rows_and_objects_of_one_instance_read_in_the_order_asked(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.notes.note([loose(KEY), loose("payload/i1/o4")])
    body = bytes(range(256)) * (BODY_BYTES_MAX // 256)
    parts = (payload("i1", 2, 0, body), payload("i1", 2, 1, b"tail"))
    made = [
        large(),
        change("i1", 1, payloads=parts),
        change("i1", 2),
        change("i1", 3, payload_object=payload_object("i1", 4, "payload/i1/o4", 10**7)),
    ]
    for one in made:
        assert [None] == await stores.instances.commit(fences, [one])
    wanted = [
        PayloadRange(4, 9 * 10**6, 10**6), PayloadRange(2, BODY_BYTES_MAX - 1, 3), PayloadRange(1, 0, 1),
        PayloadRange(2, 1, 2), PayloadRange(4, 0, 10**7), PayloadRange(1, 5, 280_000),
    ]  # fmt: skip

    assert [
        ObjectRange("payload/i1/o4", 9 * 10**6, 10**6), b"\xffta", ObjectRange(KEY, 0, 1), b"\x01\x02",
        ObjectRange("payload/i1/o4", 0, 10**7), ObjectRange(KEY, 5, 280_000),
    ] == await stores.instances.read_payloads("i1", wanted)  # fmt: skip


@pytest.mark.parametrize(("offset", "length"), [(299_999, 2), (300_000, 1), (0, 300_001)])
async def test_range_behind_the_end_of_an_object_is_missing(stores: Stores, offset: int, length: int) -> None:
    fences = await own(stores, SHARD)
    await stores.notes.note([loose(KEY)])
    await stores.instances.commit(fences, [large()])

    with pytest.raises(PayloadMissing):
        await stores.instances.read_payloads("i1", [PayloadRange(1, offset, length)])


async def test_item_whose_object_has_no_note_is_taken_out_and_the_others_land(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.notes.note([loose(KEY, domain_id="dom-b"), loose("payload/i2/o1")])
    answers = await stores.instances.commit(fences, [large(), large("i2", "payload/i2/o1"), change("i3", None)])

    assert ["object", "", ""] == reasons(answers)
    assert await stores.instances.load("i1") is None
    assert await stores.instances.load("i3") is not None
    with pytest.raises(PayloadMissing):
        await stores.instances.read_payloads("i1", [PayloadRange(1, 0, 1)])
    assert [KEY] == await noted(stores)


async def test_item_whose_object_was_condemned_or_forgotten_is_taken_out(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.notes.note([loose(KEY), loose("payload/i2/o1")])
    await stores.notes.condemn([loose(KEY)])
    await stores.notes.forget([loose("payload/i2/o1")])

    assert ["object", "object"] == reasons(
        await stores.instances.commit(fences, [large(), large("i2", "payload/i2/o1")])
    )
    assert [KEY] == await noted(stores)


async def test_object_belongs_to_one_commit_only(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.notes.note([loose(KEY)])

    assert ["", "object"] == reasons(await stores.instances.commit(fences, [large("i1"), large("i2")]))
    assert ["object"] == reasons(await stores.instances.commit(fences, [large("i3")]))


async def test_seq_of_another_writer_is_told_before_the_missing_note(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    await stores.instances.commit(fences, [change("i1", None)])

    assert ["seq"] == reasons(await stores.instances.commit(fences, [large()]))
