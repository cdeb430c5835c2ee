"""Values in objects: read in few reads, each where it belongs, and never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.engine.payloads import GAP_BYTES_MAX, payload_key, whole
from core.errors import PayloadMissing
from core.ports.instance_store import ObjectRange
from core.ports.object_store import check_key
from driven_adapters.object_store import MemoryObjectStore
from tests.contract.stores import HandClock

BODY = bytes(range(256)) * 2_048


class Objects(MemoryObjectStore):
    """Two objects of one domain, and every read of them."""

    def __init__(self) -> None:
        super().__init__(HandClock())
        self.reads: list[tuple[str, int, int | None]] = []

    async def get(self, domain_id: str, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append((key, first, last))
        async for chunk in super().get(domain_id, key, first=first, last=last):
            yield chunk


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def read(
    found: list[bytes | ObjectRange], domain_id: str = "d"
) -> tuple[list[bytes], list[tuple[str, int, int | None]]]:
    async def scenario() -> list[bytes]:
        for key in ("a", "b"):
            await objects.put("d", key, one(BODY), bytes_max=len(BODY))
        return await whole(objects, domain_id, found)

    objects = Objects()
    return asyncio.run(scenario()), objects.reads


def test_what_the_journal_store_had_needs_no_read() -> None:
    assert ([b"x", b""], []) == read([b"x", b""])
    assert ([], []) == read([])


def test_ranges_come_in_the_order_asked_and_near_ones_in_one_read() -> None:
    far = 300 + GAP_BYTES_MAX + 100
    values, reads = read(
        [ObjectRange("a", 300, 5), b"row", ObjectRange("b", 7, 1), ObjectRange("a", 10, 200), ObjectRange("a", far, 9),
         ObjectRange("a", 20, 3), ObjectRange("a", 300, 5)]
    )  # fmt: skip

    assert [
        BODY[300:305], b"row", BODY[7:8], BODY[10:210], BODY[far : far + 9], BODY[20:23], BODY[300:305],
    ] == values  # fmt: skip
    assert [("a", 10, 304), ("a", far, far + 8), ("b", 7, 7)] == reads


@pytest.mark.parametrize(
    ("wanted", "domain_id"),
    [(ObjectRange("c", 0, 1), "d"), (ObjectRange("a", len(BODY), 1), "d"), (ObjectRange("a", 0, 1), "other")],
    ids=["no object", "too short", "another domain"],
)
def test_what_does_not_lie_there_is_missing(wanted: ObjectRange, domain_id: str) -> None:
    with pytest.raises(PayloadMissing):
        read([wanted], domain_id)


def test_key_is_made_of_ids_alone() -> None:
    key = payload_key("01JABC", "01JDEF")
    assert "payload/01JABC/01JDEF" == check_key(key)
