"""TLS of the egress client: names are verified, always."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from core.ports.http_client import EgressForbidden, EgressUnavailable, HttpAnswer, HttpRequest, HttpResponse
from driven_adapters.http import EgressClient
from tests.unit.egress.servers import PUBLIC, FixedResolver, Handler, answer, public_policy, serving

# Key and certificate of `secure.test`, signed by itself, for these tests only.
PEM = Path(__file__).parent / "secure_test.pem"


def get_over_tls(
    host: str, *, is_trusted: bool, handler: Handler = lambda *_: answer(200, b"sealed"), count: int = 1
) -> HttpAnswer:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(PEM)
    client_context = ssl.create_default_context(cafile=str(PEM)) if is_trusted else None

    async def scenario() -> HttpAnswer:
        resolver = FixedResolver({host: [[PUBLIC]], "plain.test": [[PUBLIC]]})
        async with (
            serving(handler, ssl=server_context) as port,
            EgressClient(public_policy(), resolver, client_context) as client,
        ):
            for _ in range(count):
                given = await client.request(HttpRequest(method="GET", url=f"https://{host}:{port}/", timeout_s=20.0))
            return given

    return asyncio.run(scenario())


def test_server_with_a_trusted_certificate_of_its_name_is_reached_again_and_again() -> None:
    given = get_over_tls("secure.test", is_trusted=True, count=3)
    assert isinstance(given, HttpResponse)
    assert given.body == b"sealed"


def test_large_body_comes_back_whole_over_tls() -> None:
    given = get_over_tls("secure.test", is_trusted=True, handler=lambda *_: answer(200, b"x" * 3_000_000))
    assert isinstance(given, HttpResponse)
    assert len(given.body) == 3_000_000


def test_certificate_that_nobody_vouches_for_is_refused() -> None:
    assert isinstance(get_over_tls("secure.test", is_trusted=False), EgressUnavailable)


def test_certificate_of_another_name_is_refused() -> None:
    assert isinstance(get_over_tls("other.test", is_trusted=True), EgressUnavailable)


def test_redirect_from_https_to_http_is_forbidden() -> None:
    given = get_over_tls("secure.test", is_trusted=True, handler=lambda *_: answer(302, Location="http://plain.test/"))
    assert EgressForbidden("redirected from https to http") == given


def test_target_that_speaks_no_tls_is_unavailable() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(400))
        writer.close()

    async def scenario() -> HttpAnswer:
        server = await asyncio.start_server(refuse, PUBLIC, 0)
        url = f"https://secure.test:{server.sockets[0].getsockname()[1]}/"
        async with EgressClient(public_policy(), FixedResolver({"secure.test": [[PUBLIC]]})) as client:
            given = await client.request(HttpRequest(method="GET", url=url, timeout_s=20.0))
        server.close()
        return given

    assert isinstance(asyncio.run(scenario()), EgressUnavailable)
