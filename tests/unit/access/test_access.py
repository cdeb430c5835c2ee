"""API keys, principals and permissions."""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random  # noqa: TID251 - a test draws its cases

import msgspec
import pytest

from core.access import service as access_module
from core.access.api_key import hash_key, key_prefix, mint_key
from core.access.permission import ADMINISTRATOR, ROLES, require
from core.access.service import CACHE_S, CACHED_KEYS_MAX, TOUCH_EVERY, AccessService
from core.errors import CredentialMissing, NotAllowed, StoreFull
from core.ports.access_store import KeyRow
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryAccessStore, MemoryStore

PEPPER = bytes(range(32))


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 3, 1, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.wall + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep_until(self, monotonic_at: float) -> None:
        self.seconds = monotonic_at


class CountingIds:
    def __init__(self) -> None:
        self.count = 0

    def new_id(self) -> str:
        self.count += 1
        return f"{self.count:026d}"


class ScriptedDice:
    """Gives every byte value in turn, so that bytes beyond the fair ones come up, too."""

    def __init__(self, start: int = 0) -> None:
        self.at = start

    def seed(self) -> bytes:
        made = bytes((self.at + step) % 256 for step in range(16))
        self.at += 16
        return made


class Keys:
    """A store of keys that notes what was asked, and can be full."""

    def __init__(self) -> None:
        self.rows: list[KeyRow] = []
        self.asked: list[str] = []
        self.touched: list[str] = []
        self.is_full = False
        self.answers: Iterator[KeyRow] | None = None

    async def create_first_key(self, domain_id: str, domain_name: str, key: KeyRow) -> bool:
        del domain_id, domain_name
        if self.rows:
            return False
        self.rows.append(key)
        return True

    async def add_key(self, key: KeyRow) -> None:
        self.rows.append(key)

    async def find_keys(self, prefix: str) -> Sequence[KeyRow]:
        self.asked.append(prefix)
        if self.answers is not None:
            return [next(self.answers)]
        return [row for row in self.rows if row.prefix == prefix]

    async def touch_key(self, key_id: str, at: datetime) -> None:
        if self.is_full:
            raise StoreFull("no space")
        self.touched.append(key_id)
        self.rows = [msgspec.structs.replace(row, last_used_at=at) if row.id == key_id else row for row in self.rows]

    async def pepper(self) -> bytes:
        return PEPPER

    def change(self, change: Callable[[KeyRow], KeyRow]) -> None:
        self.rows = [change(row) for row in self.rows]


def _made() -> tuple[AccessService, Keys, HandClock]:
    store, clock = Keys(), HandClock()
    return AccessService(store, clock, CountingIds(), ScriptedDice()), store, clock


def _first_key(access: AccessService) -> str:
    key = asyncio.run(access.create_first_key())
    assert key is not None
    return key.text


def test_key_has_the_published_form_and_its_own_prefix() -> None:
    key = mint_key(ScriptedDice(240))
    assert key_prefix(key.text) == key.prefix
    assert ["flow", 8, 32] == [key.text.split("_")[0], len(key.text.split("_")[1]), len(key.text.split("_")[2])]
    assert key.text not in repr(key)


class SeededDice:
    """Bytes that look like chance and are the same in every run."""

    def __init__(self) -> None:
        self._source = Random(7)

    def seed(self) -> bytes:
        return self._source.randbytes(16)


def test_symbols_of_keys_come_up_equally_often() -> None:
    dice = SeededDice()
    counts = Counter(
        symbol for _ in range(5_000) for symbol in mint_key(dice).text.replace("flow_", "").replace("_", "")
    )
    expected = 5_000 * 40 / 62
    assert 62 == len(counts)
    # Six standard deviations; taking every byte modulo 62 would put eight symbols 21 % above the rest.
    assert 0.11 * expected > max(abs(count - expected) for count in counts.values())


@pytest.mark.parametrize(
    "text",
    ["", "flow_", "flow_AAAAAAAA", "flow_AAAAAAAA_" + "a" * 31, "flow_AAAAAAAA_" + "a" * 33, "Flow_AAAAAAAA_" + "a" * 32,
     "flow_AAAAAAA-_" + "a" * 32, "flow_AAAAAAAA_" + "a" * 31 + "\n", " flow_AAAAAAAA_" + "a" * 32,
     "flow_AAAAAAAA_" + "\u0661" * 32],
)  # fmt: skip
def test_text_that_is_no_key_has_no_prefix(text: str) -> None:
    assert key_prefix(text) is None


def test_hash_depends_on_every_symbol_and_on_the_pepper() -> None:
    text = mint_key(ScriptedDice()).text
    hashes = {hash_key(text, PEPPER), hash_key(text, bytes(32)), hash_key(text[:-1] + "x", PEPPER)}
    assert 3 == len(hashes)
    assert all(32 == len(made) for made in hashes)


def test_first_key_is_made_once_and_stored_as_its_hash() -> None:
    access, store, _ = _made()
    text = _first_key(access)
    assert asyncio.run(access.create_first_key()) is None
    row = store.rows[0]
    assert (hash_key(text, PEPPER), "default", (ADMINISTRATOR,)) == (row.hash, row.domain_id, row.roles)
    assert text.rpartition("_")[2] not in repr(store.rows)


def test_key_gives_tenant_and_principal() -> None:
    access, store, _ = _made()
    scope = asyncio.run(access.authenticate(_first_key(access)))
    assert Scope("default", Principal(store.rows[0].id, "key", "administrator", (ADMINISTRATOR,))) == scope


def test_wrong_secret_and_unknown_prefix_are_refused_alike() -> None:
    access, _, _ = _made()
    text = _first_key(access)
    said = set()
    for wrong in (text[:-1] + ("a" if text[-1] != "a" else "b"), "flow_zzzzzzzz_" + "a" * 32, "nonsense"):
        with pytest.raises(CredentialMissing) as caught:
            asyncio.run(access.authenticate(wrong))
        said.add(caught.value.detail)
    assert 1 == len(said)


def test_unknown_prefix_costs_the_same_hash_and_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    access, _, _ = _made()
    text = _first_key(access)
    compared: list[int] = []
    real = hmac.compare_digest

    class Counted:
        """The module's hmac, with its comparisons counted."""

        @staticmethod
        def compare_digest(left: bytes, right: bytes) -> bool:
            compared.append(len(left) + len(right))
            return real(left, right)

    monkeypatch.setattr(access_module, "hmac", Counted)
    for wrong in (text[:-1] + "_", "flow_zzzzzzzz_" + "a" * 32, text[:14] + "b" * 32):
        with pytest.raises(CredentialMissing):
            asyncio.run(access.authenticate(wrong))
    assert [64, 64] == compared  # the first one has not the form of a key


def test_key_that_passed_is_not_looked_up_again_within_a_second() -> None:
    access, store, clock = _made()
    text = _first_key(access)
    scope = asyncio.run(access.authenticate(text))
    clock.seconds += CACHE_S / 2
    assert scope == asyncio.run(access.authenticate(text)) == access.recall(text.encode())
    assert 1 == len(store.asked)
    clock.seconds += CACHE_S / 2
    assert access.recall(text.encode()) is None
    asyncio.run(access.authenticate(text))
    assert 2 == len(store.asked)


def test_requests_with_one_key_at_one_time_share_one_look_up() -> None:
    access, store, _ = _made()
    text = _first_key(access)

    async def together() -> list[Scope]:
        return list(await asyncio.gather(*(access.authenticate(text) for _ in range(50))))

    assert 1 == len(set(map(repr, asyncio.run(together()))))
    assert (1, 1) == (len(store.asked), len(store.touched))


@pytest.mark.parametrize("field", ["revoked_at", "expires_at"])
def test_revoked_or_expired_key_is_refused_after_at_most_a_second(field: str) -> None:
    access, store, clock = _made()
    text = _first_key(access)
    asyncio.run(access.authenticate(text))
    store.change(lambda row: msgspec.structs.replace(row, **{field: clock.now()}))
    clock.seconds += CACHE_S
    assert access.has_passed(text.encode())
    with pytest.raises(CredentialMissing):
        asyncio.run(access.authenticate(text))
    assert not access.has_passed(text.encode())


def test_key_that_expires_within_the_second_is_not_remembered_longer() -> None:
    access, store, clock = _made()
    text = _first_key(access)
    store.change(lambda row: msgspec.structs.replace(row, expires_at=clock.now() + timedelta(seconds=0.25)))
    asyncio.run(access.authenticate(text))
    clock.seconds += 0.25
    assert access.recall(text.encode()) is None


def test_use_is_noted_every_five_minutes_and_a_full_store_locks_nobody_out() -> None:
    access, store, clock = _made()
    text = _first_key(access)
    asyncio.run(access.authenticate(text))
    clock.seconds += CACHE_S
    asyncio.run(access.authenticate(text))
    assert 1 == len(store.touched)
    clock.seconds += TOUCH_EVERY.total_seconds()
    store.is_full = True
    asyncio.run(access.authenticate(text))
    assert 1 == len(store.touched)


def test_remembered_keys_are_bounded() -> None:
    access, store, clock = _made()
    text = _first_key(access)
    row = store.rows[0]
    texts = [f"flow_{row.prefix}_{number:032d}" for number in range(CACHED_KEYS_MAX)]
    store.rows += [msgspec.structs.replace(row, id=made, hash=hash_key(made, PEPPER)) for made in texts]
    store.answers = iter(list(store.rows))  # a search in 4 096 rows, as often, would take this test seconds

    async def authenticate_all() -> None:
        for made in (text, *texts):
            await access.authenticate(made)

    asyncio.run(authenticate_all())
    assert access.recall(text.encode()) is None
    assert access.recall(texts[-1].encode()) is not None
    assert clock.seconds == 0.0


def test_key_of_the_memory_store_passes() -> None:
    clock = HandClock()
    access = AccessService(MemoryAccessStore(MemoryStore(clock)), clock, CountingIds(), ScriptedDice())
    key = asyncio.run(access.add_key("tenant", "robot", ["viewer"]))
    scope = asyncio.run(access.authenticate(key.text))
    assert ("tenant", "robot", ("viewer",)) == (scope.domain_id, scope.principal.name, scope.principal.roles)


PERMISSIONS = {
    "administrator": {
        "dag:list", "dag:view", "dag:create", "dag:run", "instance:list", "instance:view", "instance:modify",
        "file:list", "file:view", "file:create", "file:delete",
    },
    "runner": {
        "dag:list", "dag:view", "dag:run", "instance:list", "instance:view", "file:list", "file:view", "file:create",
    },
    "viewer": {"dag:list", "dag:view", "instance:list", "instance:view", "file:list", "file:view"},
    "nobody": set(),
}  # fmt: skip


@pytest.mark.parametrize("role", PERMISSIONS)
def test_role_holds_exactly_its_permissions(role: str) -> None:
    scope = Scope("d", Principal("p", "key", "n", (role,)))
    for permission in sorted(PERMISSIONS["administrator"]):
        resource, _, operation = permission.partition(":")
        if permission in PERMISSIONS[role]:
            require(scope, resource, operation)  # type: ignore[arg-type] # from a table of the same words
        else:
            with pytest.raises(NotAllowed, match=permission):
                require(scope, resource, operation)  # type: ignore[arg-type] # as above


def test_roles_add_up_and_no_role_holds_nothing() -> None:
    require(Scope("d", Principal("p", "key", "n", ("nobody", "viewer"))), "dag", "view")
    with pytest.raises(NotAllowed, match="none"):
        require(Scope("d", Principal("p", "key", "n")), "dag", "view")
    assert {"administrator", "viewer", "runner", "approver"} == ROLES
