"""What the work of a pure operator costs (architecture.md 4): the same prices as in expressions."""

from __future__ import annotations

from core.expression import Fuel

BYTES_PER_FUEL = 64


def burn_bytes(fuel: Fuel, size_bytes: int) -> None:
    """Burn for text that is scanned or built: 1 per begun 64 bytes.

    Raises:
        core.expression.ExpressionFailed: kind `limit`; nothing is left.
    """
    fuel.burn(size_bytes // BYTES_PER_FUEL + 1)
