"""AccessStore: hashes of API keys, over every adapter."""

from __future__ import annotations

import msgspec

from tests.contract.rows import key_row, later
from tests.contract.stores import Stores


async def test_first_key_is_created_once(stores: Stores) -> None:
    assert await stores.access.create_first_key("dom-a", "Home", key_row("k1"))
    assert not await stores.access.create_first_key("dom-b", "Other", key_row("k2", domain_id="dom-b"))

    assert [key_row("k1")] == list(await stores.access.find_keys("fa_abc"))


async def test_added_key_reads_back_equal_beside_others_of_its_prefix(stores: Stores) -> None:
    keys = [
        key_row("k2", domain_id="dom-b", revoked_at=later(1), last_used_at=later(2)),
        key_row("k1", expires_at=None),
    ]
    for key in (*keys, key_row("k3", "fa_xyz")):
        await stores.access.add_key(key)

    assert sorted(keys, key=lambda key: key.id) == list(await stores.access.find_keys("fa_abc"))
    assert not await stores.access.create_first_key("dom-c", "Late", key_row("k4"))


async def test_unknown_prefix_gives_no_key(stores: Stores) -> None:
    await stores.access.add_key(key_row("k1"))

    assert [] == list(await stores.access.find_keys("fa_"))


async def test_touched_key_shows_its_last_use(stores: Stores) -> None:
    await stores.access.add_key(key_row("k1"))
    await stores.access.touch_key("k1", later(77))
    await stores.access.touch_key("unknown", later(78))

    assert [msgspec.structs.replace(key_row("k1"), last_used_at=later(77))] == list(
        await stores.access.find_keys("fa_abc")
    )


async def test_pepper_has_32_bytes_and_stays_when_reopened(stores: Stores) -> None:
    pepper = await stores.access.pepper()
    await stores.close()
    await stores.open()

    assert 32 == len(pepper)
    assert pepper == await stores.access.pepper()
