"""ObjectStore: whole or absent, one tenant's own, in order; over every adapter."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from core.errors import FlowError, StoreFull
from core.ports.object_store import (
    CHUNK_BYTES,
    KEY_CHARACTERS_MAX,
    LIST_COUNT_MAX,
    ObjectMissing,
    ObjectTooLarge,
    PutObject,
    check_key,
    check_page,
)
from tests.contract.objects import LocalObjects, MemoryObjects, Objects, read, stream
from tests.contract.stores import Crash

MAX = 10 * CHUNK_BYTES
TRAVERSALS = [
    "", "/", "..", "../a", "a/../b", "a/..", "./a", "/etc/passwd", "a//b", "a/", "a\\b", "a\x00b", "a b", "a.b", "A/b",
    "%2e%2e/a", "a/%2e%2e", "~/a", "file:///etc/passwd", "s3://bucket/a", "é", "a\n", "-a", "a/-b", "a" * 65,
    "/".join("a" * 9), "a/" * 100 + "a", "CON/..", "a:b", "a?b", "a*",
]  # fmt: skip


@pytest.fixture(params=["memory", "local"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Objects]:
    adapters: dict[str, Callable[[], Objects]] = {
        "memory": MemoryObjects,
        "local": lambda: LocalObjects(tmp_path / "objects"),
    }
    made = adapters[request.param]()
    asyncio.run(made.open())
    yield made
    asyncio.run(made.close())


def tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def content_of(path: str) -> bytes:
    return Path(path).read_bytes()


async def put(objects: Objects, key: str, *parts: bytes, domain_id: str = "dom-a") -> PutObject:
    return await objects.store.put(domain_id, key, stream(parts), bytes_max=MAX)


async def keys(
    objects: Objects, prefix: str = "", after: str = "", limit: int = 100, domain: str = "dom-a"
) -> list[str]:
    return [one.key for one in await objects.store.list(domain, prefix=prefix, after=after, limit=limit)]


async def test_object_reads_back_equal_and_with_the_hash_of_its_bytes(objects: Objects) -> None:
    content = bytes(range(256)) * (CHUNK_BYTES // 100)

    made = await put(objects, "file/a", content[:10], content[10:])

    assert PutObject(len(content), hashlib.sha256(content).hexdigest()) == made
    assert content == await read(objects.store, "dom-a", "file/a")
    found = await objects.store.stat("dom-a", "file/a")
    assert found is not None
    assert ("file/a", len(content)) == (found.key, found.bytes_count)


async def test_object_without_bytes_is_an_object(objects: Objects) -> None:
    assert PutObject(0, hashlib.sha256(b"").hexdigest()) == await put(objects, "a")
    assert b"" == await read(objects.store, "dom-a", "a")
    assert ["a"] == await keys(objects)


async def test_object_is_read_in_chunks_of_bounded_size(objects: Objects) -> None:
    await put(objects, "a", bytes(3 * CHUNK_BYTES + 7))

    sizes = [len(chunk) async for chunk in objects.store.get("dom-a", "a")]

    assert 3 * CHUNK_BYTES + 7 == sum(sizes)
    assert max(sizes) <= CHUNK_BYTES


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 0, b"0"),
        (3, 5, b"345"),
        (9, 9, b"9"),
        (7, None, b"789"),
        (7, 99, b"789"),
        (10, None, b""),
        (99, 120, b""),
        (0, -1, b""),
    ],
)
async def test_range_gives_both_its_ends(objects: Objects, first: int, last: int | None, expected: bytes) -> None:
    await put(objects, "a", b"0123456789")

    assert expected == await read(objects.store, "dom-a", "a", first=first, last=last)


async def test_object_of_another_domain_is_missing(objects: Objects) -> None:
    await put(objects, "a", b"theirs", domain_id="dom-b")

    assert await objects.store.stat("dom-a", "a") is None
    assert not await objects.store.delete("dom-a", "a")
    assert await objects.store.local_path("dom-a", "a") is None
    assert [] == await keys(objects)
    with pytest.raises(ObjectMissing):
        await read(objects.store, "dom-a", "a")
    assert b"theirs" == await read(objects.store, "dom-b", "a")


@pytest.mark.parametrize("domain_id", ["..", "../..", "/", "a/b", "dom-a/../dom-b", "\x00", "é", "x" * 300, ""])
async def test_domain_whose_id_looks_like_a_path_has_a_place_of_its_own(objects: Objects, domain_id: str) -> None:
    await put(objects, "a", b"mine", domain_id="dom-a")
    await put(objects, "a", b"theirs", domain_id=domain_id)

    assert b"mine" == await read(objects.store, "dom-a", "a")
    assert b"theirs" == await read(objects.store, domain_id, "a")
    assert ["a"] == await keys(objects, domain=domain_id)


@pytest.mark.parametrize("key", TRAVERSALS)
async def test_key_that_could_be_a_path_is_refused_by_every_verb(objects: Objects, key: str, tmp_path: Path) -> None:
    before = tree(tmp_path)
    for work in (
        put(objects, key, b"x"),
        read(objects.store, "dom-a", key),
        objects.store.stat("dom-a", key),
        objects.store.delete("dom-a", key),
        objects.store.list("dom-a", prefix=f"{key}/", after="", limit=1),
    ):
        with pytest.raises(ValueError):
            await work
    assert before == tree(tmp_path)


async def test_replaced_object_is_read_to_its_end_as_it_was(objects: Objects) -> None:
    old, new = b"o" * (2 * CHUNK_BYTES), b"n" * 10
    await put(objects, "a", old)
    reading = objects.store.get("dom-a", "a")
    parts = [await anext(reading)]

    await put(objects, "a", new)
    parts += [chunk async for chunk in reading]

    assert old == b"".join(parts)
    assert new == await read(objects.store, "dom-a", "a")


async def test_deleted_object_is_gone_and_read_to_its_end_by_who_had_begun(objects: Objects) -> None:
    content = b"x" * (2 * CHUNK_BYTES)
    await put(objects, "a", content)
    reading = objects.store.get("dom-a", "a")
    parts = [await anext(reading)]

    assert await objects.store.delete("dom-a", "a")
    parts += [chunk async for chunk in reading]

    assert content == b"".join(parts)
    assert not await objects.store.delete("dom-a", "a")
    assert await objects.store.stat("dom-a", "a") is None


async def test_list_pages_ascending_by_key_within_the_prefix(objects: Objects) -> None:
    given = ["b", "a", "a/b", "a-b", "a0", "a/b/c", "file/B", "file/a", "file/A", "file-x", "a_b", "file"]
    for key in given:
        await put(objects, key, key.encode())

    assert sorted(given) == await keys(objects)
    assert ["file/A", "file/B", "file/a"] == await keys(objects, "file/")
    assert ["a/b", "a/b/c"] == await keys(objects, "a/")
    assert ["a/b/c"] == await keys(objects, "a/b/")
    assert [] == await keys(objects, "nothing/")
    pages: list[str] = []
    while page := await keys(objects, after=pages[-1] if pages else "", limit=5):
        assert len(page) <= 5
        pages += page
    assert sorted(given) == pages


async def test_nothing_is_seen_before_the_object_is_whole(objects: Objects) -> None:
    seen: list[object] = []

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * CHUNK_BYTES
            seen.append((await objects.store.stat("dom-a", "a"), await keys(objects)))

    await objects.store.put("dom-a", "a", chunks(), bytes_max=MAX)

    assert [(None, [])] * 3 == seen
    assert ["a"] == await keys(objects)


async def test_object_over_the_bound_leaves_nothing_and_the_earlier_one_in_its_place(objects: Objects) -> None:
    await put(objects, "a", b"before")

    with pytest.raises(ObjectTooLarge):
        await objects.store.put("dom-a", "a", stream([b"x" * CHUNK_BYTES] * 3), bytes_max=3 * CHUNK_BYTES - 1)

    assert b"before" == await read(objects.store, "dom-a", "a")
    assert [] == objects.leftovers()
    await objects.store.put("dom-a", "a", stream([b"x" * CHUNK_BYTES] * 3), bytes_max=3 * CHUNK_BYTES)


async def test_sender_that_fails_leaves_nothing(objects: Objects) -> None:
    def fail() -> None:
        raise LookupError("the line broke")

    with pytest.raises(LookupError):
        await objects.store.put("dom-a", "a", stream([b"x" * CHUNK_BYTES, b"y"], fail), bytes_max=MAX)

    assert await objects.store.stat("dom-a", "a") is None
    assert [] == objects.leftovers()


async def test_cancelled_write_leaves_nothing(objects: Objects) -> None:
    begun = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK_BYTES
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.ensure_future(objects.store.put("dom-a", "a", chunks(), bytes_max=MAX))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await objects.store.stat("dom-a", "a") is None
    assert [] == objects.leftovers()


@pytest.mark.parametrize("point", ["written", "before_visible", "visible"])
async def test_crash_leaves_a_whole_object_or_none(objects: Objects, point: str) -> None:
    await put(objects, "b", b"kept")
    content = b"x" * (2 * CHUNK_BYTES)

    def crash(passed: str) -> None:
        if passed == point:
            raise Crash

    objects.points.on_pass = crash
    with pytest.raises(Crash):
        await put(objects, "a", content)
    objects.points.on_pass = None
    await objects.close()
    await objects.open()

    assert (["a", "b"] if point == "visible" else ["b"]) == await keys(objects)
    if point == "visible":
        assert content == await read(objects.store, "dom-a", "a")
    assert [] == objects.leftovers()


@pytest.mark.parametrize("point", ["written", "before_sync", "before_visible", "visible"])
def test_kill_of_the_process_leaves_a_whole_object_or_none(tmp_path: Path, point: str) -> None:
    objects = LocalObjects(tmp_path)
    asyncio.run(_write(objects, b"before"))

    done = subprocess.run([sys.executable, "-m", "tests.contract.object_child", str(tmp_path), point], check=False)

    assert -9 == done.returncode
    left = objects.leftovers()
    assert [] == left if point == "visible" else 1 == len(left)
    expected = b"x" * (2 * CHUNK_BYTES) if point == "visible" else b"before"
    assert expected == asyncio.run(_reopen_and_read(objects))
    assert [] == objects.leftovers()


async def _write(objects: LocalObjects, content: bytes) -> None:
    await objects.open()
    await put(objects, "a", content)
    await objects.close()


async def _reopen_and_read(objects: LocalObjects) -> bytes:
    await objects.open()
    content = await read(objects.store, "dom-a", "a")
    await objects.close()
    return content


async def test_full_disk_is_told_and_leaves_what_was_there(objects: Objects) -> None:
    await put(objects, "a", b"before")
    store = await objects.full(2 * CHUNK_BYTES)

    with pytest.raises(StoreFull):
        await store.put("dom-a", "b", stream([b"x" * CHUNK_BYTES] * 3), bytes_max=MAX)

    assert await store.stat("dom-a", "b") is None
    assert [] == objects.leftovers()
    assert PutObject(1, hashlib.sha256(b"x").hexdigest()) == await store.put("dom-a", "c", stream([b"x"]), bytes_max=1)


async def test_object_has_no_url_and_a_path_where_there_are_paths(objects: Objects) -> None:
    await put(objects, "a", b"bytes")

    assert await objects.store.presign("dom-a", "a", lifetime_s=60.0) is None
    path = await objects.store.local_path("dom-a", "a")
    assert objects.has_paths == (path is not None)
    if path is not None:
        assert b"bytes" == content_of(path)


async def test_writes_at_the_same_time_do_not_mix(objects: Objects) -> None:
    contents = [bytes([n]) * (CHUNK_BYTES + n) for n in range(8)]

    await asyncio.gather(*(put(objects, f"file/{n}", content[:9], content[9:]) for n, content in enumerate(contents)))

    assert contents == [await read(objects.store, "dom-a", f"file/{n}") for n in range(8)]


async def test_folder_that_cannot_be_written_is_told_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    objects = LocalObjects(tmp_path / "file")

    with pytest.raises(FlowError) as told:
        await objects.open()

    await objects.close()
    assert str(tmp_path) not in str(told.value)


async def test_disk_with_too_little_room_takes_no_object(tmp_path: Path) -> None:
    from driven_adapters.object_store import LocalObjectStore

    async with LocalObjectStore(tmp_path, free_bytes_min=2**62) as store:
        with pytest.raises(StoreFull):
            await store.put("dom-a", "a", stream([b"x"]), bytes_max=1)
        assert await store.stat("dom-a", "a") is None


def test_key_and_page_are_checked_at_their_bounds() -> None:
    assert "file/01JD3V6Q0R5M9T8W7X2Y4Z1A3B" == check_key("file/01JD3V6Q0R5M9T8W7X2Y4Z1A3B")
    longest = "/".join(["a" * 49] * 4) + "a"
    assert KEY_CHARACTERS_MAX == len(longest)
    assert longest == check_key(longest)
    with pytest.raises(ValueError):
        check_key(longest + "a")
    assert "" == check_page("", LIST_COUNT_MAX)
    for prefix, limit in (("", 0), ("", LIST_COUNT_MAX + 1), ("a", 1), ("../", 1)):
        with pytest.raises(ValueError):
            check_page(prefix, limit)
