"""Kept outputs of steps: written by commits, found by their key until their time is over, then swept."""

from __future__ import annotations

import msgspec

from core.ports.output_cache import CachedOutput, OutputKey
from tests.contract.rows import NOON, SHARD, change, later
from tests.contract.stores import Stores, own

KEY = OutputKey("dom-a", "dag-1", "a", "@debug/noop 1", b"k" * 16)


def kept(instance_id: str, place: OutputKey = KEY, *, seconds: float = 60) -> CachedOutput:
    return CachedOutput(place, instance_id, f"lies in {instance_id}".encode(), later(seconds))


async def test_output_is_found_by_its_whole_key_until_its_time_is_over(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    first = change("i1", None, cached=(kept("i1"),))
    assert [None] == await stores.instances.commit(fences, [first])
    others = [
        msgspec.structs.replace(KEY, **{name: b"o" * 16 if name == "key" else "other"})
        for name in KEY.__struct_fields__
    ]
    assert [kept("i1"), *[None] * 5] == await stores.outputs.find([KEY, *others], now=NOON)
    assert [kept("i1")] == await stores.outputs.find([KEY], now=later(59))
    assert [None] == await stores.outputs.find([KEY], now=later(60))
    assert [] == await stores.outputs.find([], now=NOON)


async def test_newer_output_takes_the_place_of_the_older_one(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    first = change("i1", None, cached=(kept("i1"),))
    second = change("i2", None, cached=(kept("i2", seconds=90),))
    assert [None, None] == await stores.instances.commit(fences, [first, second])
    assert [kept("i2", seconds=90)] == await stores.outputs.find([KEY], now=NOON)


async def test_output_of_a_change_that_is_taken_out_is_not_kept(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    refused = change("i1", 7, cached=(kept("i1"),))
    [refusal] = await stores.instances.commit(fences, [refused])
    assert refusal is not None
    assert [None] == await stores.outputs.find([KEY], now=NOON)


async def test_output_is_swept_when_its_time_is_over(stores: Stores) -> None:
    fences = await own(stores, SHARD)
    places = [msgspec.structs.replace(KEY, step=f"s{number}") for number in range(3)]
    outputs = tuple(kept("i1", place, seconds=10 * number) for number, place in enumerate(places, 1))
    assert [None] == await stores.instances.commit(fences, [change("i1", None, cached=outputs)])
    assert 0 == await stores.keys.purge(now=later(9), limit=10)
    assert 1 == await stores.keys.purge(now=later(20), limit=1)
    assert [None, outputs[1], outputs[2]] == await stores.outputs.find(places, now=NOON)
    assert 2 == await stores.keys.purge(now=later(30), limit=10)
    assert [None] * 3 == await stores.outputs.find(places, now=NOON)
