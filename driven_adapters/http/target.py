"""From the text of a URL to the one place that it names, or the reason why it names none."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache

import httpx2
import msgspec

from core.ports.http_client import EgressForbidden, RequestMalformed

URL_CHARS_MAX = 8192  # what servers commonly accept as a request line
TARGET_COUNT_MAX = 512  # URLs kept parsed: a map calls few of them often
HOST_CHARS_MAX = 253  # RFC 1035, without the trailing dot
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Blanks and controls split requests; a backslash is read as a slash by some readers and as part of the host by others.
_SUSPECT = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://([^/?#]*))?")
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\Z")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\Z")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request goes. `address` is the address in `host` when it names one; `path` is the request target."""

    scheme: str
    host: str
    port: int
    path: bytes
    url: str
    address: str | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials are bound to."""
        return self.scheme, self.host, self.port


@lru_cache(maxsize=TARGET_COUNT_MAX)
def parse_target(url: str) -> Target | RequestMalformed | EgressForbidden:
    """Read an absolute http(s) URL strictly: what two readers could read in two ways is refused.

    IPv4 addresses in every spelling that a resolver would take (`127.1`, `0x7f000001`, `2130706433`) become the
    address that they mean. Names become lower-case ASCII (IDNA), without trailing dot.
    """
    if len(url) > URL_CHARS_MAX:
        return RequestMalformed(f"the URL is longer than {URL_CHARS_MAX} characters")
    if _SUSPECT.search(url):
        return RequestMalformed("the URL has a blank, a control character or a backslash in it")
    start = _AUTHORITY.match(url)
    if start is None:
        return RequestMalformed("the URL is not absolute")
    if start[1].lower() not in _DEFAULT_PORTS:
        return EgressForbidden(f"scheme {start[1]!r} is not http or https")
    if not start[2]:
        return RequestMalformed("the URL has no host")
    if "@" in start[2]:
        return EgressForbidden("the URL has user information; credentials belong into headers")
    return _parse_host(url)


def _parse_host(url: str) -> Target | RequestMalformed | EgressForbidden:
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
        address = _literal(host)
    except (httpx2.InvalidURL, ValueError, OSError):  # OSError: it ends in a number and is no IPv4 address
        return RequestMalformed("the URL cannot be read")
    if "%" in host:
        return EgressForbidden("the host has a scope in it")
    name = str(address) if address is not None else host.removesuffix(".")
    if address is None and not (_HOST.match(name) and len(name) <= HOST_CHARS_MAX):
        return RequestMalformed("the host is not a name")
    port = parsed.port if parsed.port is not None else _DEFAULT_PORTS[parsed.scheme]
    if not 0 < port < 2**16:
        return RequestMalformed(f"port {port} is not one")
    bare = url.partition("#")[0]  # a fragment stays at home
    return Target(
        scheme=parsed.scheme,
        host=name,
        port=port,
        path=parsed.raw_path,
        url=bare,
        address=str(address) if address is not None else None,
    )


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if ":" in host:
        return ipaddress.IPv6Address(host)
    labels = host.removesuffix(".").split(".")
    if not _NUMERIC_LABEL.match(labels[-1]):
        return None
    return ipaddress.IPv4Address(socket.inet_aton(".".join(labels)))
