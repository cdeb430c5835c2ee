"""Requests with an idempotency key: what was answered is answered again (reliability.md R19)."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from core.errors import IdempotencyKeyReused
from core.ports.clock import Clock
from core.ports.key_store import KeptAnswer, KeyStore, NewAnswer
from core.ports.scope import Scope

ANSWER_KEPT_S = 86_400  # http-api.md: an answer is kept for 24 h


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request that names a key: `route` is the operation's name, `req_hash` covers all that the answer depends on."""

    route: str
    key: str
    req_hash: str


class KeptAnswers:
    """Answers under keys, each of one tenant, principal and route."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        """Take where the answers lie."""
        self._store = store
        self._clock = clock

    async def recall(self, scope: Scope, request: KeyedRequest) -> KeptAnswer | None:
        """Give what this request was answered before, None when it is the first one.

        Raises:
            IdempotencyKeyReused: the key belongs to another request.
        """
        kept = await self._store.find_answer(scope, request.route, request.key, now=self._clock.now())
        return None if kept is None else self.same(request, kept)

    def same(self, request: KeyedRequest, kept: KeptAnswer) -> KeptAnswer:
        """Give the answer back when it is this request's.

        Raises:
            IdempotencyKeyReused: it is another one's.
        """
        if kept.req_hash != request.req_hash:
            raise IdempotencyKeyReused("the key was sent before with another body or query")
        return kept

    def new(self, request: KeyedRequest, status: int, response: bytes) -> NewAnswer:
        """Give an answer as the store keeps it from now on."""
        now = self._clock.now()
        return NewAnswer(
            route=request.route,
            key=request.key,
            req_hash=request.req_hash,
            status=status,
            response=response,
            at=now,
            expires_at=now + timedelta(seconds=ANSWER_KEPT_S),
        )
