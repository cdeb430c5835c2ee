"""Which addresses and ports an outgoing request may reach: an own table, the same on every Python and host."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DENIED_V4 = (
    ("0.0.0.0/8", "this host"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT, and a cloud's metadata at 100.100.100.200"),
    ("127.0.0.0/8", "loopback"),
    ("168.63.129.16/32", "a cloud's metadata"),
    ("169.254.0.0/16", "link-local, and clouds' metadata"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved, and broadcast"),
)
# Of IPv6 only 2000::/3 is given out for use at all. What lies outside of it (unspecified, loopback, mapped, compatible,
# NAT64, discard, segment routing, unique local, link-local, site-local, multicast) is named for the message alone.
DENIED_V6 = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("2001::/32", "Teredo"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local, and clouds' metadata"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("::/3", "outside global unicast"),
    ("4000::/2", "outside global unicast"),
    ("8000::/1", "outside global unicast"),
)
DENIED_NETWORKS: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(text), why) for text, why in (*DENIED_V4, *DENIED_V6)
)

WEB_PORTS = frozenset((80, 443))
PRIVILEGED_PORT_MAX = 1023  # below stand the services of the host itself (22 SSH, 25 SMTP ...)
# Databases, brokers and control planes, which read commands from a request that was meant for the web.
DENIED_PORTS = frozenset(
    (
        *(1433, 1521, 3306, 5432, 7000, 7001, 9042, 9160),  # databases with tables
        *(5984, 6379, 6380, 11211, 26379, 27017, 27018, 27019, 28017),  # key-value and document stores
        *(4222, 5672, 9092),  # brokers
        *(2181, 2375, 2376, 2379, 2380, 6443, 10250, 10255, 10256, 50070),  # control planes
        *(2049, 3389, 5900, 6000),  # files and screens
    )
)


class EgressPolicy:
    """What may be reached. Knows no names but those of the allow list; pure."""

    def __init__(
        self,
        allowed: Iterable[tuple[str, int]] = (),
        denied: Iterable[tuple[Network, str]] = DENIED_NETWORKS,
    ) -> None:
        """Take the allow list and the table.

        Args:
            allowed: lower-case host and port of internal services; at these every address and port is fine.
            denied: networks with the word for the message; the first that holds an address names it.
        """
        self._allowed = frozenset(allowed)
        self._denied = tuple(denied)

    def is_allowed(self, host: str, port: int) -> bool:
        """Tell whether this host and port stand on the allow list."""
        return (host, port) in self._allowed

    def port_fault(self, host: str, port: int) -> str | None:
        """Say why this port is refused; None when it is not."""
        if port in WEB_PORTS or self.is_allowed(host, port):
            return None
        if port <= PRIVILEGED_PORT_MAX or port in DENIED_PORTS:
            return f"port {port} is not one of web services"
        return None

    def address_fault(self, address: Address) -> str | None:
        """Say why this address is refused; None when it is not."""
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            return f"{address} has a scope"
        why = next((why for network, why in self._denied if address in network), None)
        return None if why is None else f"{address} is not a public address ({why})"


def parse_allow_list(text: str) -> tuple[tuple[str, int], ...]:
    """Read `host:port, host:port` (the setting `FLOW_EGRESS_ALLOW`); IPv6 addresses stand in brackets.

    Raises:
        ValueError: an entry is not host:port; the message names it.
    """
    return tuple(_allow_entry(entry.strip()) for entry in text.split(",") if entry.strip())


def _allow_entry(entry: str) -> tuple[str, int]:
    host, _, port = entry.rpartition(":")
    host = host.removeprefix("[").removesuffix("]").lower()
    if not host or "*" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise ValueError(f"{entry!r} is not host:port")
    return host, int(port)
