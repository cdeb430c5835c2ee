"""Readiness: every resource is asked for a sign of life with a bound, and what fails is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from core.errors import FlowError
from core.ports.clock import Clock

PING_S = 2.0  # a resource that takes longer is not ready (operations.md, health)
# Everybody may ask, without a key: so often the resources are asked at most.
AGAIN_S = 1.0
OK = "ok"

Check = Callable[[], Awaitable[object]]
"""Asks one resource; any answer is a sign of life."""

_logger = structlog.get_logger(__name__)


class Readiness:
    """Asks all checks at once. Callers that come together get one answer, which holds for AGAIN_S."""

    def __init__(self, checks: Mapping[str, Check], clock: Clock, *, ping_s: float = PING_S) -> None:
        """Take the checks by the names of their resources."""
        self._checks = dict(checks)
        self._clock = clock
        self._ping_s = ping_s
        self._lock = asyncio.Lock()
        self._said: Mapping[str, str] = {}
        self._holds_until = clock.monotonic()

    async def ask(self) -> Mapping[str, str]:
        """Give `ok` or what is wrong by the resource's name; answers within `ping_s` and a little."""
        async with self._lock:
            if not self._said or self._clock.monotonic() >= self._holds_until:
                names = list(self._checks)
                said = await asyncio.gather(*(self._ask(name) for name in names))
                self._said = dict(zip(names, said, strict=True))
                self._holds_until = self._clock.monotonic() + AGAIN_S
            return self._said

    async def _ask(self, name: str) -> str:
        try:
            async with asyncio.timeout(self._ping_s):
                await self._checks[name]()
        except TimeoutError:
            return f"no answer within {self._ping_s:g} s"
        except FlowError as error:
            # The title, which is constant: the detail is for the log, not for whoever has no key.
            _logger.warning("resource is not ready", resource=name, detail=error.detail)
            return error.title
        except Exception as surprise:
            _logger.exception("resource cannot be asked")
            return f"asking raised {type(surprise).__name__}"
        return OK
