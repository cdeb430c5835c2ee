"""Limits on requests: by key, by business domain, by address without a valid key; what every answer says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec
import pytest

from core.access.permission import ADMINISTRATOR
from core.access.request_rates import RequestLimits
from core.access.service import CACHE_S, AccessService
from core.engine.values import stamp
from core.ports.access_store import KeyRow
from core.ports.rate_limiter import RATE_WINDOW_S
from driven_adapters.memory import MemoryAccessStore
from driven_adapters.system import SystemDice, UlidSource
from driver_adapters.http.app import build_public_app
from driver_adapters.http.rates import peer_of
from tests.contract.stores import HandClock
from tests.http.streams import open_stream
from tests.http.world import PREFIX, Answer, World, call, caller, open_world

WRONG_KEY = "flow_AAAAAAAA_" + "a" * 32
NO_LIMITS = RequestLimits(key_per_minute=0, domain_per_minute=0, denied_per_minute=0)
NAMES = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy")
AGAIN_S = RATE_WINDOW_S + 1.0  # a minute, and the second at its edge


def limited(**limits: int) -> RequestLimits:
    return msgspec.structs.replace(NO_LIMITS, **limits)


def told(answer: Answer) -> tuple[str | None, ...]:
    """Give limit, remaining, reset and policy as the answer says them."""
    return tuple(answer.header(name) for name in NAMES)


async def statuses(world: World, count: int, tenant: str = "one") -> list[int]:
    return [(await world.ask("GET", "/dags", tenant=tenant)).status for _ in range(count)]


async def wrong(world: World, peer: str | None = "192.0.2.1", key: str = WRONG_KEY) -> Answer:
    return await call(world.public, "GET", f"{PREFIX}/dags", [("authorization", f"Bearer {key}")], peer=peer)


async def refusals(world: World, scope: str) -> float:
    """Read the metric from the private server."""
    lines = (await world.ask("GET", "/metrics", prefix="", app=world.private)).body.decode().splitlines()
    start = f'flow_rate_limit_refusals_total{{scope="{scope}"}} '
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


async def test_key_that_sent_its_limit_is_refused_and_told_when_to_come_again() -> None:
    async with open_world(limited(key_per_minute=3), HandClock()) as world:
        assert [200, 200, 200] == await statuses(world, 3)
        clock = world.box.clock()
        before = clock.now()
        refused = await world.ask("GET", "/dags")
        after = clock.now()

        assert (429, "rate-limited", "Too many requests") == (
            refused.status, refused.json["code"], refused.json["title"],
        )  # fmt: skip
        assert ("key", 3) == (refused.json["scope"], refused.json["limit"])
        [bound] = refused.json["why"]
        assert ("requests", {"taken": 3, "most": 3, "within_s": 60}) == (bound["name"], bound["value"])
        assert ("key", (await caller(world)).principal.id) == (bound["holder_kind"], bound["holder"])
        earliest, latest = (stamp(at + timedelta(seconds=61)) for at in (before, after))
        assert earliest <= bound["at"] <= latest
        assert "this key may send 3 requests within 60 s; the next is taken in 61 s" == refused.json["detail"]
        assert ("3", "0", "61", "3;w=60") == told(refused)
        assert "61" == refused.header("retry-after")
        assert 1 == await refusals(world, "key")


async def test_headers_count_down_on_every_answer_whatever_its_status() -> None:
    async with open_world(limited(key_per_minute=10), HandClock()) as world:
        asked = [
            ("POST", "/dags", {"title": "T", "steps": [{"id": "a", "operator": "@debug/noop"}]}, 201),
            ("POST", "/dags", {"steps": 1}, 422),
            ("GET", "/dags/01JD3V6Q0R5M9T8W7X2Y4Z1A3B", None, 404),
            ("GET", "/dags?limit=0", None, 400),
            ("BREW", "/dags", None, 405),
        ]
        for place, (method, path, body, status) in enumerate(asked):
            answer = await world.ask(method, path, body)
            assert (status, ("10", str(9 - place), "61", "10;w=60")) == (answer.status, told(answer))
        for name in NAMES:
            assert 1 == sum(name == header for header, _ in answer.headers)


async def test_bodiless_answers_tell_it_too() -> None:
    async with open_world(limited(key_per_minute=10), HandClock()) as world:
        dag_id = await world.create()
        tag = (await world.ask("GET", f"/dags/{dag_id}")).header("etag") or ""
        same = await world.ask("GET", f"/dags/{dag_id}", headers={"if-none-match": tag})
        binary = {"content-type": "application/octet-stream"}
        file_id = (await world.ask("POST", "/files?name=a.txt", b"a", headers=binary)).json["id"]
        gone = await world.ask("DELETE", f"/files/{file_id}")

        assert [(304, "7"), (204, "5")] == [(answer.status, told(answer)[1]) for answer in (same, gone)]


async def test_tenant_is_limited_over_its_keys_and_no_other_tenant_is() -> None:
    async with open_world(limited(key_per_minute=4, domain_per_minute=5), HandClock()) as world:
        second = (await world.box.access_service().add_key("one", "second", [ADMINISTRATOR])).text
        assert [200, 200, 200] == await statuses(world, 3)
        world.keys["one, second key"] = second
        assert [200, 200, 429] == await statuses(world, 3, "one, second key")
        refused = await world.ask("GET", "/dags")

        assert ("domain", 5) == (refused.json["scope"], refused.json["limit"])
        assert "5;w=60" == refused.header("ratelimit-policy")
        assert "the keys of this business domain together" in refused.json["detail"]
        assert ("4", "3", "61", "4;w=60") == told(await world.ask("GET", "/dags", tenant="two"))
        assert 2 == await refusals(world, "domain")
        assert 0 == await refusals(world, "key")


async def test_window_slides_with_the_clock() -> None:
    clock = HandClock()
    async with open_world(limited(key_per_minute=4), clock) as world:
        await statuses(world, 2)
        clock.move(30.0)
        assert [200, 200, 429] == await statuses(world, 3)
        refused = await world.ask("GET", "/dags")
        assert ("31", "31") == (refused.header("ratelimit-reset"), refused.header("retry-after"))
        clock.move(30.0)
        assert [429] == await statuses(world, 1)
        clock.move(1.0)
        assert [200, 200, 429] == await statuses(world, 3)
        clock.move(AGAIN_S)
        assert ("4", "3", "61", "4;w=60") == told(await world.ask("GET", "/dags"))


async def test_refused_request_does_nothing_and_its_body_is_not_read() -> None:
    async with open_world(limited(key_per_minute=1), HandClock()) as world:
        await statuses(world, 1)
        read: list[bytes] = []

        def parts() -> Iterator[bytes]:
            read.append(b"a part")
            yield read[-1]

        headers = [("authorization", f"Bearer {world.keys['one']}"), ("content-type", "application/json")]
        answer = await call(world.public, "POST", f"{PREFIX}/dags", headers, rest=parts())
        assert 429 == answer.status
        assert [] == read
        assert [] == (await world.ask("GET", "/dags", tenant="two")).json["items"]


async def test_health_documents_and_metrics_are_not_limited() -> None:
    async with open_world(limited(key_per_minute=1, domain_per_minute=1, denied_per_minute=1), HandClock()) as world:
        await statuses(world, 2)
        for path in ("/health/alive", "/health/ready", f"{PREFIX}/docs", f"{PREFIX}/schemas/openapi.json"):
            for tenant in ("one", None):
                answer = await world.ask("GET", path, tenant=tenant, prefix="")
                assert (200, (None,) * 4) == (answer.status, told(answer)), path
        for path in ("/health/alive", "/health/ready", "/metrics"):
            answer = await world.ask("GET", path, prefix="", app=world.private)
            assert (200, (None,) * 4) == (answer.status, told(answer)), path


async def test_without_limits_no_answer_speaks_of_them() -> None:
    async with open_world(NO_LIMITS, HandClock()) as world:
        assert (None,) * 4 == told(await world.ask("GET", "/dags"))
        assert (401, (None,) * 4) == ((answer := await wrong(world)).status, told(answer))


async def test_stream_counts_once() -> None:
    async with open_world(limited(key_per_minute=100), HandClock()) as world:
        instance_id = await world.run()
        opened = open_stream(world, f"/instances/{instance_id}/events")
        assert len(await opened.ended()) > 1

        headers = dict(opened.messages[0]["headers"])
        assert (b"97", b"100;w=60") == (headers[b"ratelimit-remaining"], headers[b"ratelimit-policy"])
        assert "96" == told(await world.ask("GET", "/dags"))[1]


async def test_failed_authentications_are_limited_by_address() -> None:
    clock = HandClock()
    async with open_world(limited(denied_per_minute=2), clock) as world:
        assert [(401, "1"), (401, "0")] == [
            (answer.status, told(answer)[1]) for answer in [await wrong(world), await wrong(world)]
        ]
        refused = await wrong(world)

        assert (429, "rate-limited", "address") == (refused.status, refused.json["code"], refused.json["scope"])
        holders = [(one["holder_kind"], one["holder"]) for one in refused.json["why"]]
        assert [("address", "192.0.2.1")] == holders
        assert ("2", "0", "61", "2;w=60") == told(refused)
        assert "61" == refused.header("retry-after")
        assert 401 == (await wrong(world, peer="192.0.2.2")).status
        assert 1 == await refusals(world, "address")
        clock.move(AGAIN_S)
        assert 401 == (await wrong(world)).status


@pytest.mark.parametrize(
    "headers",
    [[], [("authorization", "Basic x")], [("authorization", "Bearer x"), ("authorization", "Bearer x")]],
)
async def test_requests_without_anything_to_look_up_count_too(headers: list[tuple[str, str]]) -> None:
    async with open_world(limited(denied_per_minute=1), HandClock()) as world:
        first, second = [await call(world.public, "GET", f"{PREFIX}/dags", headers) for _ in range(2)]

        assert first.status in {400, 401}
        assert 429 == second.status


class CountingKeys(MemoryAccessStore):
    """A store that counts how often a key was looked up."""

    count = 0

    async def find_keys(self, prefix: str) -> Sequence[KeyRow]:
        self.count += 1
        return await super().find_keys(prefix)


async def test_spent_address_costs_no_look_up_and_keys_in_use_go_on() -> None:
    async with open_world(limited(denied_per_minute=1), HandClock()) as world:
        keys, clock = CountingKeys(world.store), HandClock()
        access = AccessService(keys, clock, UlidSource(), SystemDice())
        app = build_public_app(world.operations, access, world.box.request_rates(), SystemDice(), prefix=PREFIX)

        async def asked(key: str, peer: str = "192.0.2.1") -> tuple[int, int]:
            headers = [("authorization", f"Bearer {key}")]
            return (await call(app, "GET", f"{PREFIX}/dags", headers, peer=peer)).status, keys.count

        assert (200, 1) == await asked(world.keys["one"])
        assert [(401, 2), (429, 2), (429, 2)] == [await asked(WRONG_KEY) for _ in range(3)]
        clock.move(2 * CACHE_S)
        assert (200, 3) == await asked(world.keys["one"])
        assert (429, 3) == await asked(world.keys["two"])
        assert (200, 4) == await asked(world.keys["two"], "192.0.2.2")


async def test_successful_authentications_are_not_counted_against_the_address() -> None:
    async with open_world(limited(denied_per_minute=1), HandClock()) as world:
        for number in range(5):
            fresh = (await world.box.access_service().add_key("one", f"{number}", [ADMINISTRATOR])).text
            assert 200 == (await wrong(world, key=fresh)).status
        assert 401 == (await wrong(world)).status


@pytest.mark.parametrize(
    ("client", "subject"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("2001:db8::1", 1), "2001:db8::"),
        (("2001:db8:0:0:9::2", 1), "2001:db8::"),
        (("2001:db8:0:1::2", 1), "2001:db8:0:1::"),
        (("fe80::1%eth0", 1), "fe80::"),
        (("::ffff:192.0.2.1", 1), "192.0.2.1"),
        (("testclient", 1), "testclient"),
        (None, ""),
    ],
)
def test_neighbours_of_one_network_are_one_peer(client: object, subject: str) -> None:
    assert subject == peer_of({"client": client})
