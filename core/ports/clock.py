"""Time, identity and chance: the only sources of non-determinism that the core may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime


@runtime_checkable
class Clock(Protocol):
    """Wall time for records, monotonic time for durations inside one process."""

    def now(self) -> datetime:
        """Give the wall time, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds of a clock that never goes back; only differences mean something."""
        ...

    async def sleep_until(self, monotonic_at: float) -> None:
        """Return when `monotonic()` has reached `monotonic_at`; at once when it has already."""
        ...


@runtime_checkable
class IdSource(Protocol):
    """New identities."""

    def new_id(self) -> str:
        """Give a ULID (26 characters), unique, ascending within one process."""
        ...


@runtime_checkable
class Dice(Protocol):
    """Chance."""

    def seed(self) -> bytes:
        """Give 16 unpredictable bytes: the seed of one decision."""
        ...
