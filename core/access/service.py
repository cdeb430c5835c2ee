"""Use cases of access: the first key of an empty store, and who a credential belongs to."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from core.access.api_key import NewKey, hash_key, key_prefix, mint_key
from core.access.permission import ADMINISTRATOR
from core.errors import CredentialMissing, StoreFull
from core.ports.access_store import AccessStore, KeyRow
from core.ports.clock import Clock, Dice, IdSource
from core.ports.scope import Principal, Scope
from pkg.single_flight import SingleFlight

DEFAULT_DOMAIN_ID = "default"
CACHE_S = 1.0  # how long a revoked key may still pass; 1 s is below what a person notices (security.md 1: at most 10 s)
CACHED_KEYS_MAX = 4_096  # callers at the same time; a scope is about 500 bytes
TOUCH_EVERY = timedelta(minutes=5)  # "last used" is for people; a write per request would cost more than the request
_REFUSAL = "give a valid API key as `Authorization: Bearer flow_...`"
# Stands in for the hash of a row that does not exist, so that an unknown prefix costs the same comparison (S-15).
_NO_HASH = bytes(32)


class _Known(msgspec.Struct, frozen=True):
    """A credential that passed, until when on the monotonic clock; an expiry earlier than that is already in it."""

    scope: Scope
    until: float


class AccessService:
    """API keys. Keeps what passed for `CACHE_S`, by the digest of the key, never by the key."""

    def __init__(self, store: AccessStore, clock: Clock, ids: IdSource, dice: Dice) -> None:
        """Take the ports; nothing is read before the first use."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._dice = dice
        self._pepper: bytes | None = None
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._look_ups: SingleFlight[bytes, Scope] = SingleFlight()

    async def create_first_key(self) -> NewKey | None:
        """On a store without any key make the business domain `default` and an administrator's key for it.

        Returns:
            The key, which is stored as its hash and can never be read again; None when a key exists.
        """
        new = mint_key(self._dice)
        row = await self._row(new, DEFAULT_DOMAIN_ID, "administrator", (ADMINISTRATOR,))
        is_first = await self._store.create_first_key(DEFAULT_DOMAIN_ID, "Default", row)
        return new if is_first else None

    async def add_key(self, domain_id: str, name: str, roles: Sequence[str]) -> NewKey:
        """Make another key; its text can never be read again."""
        new = mint_key(self._dice)
        await self._store.add_key(await self._row(new, domain_id, name, tuple(roles)))
        return new

    async def authenticate(self, credential: str) -> Scope:
        """Say whose key this is.

        Raises:
            CredentialMissing: not a key, not known, expired or revoked; the answer never says which.
            StoreUnavailable: nobody can say.
        """
        # A digest first: the cache is searched by equality, which must not depend on how much of a key is right.
        digest = hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None and self._clock.monotonic() < known.until:
            return known.scope
        return await self._look_ups.call(digest, lambda: self._look_up(credential, digest))

    def recall(self, credential: bytes) -> Scope | None:
        """Give the scope of a credential that passed within `CACHE_S`, without waiting; None = ask `authenticate`."""
        known = self._known.get(hashlib.sha256(credential).digest())
        return known.scope if known is not None and self._clock.monotonic() < known.until else None

    def has_passed(self, credential: bytes) -> bool:
        """Say whether this credential passed lately and was not refused since, at whatever time that was."""
        return hashlib.sha256(credential).digest() in self._known

    async def _look_up(self, credential: str, digest: bytes) -> Scope:
        asked_at = self._clock.monotonic()
        prefix = key_prefix(credential)
        if prefix is None:
            raise CredentialMissing(_REFUSAL)
        pepper = await self._get_pepper()
        rows = await self._store.find_keys(prefix)
        row = _matching(rows, hash_key(credential, pepper))
        now = self._clock.now()
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            self._known.pop(digest, None)
            raise CredentialMissing(_REFUSAL)
        until = asked_at + CACHE_S
        if row.expires_at is not None:
            until = min(until, asked_at + (row.expires_at - now).total_seconds())
        if row.last_used_at is None or now - row.last_used_at >= TOUCH_EVERY:
            # A full disk must not lock people out: the note is for people, nothing depends on it.
            with contextlib.suppress(StoreFull):
                await self._store.touch_key(row.id, now)
        scope = Scope(row.domain_id, Principal(id=row.id, kind="key", name=row.name, roles=row.roles))
        self._known[digest] = _Known(scope, until)
        self._known.move_to_end(digest)
        if len(self._known) > CACHED_KEYS_MAX:
            self._known.popitem(last=False)
        return scope

    async def _get_pepper(self) -> bytes:
        if self._pepper is None:
            self._pepper = await self._store.pepper()
        return self._pepper

    async def _row(self, new: NewKey, domain_id: str, name: str, roles: tuple[str, ...]) -> KeyRow:
        return KeyRow(
            id=self._ids.new_id(),
            domain_id=domain_id,
            prefix=new.prefix,
            hash=hash_key(new.text, await self._get_pepper()),
            name=name,
            roles=roles,
            created_at=self._clock.now(),
            expires_at=None,
            revoked_at=None,
            last_used_at=None,
        )


def _matching(rows: Sequence[KeyRow], wanted: bytes) -> KeyRow | None:
    """Compare with every row, and with one when there is none: the time says nothing about prefix or hash (S-15)."""
    found = None
    for row in rows:
        if hmac.compare_digest(row.hash, wanted):
            found = row
    if not rows:
        hmac.compare_digest(_NO_HASH, wanted)
    return found
