"""Makes `orders.json` anew: `python -m mock_server.make_orders`. The same seed always gives the same file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from mock_server.app import ORDERS_FILE

SEED = 20_260
ORDER_COUNT = 3000
FIRST_AT = datetime(2026, 1, 1, tzinfo=UTC)

REGIONS = {"emea": "EUR", "dach": "EUR", "nordics": "SEK", "uk": "GBP", "na": "USD", "latam": "BRL", "apac": "JPY"}
REGIONS |= {"anz": "AUD"}
REGION_SHARES = (18, 22, 9, 13, 24, 4, 7, 3)
STATUSES = ("paid", "paid", "paid", "paid", "paid", "paid", "shipped", "shipped", "open", "cancelled")
FIRST_NAMES = [
    "Ada",
    "Bruno",
    "Chiara",
    "Deniz",
    "Elif",
    "Farid",
    "Greta",
    "Hana",
    "Ivo",
    "Jana",
    "Kofi",
    "Lena",
    "Mira",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Sven",
]
LAST_NAMES = [
    "Abe",
    "Berg",
    "Costa",
    "Diaz",
    "Evans",
    "Fischer",
    "Gallo",
    "Haas",
    "Ito",
    "Jensen",
    "Kaya",
    "Lund",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
]
PRODUCTS = {
    "paper-a4": 549,
    "pen-blue": 180,
    "desk-lamp": 3990,
    "chair-basic": 12_900,
    "monitor-27": 21_995,
    "cable-usb-c": 899,
    "notebook": 325,
    "headset": 7450,
    "dock": 14_900,
    "whiteboard": 8999,
}


class Draws:
    """A row of numbers that only depends on its seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed.to_bytes(8, "big")
        self._count = 0

    def below(self, bound: int) -> int:
        """Draw 0..bound-1."""
        self._count += 1
        digest = blake2b(self._count.to_bytes(8, "big"), key=self._seed, digest_size=8).digest()
        return int.from_bytes(digest, "big") % bound

    def one_of(self, values: Any) -> Any:
        """Draw one of several values."""
        return values[self.below(len(values))]


def make_order(number: int, draws: Draws) -> dict[str, Any]:
    """Give one order; amounts are in units with two decimals."""
    spread = [name for name, share in zip(REGIONS, REGION_SHARES, strict=True) for _ in range(share)]
    region = draws.one_of(spread)
    lines = []
    for _ in range(1 + draws.below(3)):
        sku = draws.one_of(sorted(PRODUCTS))
        lines.append({"sku": sku, "quantity": 1 + draws.below(5), "price": PRODUCTS[sku] / 100})
    total_cents = sum(line["quantity"] * round(line["price"] * 100) for line in lines)
    return {
        "id": f"O-{100_000 + number}",
        "region": region,
        "customer": f"{draws.one_of(FIRST_NAMES)} {draws.one_of(LAST_NAMES)}",
        "status": draws.one_of(STATUSES),
        "currency": REGIONS[region],
        "ordered_at": (FIRST_AT + timedelta(minutes=131 * number + draws.below(120))).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lines": lines,
        "total": total_cents / 100,
    }


def make_orders(seed: int = SEED, count: int = ORDER_COUNT) -> bytes:
    """Give the file: a JSON list, one order a line."""
    draws = Draws(seed)
    orders = [msgspec.json.encode(make_order(number, draws)) for number in range(count)]
    return b"[\n" + b",\n".join(orders) + b"\n]\n"


if __name__ == "__main__":
    ORDERS_FILE.write_bytes(make_orders())
