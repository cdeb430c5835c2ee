"""The egress client against real servers on the loopback network."""

from __future__ import annotations

import asyncio
import gzip
import os
import zlib

import pytest

from core.ports.http_client import (
    BodyTooLarge,
    EgressForbidden,
    EgressTimeout,
    EgressUnavailable,
    HttpAnswer,
    HttpRequest,
    HttpResponse,
    RequestMalformed,
)
from driven_adapters.http import EgressClient, EgressPolicy, parse_allow_list
from driven_adapters.http.pool import IDLE_COUNT_MAX
from tests.figures import figure
from tests.unit.egress.servers import PUBLIC, FixedResolver, Handler, RecordingConnect, answer, public_policy, serving


def exchange(handler: Handler, path: str = "/", **fields: object) -> HttpAnswer:
    """Send one request to a server with this handler and give the answer."""

    async def scenario() -> HttpAnswer:
        async with serving(handler) as port, EgressClient(public_policy()) as client:
            request = {"method": "GET", "url": f"http://{PUBLIC}:{port}{path}", "timeout_s": 20.0, **fields}
            return await client.request(HttpRequest(**request))  # type: ignore[arg-type]  # fields of the test

    return asyncio.run(scenario())


def test_request_reaches_the_target_whole_and_its_answer_comes_back() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        seen.append((line, headers, body))
        return answer(201, b"made", X_Made="yes")

    given = exchange(handler, "/a?b=%20c#d", method="POST", headers=(("X-One", " 1 "),), body=b"payload")
    assert isinstance(given, HttpResponse)
    assert (201, b"made", "yes", None) == (given.status, given.body, given.header("x-made"), given.header("x-other"))
    line, headers, body = seen[0]
    assert ("POST /a?b=%20c HTTP/1.1", "1", b"payload") == (line, headers["x-one"], body)


def test_many_requests_to_one_origin_share_few_connections() -> None:
    connect = RecordingConnect()

    async def scenario() -> None:
        async with serving(lambda *_: answer(200)) as port, EgressClient(public_policy(), connect=connect) as client:
            request = HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/")
            for _ in range(50):
                assert isinstance(await client.request(request), HttpResponse)
            await asyncio.gather(*(client.request(request) for _ in range(100)))

    asyncio.run(scenario())
    assert len(connect.addresses) <= 100


def test_connections_beyond_the_bound_of_idle_ones_are_closed() -> None:
    async def scenario() -> int:
        arrived = asyncio.Semaphore(0)
        go = asyncio.Event()

        async def together(line: str, headers: dict[str, str], body: bytes) -> bytes:
            del line, headers, body
            arrived.release()
            await go.wait()
            return answer(200)

        count = IDLE_COUNT_MAX + 10
        async with serving(together) as port, EgressClient(public_policy()) as client:
            request = HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/")
            tasks = [asyncio.create_task(client.request(request)) for _ in range(count)]
            for _ in range(count):
                await arrived.acquire()
            go.set()
            assert all(isinstance(given, HttpResponse) for given in await asyncio.gather(*tasks))
            return client.idle_count

    assert asyncio.run(scenario()) == IDLE_COUNT_MAX


def test_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    async def scenario() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(200, b"%d" % len(writers)))
            writer.close()  # although it said keep-alive
            await writer.wait_closed()

        server = await asyncio.start_server(serve, PUBLIC, 0)
        port = server.sockets[0].getsockname()[1]
        async with EgressClient(public_policy()) as client:
            request = HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/")
            answers = [await client.request(request)]
            await writers[0].wait_closed()
            for _ in range(5):  # turns of the loop: the end of the connection is an event of its own
                await asyncio.sleep(0)
            answers.append(await client.request(request))
            await writers[1].wait_closed()
        server.close()
        await asyncio.sleep(0)
        assert [b"1", b"2"] == [given.body for given in answers if isinstance(given, HttpResponse)]

    asyncio.run(scenario())


def test_answer_that_nobody_asked_for_is_not_taken_for_that_of_the_next_request() -> None:
    def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        del headers, body
        return answer(200, b"own") + (answer(200, b"stale") if "/twice" in line else b"")

    async def scenario() -> None:
        async with serving(handler) as port, EgressClient(public_policy()) as client:
            for path in ("twice", "next", "last"):
                given = await client.request(HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/{path}"))
                assert isinstance(given, HttpResponse)
                assert b"own" == given.body
                assert (path != "twice") == bool(client.idle_count)

    asyncio.run(scenario())


def test_proxy_variables_of_the_environment_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9/")
    given = exchange(lambda *_: answer(200, b"direct"))
    assert isinstance(given, HttpResponse)
    assert given.body == b"direct"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\nX-B: 2"),
        ("X-A", "1\x00"),
        ("X-A", "\u20ac"),
        ("X-A\r\nX-B", "1"),
        ("X A", "1"),
        ("", "1"),
        ("Host", "inside.test"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
        ("X-Long", "x" * 70_000),
    ],
)
def test_header_that_would_split_or_redirect_a_request_is_refused_before_connecting(name: str, value: str) -> None:
    connect = RecordingConnect()

    async def scenario() -> HttpAnswer:
        async with EgressClient(public_policy(), connect=connect) as client:
            return await client.request(
                HttpRequest(method="GET", url=f"http://{PUBLIC}:8080/", headers=((name, value),))
            )

    assert isinstance(asyncio.run(scenario()), RequestMalformed)
    assert [] == connect.addresses


def test_more_headers_than_servers_take_are_refused() -> None:
    headers = tuple((f"X-{number}", "1") for number in range(101))
    assert isinstance(exchange(lambda *_: answer(200), headers=headers), RequestMalformed)


def test_redirect_within_an_origin_keeps_headers_and_across_origins_drops_credentials() -> None:
    seen: dict[str, dict[str, str]] = {}

    async def scenario() -> None:
        def second(line: str, headers: dict[str, str], body: bytes) -> bytes:
            del body
            seen[line] = headers
            return answer(200, b"there")

        async with serving(second) as other_port:

            def first(line: str, headers: dict[str, str], body: bytes) -> bytes:
                del body
                seen[line] = headers
                if line.startswith("GET /start"):
                    return answer(302, Location="/next")
                return answer(302, Location=f"http://{PUBLIC}:{other_port}/end")

            async with serving(first) as port, EgressClient(public_policy()) as client:
                headers = (
                    ("Authorization", "Bearer x"),
                    ("X-Api-Key", "k"),
                    ("Cookie", "c=1"),
                    ("Accept", "a/b"),
                    ("Idempotency-Key", "key"),
                )
                given = await client.request(
                    HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/start", headers=headers)
                )
                assert isinstance(given, HttpResponse)
                assert given.body == b"there"

    asyncio.run(scenario())
    secret = {"authorization", "x-api-key", "cookie"}
    assert secret <= seen["GET /next HTTP/1.1"].keys()
    assert set() == secret & seen["GET /end HTTP/1.1"].keys()
    assert ("a/b", "key") == (seen["GET /end HTTP/1.1"]["accept"], seen["GET /end HTTP/1.1"]["idempotency-key"])


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (301, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (303, "HEAD", "HEAD"),
    ],
)
def test_redirect_of_each_status_keeps_or_changes_the_method_as_rfc_9110_says(
    status: int, method: str, expected: str
) -> None:
    seen: list[tuple[str, bytes, str | None]] = []

    def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        seen.append((line.split(" ", maxsplit=1)[0], body, headers.get("content-type")))
        return answer(status, Location="/end") if len(seen) == 1 else answer(200)

    body = b"" if method == "HEAD" else b"x"
    exchange(handler, method=method, body=body, headers=(("Content-Type", "text/plain"),))
    is_kept = expected == method
    assert (expected, body if is_kept else b"", "text/plain" if is_kept else None) == seen[1]


def test_redirects_beyond_five_are_forbidden_and_the_sixth_is_not_sent() -> None:
    lines: list[str] = []

    def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        del headers, body
        lines.append(line)
        return answer(302, Location=f"/{len(lines)}")

    assert isinstance(exchange(handler), EgressForbidden)
    assert len(lines) == 6


def test_redirect_with_none_to_follow_is_the_answer_itself() -> None:
    given = exchange(lambda *_: answer(302, Location="/x"), redirects_max=0)
    assert isinstance(given, HttpResponse)
    assert given.status == 302


def test_redirect_in_utf_8_or_in_any_other_bytes_is_followed_as_text() -> None:
    lines: list[str] = []

    def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        del headers, body
        lines.append(line)
        plain = answer(302, Location="/x")
        return (
            answer(200)
            if len(lines) == 3
            else plain.replace(b"/x", "/\u20ac".encode() if len(lines) == 1 else b"/\xe9")
        )

    assert isinstance(exchange(handler), HttpResponse)
    assert ["GET / HTTP/1.1", "GET /%E2%82%AC HTTP/1.1", "GET /%C3%A9 HTTP/1.1"] == lines


def test_redirect_without_location_is_the_answer_itself() -> None:
    given = exchange(lambda *_: answer(302))
    assert isinstance(given, HttpResponse)
    assert given.status == 302


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
def test_packed_body_comes_back_unpacked(encoding: str) -> None:
    plain = os.urandom(1000) * 200
    packed = gzip.compress(plain) if "gzip" in encoding.lower() else zlib.compress(plain)
    given = exchange(lambda *_: answer(200, packed, Content_Encoding=encoding))
    assert isinstance(given, HttpResponse)
    assert plain == given.body


def test_deflate_without_its_frame_comes_back_unpacked() -> None:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"abc" * 1000) + packer.flush()
    given = exchange(lambda *_: answer(200, packed, Content_Encoding="deflate"))
    assert isinstance(given, HttpResponse)
    assert given.body == b"abc" * 1000


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"no gzip at all", "gzip"),
        (gzip.compress(b"abc" * 1000)[:-9], "gzip"),
        (gzip.compress(b"abc") + b"more", "gzip"),
        (b"\x1b\x03\x00", "br"),
        (gzip.compress(gzip.compress(b"abc")), "gzip, gzip"),
    ],
)
def test_body_that_cannot_be_unpacked_is_no_answer(body: bytes, encoding: str) -> None:
    assert isinstance(exchange(lambda *_: answer(200, body, Content_Encoding=encoding)), EgressUnavailable)


def test_empty_body_with_an_encoding_is_empty() -> None:
    given = exchange(lambda *_: answer(200, b"", Content_Encoding="gzip"))
    assert isinstance(given, HttpResponse)
    assert given.body == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bomb_is_cut_at_the_bound_of_unpacked_bytes(encoding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    block = b"\0" * 1_048_576
    packed = b"".join(packer.compress(block) for _ in range(256)) + packer.flush()  # 256 MiB in about 256 KiB

    async def scenario() -> tuple[HttpAnswer, int]:
        import tracemalloc

        handler = lambda *_: answer(200, packed, Content_Encoding=encoding)  # noqa: E731 - one line, used once
        async with serving(handler) as port, EgressClient(public_policy()) as client:
            tracemalloc.start()
            given = await client.request(
                HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/", body_bytes_max=1_048_576)
            )
            peak_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return given, peak_bytes

    given, peak_bytes = asyncio.run(scenario())
    assert isinstance(given, BodyTooLarge)
    assert figure(f"bomb_{encoding}_peak_bytes", peak_bytes, "< 8 MiB", peak_bytes < 8 * 1_048_576)


def test_body_announced_too_large_is_not_read() -> None:
    given = exchange(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", body_bytes_max=1000)
    assert isinstance(given, BodyTooLarge)


def test_endless_body_is_cut_at_the_bound() -> None:
    piece = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    given = exchange(
        lambda *_: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + piece * 500, body_bytes_max=100_000
    )
    assert isinstance(given, BodyTooLarge)


def test_body_of_exactly_the_bound_comes_back() -> None:
    given = exchange(lambda *_: answer(200, b"x" * 1000), body_bytes_max=1000)
    assert isinstance(given, HttpResponse)
    assert len(given.body) == 1000


def test_silent_target_ends_as_timeout() -> None:
    async def silent(line: str, headers: dict[str, str], body: bytes) -> bytes:
        del line, headers, body
        await asyncio.Event().wait()
        return b""

    assert isinstance(exchange(silent, timeout_s=0.05), EgressTimeout)


def test_no_time_left_ends_as_timeout_at_once() -> None:
    assert isinstance(exchange(lambda *_: answer(200), timeout_s=-1.0), EgressTimeout)


def test_target_that_nobody_serves_is_unavailable() -> None:
    async def scenario() -> HttpAnswer:
        async with serving(lambda *_: answer(200)) as port:
            pass
        async with EgressClient(public_policy()) as client:
            return await client.request(HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/"))

    assert isinstance(asyncio.run(scenario()), EgressUnavailable)


def test_name_without_address_is_unavailable() -> None:
    async def scenario() -> HttpAnswer:
        async with EgressClient(public_policy(), FixedResolver({})) as client:
            return await client.request(HttpRequest(method="GET", url="http://nowhere.test/"))

    assert isinstance(asyncio.run(scenario()), EgressUnavailable)


def test_name_with_too_many_addresses_is_forbidden() -> None:
    async def scenario() -> HttpAnswer:
        resolver = FixedResolver({"many.test": [[f"93.184.0.{number}" for number in range(33)]]})
        async with EgressClient(public_policy(), resolver) as client:
            return await client.request(HttpRequest(method="GET", url="http://many.test/"))

    assert isinstance(asyncio.run(scenario()), EgressForbidden)


@pytest.mark.parametrize("garbage", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000])
def test_target_that_does_not_speak_http_is_unavailable(garbage: bytes) -> None:
    assert isinstance(exchange(lambda *_: garbage, timeout_s=2.0), EgressUnavailable | EgressTimeout)


def test_cancelled_request_closes_its_connection() -> None:
    async def scenario() -> None:
        reached, gone = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            reached.set()
            assert await reader.read() == b""
            writer.close()
            gone.set()

        server = await asyncio.start_server(serve, PUBLIC, 0)
        port = server.sockets[0].getsockname()[1]
        async with EgressClient(public_policy()) as client:
            task = asyncio.create_task(client.request(HttpRequest(method="GET", url=f"http://{PUBLIC}:{port}/")))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(5):
                await gone.wait()
        server.close()

    asyncio.run(scenario())


def test_internal_host_on_the_allow_list_is_reached_at_its_port_only() -> None:
    async def scenario() -> tuple[HttpAnswer, HttpAnswer]:
        async with serving(lambda *_: answer(200, b"inside"), "127.0.0.1") as port:
            policy = EgressPolicy(parse_allow_list(f"127.0.0.1:{port}"))
            async with serving(lambda *_: answer(200), "127.0.0.1") as other, EgressClient(policy) as client:
                return (
                    await client.request(HttpRequest(method="GET", url=f"http://127.0.0.1:{port}/")),
                    await client.request(HttpRequest(method="GET", url=f"http://127.0.0.1:{other}/")),
                )

    allowed, refused = asyncio.run(scenario())
    assert isinstance(allowed, HttpResponse)
    assert isinstance(refused, EgressForbidden)


@pytest.mark.parametrize("text", ["127.0.0.1", "host:", ":80", "host:0", "host:65536", "host:x", "*:80", "*.a.test:80"])
def test_allow_list_entry_that_is_not_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_allow_list(text)


def test_allow_list_reads_names_addresses_and_blanks() -> None:
    assert (("a.test", 80), ("::1", 8080)) == parse_allow_list(" A.test:80, [::1]:8080 ,")


def test_client_that_is_not_open_says_so() -> None:
    async def scenario() -> None:
        with pytest.raises(RuntimeError, match="not open"):
            await EgressClient(public_policy()).request(HttpRequest(method="GET", url=f"http://{PUBLIC}/"))

    asyncio.run(scenario())


def test_address_with_ipv6_zone_is_refused_by_the_table() -> None:
    import ipaddress

    assert EgressPolicy().address_fault(ipaddress.IPv6Address("2606:4700::1%eth0")) is not None
    assert EgressPolicy().address_fault(ipaddress.IPv6Address("2606:4700::1")) is None
    assert EgressPolicy().address_fault(ipaddress.IPv4Address("93.184.216.34")) is None
