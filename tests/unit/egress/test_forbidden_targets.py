"""S-10: no byte reaches the inside, whether it is asked for directly, by a redirect or by a name that changes."""

from __future__ import annotations

import asyncio

from core.ports.http_client import EgressForbidden, HttpAnswer, HttpRequest, HttpResponse, RequestMalformed
from driven_adapters.http import EgressClient
from driven_adapters.http.addresses import DENIED_NETWORKS
from tests.figures import figure
from tests.unit.egress.corpus import ANSWERS, RELATIVE_URLS, TARGETS
from tests.unit.egress.servers import (
    PUBLIC,
    FixedResolver,
    RecordingConnect,
    answer,
    canaries,
    public_policy,
    serving,
)

REDIRECTS = (301, 302, 303, 307, 308)


def get(url: str) -> HttpRequest:
    return HttpRequest(method="GET", url=url, timeout_s=20.0)


def assert_refused(url: str, given: HttpAnswer) -> None:
    assert isinstance(given, EgressForbidden | RequestMalformed), (url, given)


def test_corpus_holds_at_least_120_different_targets() -> None:
    assert len(set(TARGETS)) >= 120


def test_forbidden_targets_asked_for_directly_get_no_byte() -> None:
    async def scenario() -> None:
        connect = RecordingConnect()
        async with (
            canaries() as (canary, port),
            EgressClient(public_policy(), FixedResolver(ANSWERS), connect=connect) as client,
        ):
            for target in TARGETS:
                url = target.replace("{port}", str(port))
                assert_refused(url, await client.request(get(url)))
        assert [] == connect.addresses
        assert (0, 0) == (canary.connection_count, canary.byte_count)
        assert figure("ssrf_direct_bytes", canary.byte_count, "0", canary.byte_count == 0, n=len(TARGETS))

    asyncio.run(scenario())


def test_forbidden_targets_of_redirects_get_no_byte() -> None:
    async def scenario() -> None:
        connect = RecordingConnect()
        hops: dict[str, tuple[int, str]] = {}

        def redirect(line: str, headers: dict[str, str], body: bytes) -> bytes:
            del headers, body
            path = line.split(" ")[1]
            return answer(hops[path][0], Location=hops[path][1]) if path in hops else answer(404)

        async with (
            canaries() as (canary, port),
            serving(redirect) as public_port,
            EgressClient(public_policy(), FixedResolver(ANSWERS), connect=connect) as client,
        ):
            for number, target in enumerate(TARGETS):
                url = target.replace("{port}", str(port))
                if set("\r\n\x00") & set(url):
                    continue  # no header can hold these
                hops[f"/{number}"] = (REDIRECTS[number % len(REDIRECTS)], url)
                given = await client.request(get(f"http://ok.test:{public_port}/{number}"))
                if target in RELATIVE_URLS:
                    assert not (isinstance(given, HttpResponse) and given.status == 200)  # of the public server itself
                else:
                    assert_refused(url, given)
        assert {PUBLIC} == set(connect.addresses)
        assert (0, 0) == (canary.connection_count, canary.byte_count)
        assert figure("ssrf_redirect_bytes", canary.byte_count, "0", canary.byte_count == 0, n=len(hops))
        assert len(hops) >= 120

    asyncio.run(scenario())


def test_names_that_change_their_address_get_the_first_answer_and_no_second_question() -> None:
    async def scenario() -> None:
        inside = [f"{place}.rebinding.test" for place in ("a", "b", "c")]
        resolver = FixedResolver({name: [[PUBLIC], ["127.0.0.1"]] for name in inside})
        connect = RecordingConnect()
        async with (
            canaries() as (canary, _),
            serving(lambda *_: answer(200, b"fine")) as port,
            EgressClient(public_policy(), resolver, connect=connect) as client,
        ):
            for name in inside:
                for _ in range(3):  # over the kept connection: it was checked when it was made
                    given = await client.request(get(f"http://{name}:{port}/"))
                    assert isinstance(given, HttpResponse)
                    assert given.body == b"fine"
        assert inside == resolver.questions
        assert [PUBLIC] * 3 == connect.addresses
        assert canary.connection_count == 0

    asyncio.run(scenario())


def inside_addresses() -> list[str]:
    """Give addresses from every denied network: its first, one in its middle, its last two."""
    found: dict[str, None] = {}
    for network, _ in DENIED_NETWORKS:
        size = network.num_addresses
        found |= {str(network[place]): None for place in sorted({0, size // 2, max(0, size - 2), size - 1})}
    found.pop(PUBLIC, None)
    return list(found)


def test_names_that_turn_to_inside_addresses_get_no_byte() -> None:
    async def scenario() -> None:
        addresses = inside_addresses()
        names = [f"turning-{number}.test" for number in range(len(addresses))]
        # First outside, so that the name passes; then inside; then both at once.
        turns = {name: [[PUBLIC], [at], [PUBLIC, at]] for name, at in zip(names, addresses, strict=True)}
        connect = RecordingConnect()
        async with (
            canaries() as (canary, _),
            serving(lambda *_: answer(200, Connection="close")) as port,
            EgressClient(public_policy(), FixedResolver(turns), connect=connect) as client,
        ):
            for name in names:
                url = f"http://{name}:{port}/"
                assert isinstance(await client.request(get(url)), HttpResponse)
                for _ in range(2):
                    assert isinstance(await client.request(get(url)), EgressForbidden)
        assert [PUBLIC] * len(names) == connect.addresses
        assert canary.connection_count == 0
        assert figure("ssrf_rebinding_bytes", canary.byte_count, "0", canary.byte_count == 0, n=len(names))
        assert len(names) >= 120

    asyncio.run(scenario())


def test_name_that_turns_inside_after_its_connection_closed_is_refused() -> None:
    async def scenario() -> None:
        resolver = FixedResolver({"turning.test": [[PUBLIC], ["127.0.0.1"], ["::1"], [PUBLIC, "10.0.0.1"]]})
        connect = RecordingConnect()
        async with (
            canaries() as (canary, _),
            serving(lambda *_: answer(200, Connection="close")) as port,
            EgressClient(public_policy(), resolver, connect=connect) as client,
        ):
            url = f"http://turning.test:{port}/"
            assert isinstance(await client.request(get(url)), HttpResponse)
            for _ in range(3):
                assert isinstance(await client.request(get(url)), EgressForbidden)
        assert [PUBLIC] == connect.addresses
        assert canary.connection_count == 0

    asyncio.run(scenario())
