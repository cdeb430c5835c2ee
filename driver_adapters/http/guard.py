"""The guard of every route that is not public: who calls is known before a handler runs."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import BaseRoute

from core.access.service import AccessService
from core.errors import CredentialMissing
from core.ports.scope import Scope
from driver_adapters.http.exchange import SCOPE_KEY, single_header
from driver_adapters.http.faults import HeaderInvalid
from driver_adapters.http.rates import RateGate

_BEARER = b"bearer "
CREDENTIAL_BYTES_MAX = 512  # ten times the length of a key


class Unguarded(Exception):
    """The process does not start: a route is neither public nor guarded (S-01)."""


class KeyGuard:
    """Lets a request pass when it carries a valid API key; runs after routing, so no path can change it."""

    def __init__(self, access: AccessService, gate: RateGate) -> None:
        """Take who knows the keys, and who counts those that are none."""
        self._access = access
        self._gate = gate

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        """Put tenant and principal into the ASGI scope.

        Raises:
            CredentialMissing: no key, two, or none that is valid.
            HeaderInvalid: two Authorization headers.
            RateLimited: too many of either came from this address.
        """
        asgi: Any = connection.scope
        try:
            credential = _credential(asgi)
            asgi[SCOPE_KEY] = self._access.recall(credential) or await self._look_up(asgi, credential)
        except (CredentialMissing, HeaderInvalid):
            await self._gate.deny(asgi)
            raise

    async def _look_up(self, asgi: Any, credential: bytes) -> Scope:
        # Neighbours behind one address must not lock out whose key was good a moment ago.
        if not self._access.has_passed(credential):
            await self._gate.expect(asgi)
        return await self._access.authenticate(credential.decode("latin-1"))


def _credential(asgi: Any) -> bytes:
    given = single_header(asgi, b"authorization")
    if given is None or given[: len(_BEARER)].lower() != _BEARER or len(given) > CREDENTIAL_BYTES_MAX:
        raise CredentialMissing("give an API key as `Authorization: Bearer flow_...`")
    return given[len(_BEARER) :].strip()


def route_handlers(app: Litestar) -> list[tuple[BaseRoute, BaseRouteHandler]]:
    """Walk the route table: every handler of every route."""
    found: list[tuple[BaseRoute, BaseRouteHandler]] = []
    for route in app.routes:
        handlers = getattr(route, "route_handlers", None) or [route.route_handler]  # type: ignore[union-attr] # an HTTP route has many, others one
        found.extend((route, handler) for handler in handlers)
    return found


def check_guards(app: Litestar, public: frozenset[object]) -> None:
    """Refuse an application in which a route is neither guarded by `KeyGuard` nor in the frozen set of public handlers.

    Raises:
        Unguarded: names every such path.
    """
    open_paths = [
        route.path
        for route, handler in route_handlers(app)
        if not any(isinstance(guard, KeyGuard) for guard in handler.resolve_guards()) and handler.fn not in public
    ]
    if open_paths:
        raise Unguarded(f"neither public nor guarded: {', '.join(sorted(open_paths))}")
