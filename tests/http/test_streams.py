"""Server-sent events: everything once and in order, bounds on streams and on callers who do not read, an end at drain."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from core.access.permission import ADMINISTRATOR
from core.engine import feeds
from core.engine.reading import STREAMS_MAX, STREAMS_PER_KEY_MAX, InstanceReader
from driver_adapters.http import stream
from driver_adapters.http.server import bind, serve_until
from tests.http.streams import Stream, open_stream
from tests.http.test_instance_reading import LOGGING
from tests.http.world import HANGING, MAPPING, PREFIX, World, caller

AS_STREAM = {"accept": "text/event-stream"}


async def transitions(world: World, instance_id: str) -> list[str]:
    """Give the ids of all events of the journal."""
    items = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    return [f"{entry['seq']}.{index}" for entry in items for index in range(len(entry["events"]))]


async def start(world: World, tenant: str = "one") -> str:
    dag_id = await world.create(HANGING, tenant)
    instance_id: str = (await world.ask("POST", f"/dags/{dag_id}/run", {}, tenant=tenant)).json["id"]
    return instance_id


async def test_stream_of_an_ended_instance_tells_all_and_ends(world: World) -> None:
    instance_id = await world.run(MAPPING, {"items": [1, 2]})
    opened = open_stream(world, f"/instances/{instance_id}/events")
    events = await opened.ended()

    assert await transitions(world, instance_id) == [identity for identity, _, _ in events]
    assert ("instance_started", "instance_ended") == (events[0][1], events[-1][1])
    assert {"seq", "at", "event"} == msgspec.json.decode(events[0][2]).keys()
    assert 200 == opened.status
    assert not opened.messages[-1].get("more_body")
    assert 0 == world.box.instance_reader().stream_count


async def test_running_instance_is_followed_to_its_end(world: World) -> None:
    instance_id = await start(world)
    opened = open_stream(world, f"/instances/{instance_id}/events")
    await opened.until(lambda seen: "attempt_started" in seen.text)
    world.target.released.set()
    events = await opened.ended()

    assert await transitions(world, instance_id) == [identity for identity, _, _ in events]


async def test_caller_who_comes_again_behind_any_event_misses_and_repeats_nothing(world: World) -> None:
    instance_id = await world.run(MAPPING, {"items": list(range(5))})
    ids = await transitions(world, instance_id)
    for place, last in enumerate(ids):
        opened = open_stream(world, f"/instances/{instance_id}/events", headers={"last-event-id": last})
        assert ids[place + 1 :] == [identity for identity, _, _ in await opened.ended()]


async def _read_late(caller: socket.socket, reader: InstanceReader) -> bytes:
    """Take nothing before the stream is closed, then read to the connection's end."""
    feed, closed, found = next(iter(reader._feeds)), asyncio.Event(), bytearray()

    def close(told: feeds.Feed) -> None:
        reader._closed(told)
        closed.set()

    feed._on_close = close
    async with asyncio.timeout(60):
        await closed.wait()
        while part := await asyncio.get_running_loop().sock_recv(caller, 65_536):
            found += part
    return bytes(found)


@pytest.mark.parametrize("wrong", ["x", "1", "1.", "1.2.3", "-1.0", "9" * 16 + ".0"])
async def test_last_event_id_that_no_stream_gave_is_refused(world: World, wrong: str) -> None:
    instance_id = await world.run()
    answer = await world.ask("GET", f"/instances/{instance_id}/events", headers={"last-event-id": wrong})
    assert (400, "header-invalid") == (answer.status, answer.json["code"])


async def test_lines_are_streamed_as_they_come_and_the_stream_ends_after_the_instance(world: World) -> None:
    instance_id = await world.run(LOGGING)
    opened = open_stream(world, f"/instances/{instance_id}/logs", headers=AS_STREAM)
    events = await opened.ended()

    assert ["one", "two"] == [msgspec.json.decode(data)["message"] for _, _, data in events]
    rest = open_stream(world, f"/instances/{instance_id}/logs", headers={**AS_STREAM, "last-event-id": events[0][0]})
    assert events[1:] == await rest.ended()
    one_task = open_stream(world, f"/instances/{instance_id}/logs?task=first", headers=AS_STREAM)
    assert events[:1] == await one_task.ended()


async def test_silent_stream_shows_that_it_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "POLL_S", 0.01)
    instance_id = await start(world)
    opened = open_stream(world, f"/instances/{instance_id}/events")
    await opened.until(lambda seen: seen.text.count(": still here") >= 2)
    await opened.leave()
    assert 0 == world.box.instance_reader().stream_count


async def test_drain_ends_every_stream_and_later_ones_at_once(world: World) -> None:
    instance_id = await start(world)
    opened = open_stream(world, f"/instances/{instance_id}/events")
    await opened.until(lambda seen: "attempt_started" in seen.text)
    world.box.instance_reader().end_streams()
    await opened.ended()
    await open_stream(world, f"/instances/{instance_id}/events").ended()
    assert 0 == world.box.instance_reader().stream_count


async def test_more_streams_than_a_key_may_have_are_refused_until_one_ends(world: World) -> None:
    instance_id = await start(world)
    path = f"/instances/{instance_id}/events"
    opened = [open_stream(world, path) for _ in range(STREAMS_PER_KEY_MAX)]
    for one in opened:
        await one.until(lambda seen: seen.messages)
    refused = await world.ask("GET", path)
    assert (429, "streams-exhausted", "5") == (refused.status, refused.json["code"], refused.header("retry-after"))
    [bound] = refused.json["why"]
    assert ("streams_of_key", {"taken": 10, "most": 10}, "key") == (bound["name"], bound["value"], bound["holder_kind"])
    assert bound["holder"] == (await caller(world)).principal.id
    await opened.pop().leave()
    again = open_stream(world, path)
    await again.until(lambda seen: seen.messages)
    assert 200 == again.status
    for one in (*opened, again):
        await one.leave()


async def test_node_serves_a_thousand_streams_and_refuses_the_next_one(world: World) -> None:
    instance_id = await start(world)
    path = f"/instances/{instance_id}/events"
    access = world.box.access_service()
    keys = [
        (await access.add_key("one", f"k{number}", [ADMINISTRATOR])).text
        for number in range(STREAMS_MAX // STREAMS_PER_KEY_MAX)
    ]
    opened: list[Stream] = [open_stream(world, path, key=key) for key in keys for _ in range(STREAMS_PER_KEY_MAX)]
    for one in opened:
        await one.until(lambda seen: "attempt_started" in seen.text)
    assert STREAMS_MAX == world.box.instance_reader().stream_count
    refused = await world.ask("GET", path)
    assert (429, "streams-exhausted") == (refused.status, refused.json["code"])
    value = {"taken": STREAMS_MAX, "most": STREAMS_MAX}
    assert [("streams", value, "node")] == [
        (one["name"], one["value"], one["holder_kind"]) for one in refused.json["why"]
    ]
    world.target.released.set()
    expected: list[str] = []
    for one in opened:
        events = await one.ended()
        expected = expected or await transitions(world, instance_id)
        assert expected == [identity for identity, _, _ in events]
    assert 0 == world.box.instance_reader().stream_count


async def test_caller_who_stops_reading_while_much_lands_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEHIND_BYTES_MAX", 2_000)
    instance_id = await start(world)
    opened = open_stream(world, f"/instances/{instance_id}/events")
    await opened.until(lambda seen: "attempt_started" in seen.text)
    followers = world.box.engine_node().followers
    for _ in range(10):
        await asyncio.sleep(0)  # the chunk with the attempt's start is given out; the next one is asked for
    followers.announce(instance_id, 2_001)  # much at once is no fault of somebody who takes it
    opened.reading.clear()
    world.target.released.set()
    async with asyncio.timeout(30):
        await opened.sending.wait()
    assert not opened.aborted.is_set()
    followers.announce(instance_id, 2_000)
    assert not opened.aborted.is_set()
    followers.announce(instance_id, 1)
    assert opened.aborted.is_set()
    assert opened.task is not None
    await opened.task
    assert 0 == world.box.instance_reader().stream_count


async def test_caller_behind_a_real_socket_who_does_not_read_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_S_MAX", 0.2)
    reader = world.box.instance_reader()
    instance_id = await world.run(MAPPING, {"items": list(range(20_000))})
    listener = bind("127.0.0.1", 0, "test")
    listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    stop = asyncio.Event()
    server = asyncio.get_running_loop().create_task(serve_until(stop, [(world.public, listener)]))
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        caller.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(caller, ("127.0.0.1", listener.port))
        request = f"GET {PREFIX}/instances/{instance_id}/events HTTP/1.1\r\nhost: h\r\n"
        await loop.sock_sendall(caller, f"{request}authorization: Bearer {world.keys['one']}\r\n\r\n".encode())
        assert b"HTTP/1.1 200" == (await loop.sock_recv(caller, 100))[:12]
        found = await _read_late(caller, reader)
    assert b"instance_started" in found
    assert b"instance_ended" not in found
    assert not found.endswith(b"\r\n0\r\n\r\n")  # the connection ended, not the answer
    stop.set()
    await server


async def test_caller_who_takes_nothing_for_long_is_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_S_MAX", 0.01)
    instance_id = await world.run()
    opened = open_stream(world, f"/instances/{instance_id}/events")
    await opened.until(lambda seen: seen.messages)
    opened.reading.clear()
    async with asyncio.timeout(30):
        await opened.aborted.wait()
    assert opened.task is not None
    await opened.task
    assert 0 == world.box.instance_reader().stream_count
