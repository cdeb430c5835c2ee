"""The audit's chain: what is wrong with it is found and named, and the sealer comes when something was done (R35)."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.engine.audit_chain import check, check_end, first_hash, hash_after, seals
from core.engine.audit_sealing import GATHER_S, PORTION_ROWS, RETRY_S, AuditSealer
from core.errors import StoreBroken, StoreUnavailable
from core.ports.audit_log import AuditRow, ChainHead, Seal, SealedAct, Unsealed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


async def until(is_so: Callable[[], bool]) -> None:
    """Let others run, so often at most."""
    for _ in range(200):
        if is_so():
            return
        await asyncio.sleep(0)


def row_of(one: SealedAct) -> AuditRow:
    assert one.row is not None
    return one.row


def chain(count: int = 4) -> list[SealedAct]:
    rows = [
        AuditRow(10 * number, 3, NOON + timedelta(seconds=number), b"{%d}" % number) for number in range(1, count + 1)
    ]
    first = seals("d", None, rows[:2])
    head = ChainHead(2, first[-1].n, first[-1].hash)
    return list(map(SealedAct, [*first, *seals("d", head, rows[2:])], rows))


def kinds(page: Sequence[SealedAct], before: SealedAct | None = None) -> list[tuple[str, int]]:
    return [(one.kind, one.n) for one in check("d", before, page)]


def test_r35_whole_chain_is_sound_from_any_place_on() -> None:
    acts = chain()
    assert ([], []) == (kinds(acts), kinds(acts[2:], acts[1]))


def test_r35_chain_of_another_domain_is_another_one() -> None:
    assert "chain" == check("other", None, chain()[:1])[0].kind


@pytest.mark.parametrize(
    "change", [{"body": b"{}"}, {"at": NOON}, {"shard": 4}],
)  # fmt: skip
def test_r35_changed_act_is_found(change: dict[str, object]) -> None:
    acts = chain()
    acts[1] = SealedAct(acts[1].seal, msgspec.structs.replace(row_of(acts[1]), **change))
    assert [("changed", 20)] == kinds(acts)


def test_r35_removed_act_is_found_with_and_without_its_seal() -> None:
    acts = chain()
    assert [("removed", 20)] == kinds([acts[0], SealedAct(acts[1].seal, None), *acts[2:]])
    assert [("removed", 0)] == kinds([acts[0], *acts[2:]])


def test_r35_acts_that_changed_places_are_found() -> None:
    acts = chain()
    second = msgspec.structs.replace(row_of(acts[2]), n=20)
    third = msgspec.structs.replace(row_of(acts[1]), n=30)
    moved = [acts[0], SealedAct(acts[1].seal, second), SealedAct(acts[2].seal, third), acts[3]]
    assert [("reordered", 20), ("reordered", 30)] == kinds(moved)


def test_r35_seal_that_was_made_anew_breaks_the_chain_behind_it() -> None:
    acts = chain()
    row = msgspec.structs.replace(row_of(acts[1]), body=b"{}")
    forged = seals("d", ChainHead(1, 10, acts[0].seal.hash), [row])
    assert [("chain", 30)] == kinds([acts[0], SealedAct(forged[0], row), *acts[2:]])


def test_r35_seal_of_another_act_is_found() -> None:
    acts = chain()
    seal = msgspec.structs.replace(acts[3].seal, n=50)
    assert [("chain", 50)] == kinds([*acts[:3], SealedAct(seal, acts[3].row)])


def test_r35_end_of_the_chain_is_held_against_its_note() -> None:
    acts = chain()
    head = ChainHead(4, 40, acts[-1].seal.hash)
    assert ([], []) == (check_end(head, acts[-1]), check_end(None, None))
    assert ["removed"] == [one.kind for one in check_end(head, acts[2])]
    assert ["removed"] == [one.kind for one in check_end(head, None)]
    assert ["chain"] == [one.kind for one in check_end(None, acts[0])]
    assert ["chain"] == [one.kind for one in check_end(ChainHead(4, 40, b"other"), acts[-1])]


def test_r35_hash_of_a_seal_covers_place_number_and_all_before_it() -> None:
    hashes = [
        hash_after(before, position, n, b"x")
        for before in (first_hash("d"), b"")
        for position in (1, 2)
        for n in (1, 2)
    ]
    assert 8 == len(dict.fromkeys(hashes))


class Over(Exception):
    """The test has seen enough."""


class Clock:
    """Moves on when somebody waits; at the last pause the run is over."""

    def __init__(self, pauses_max: int) -> None:
        self.pauses: list[float] = []
        self.at = 100.0
        self._pauses_max = pauses_max

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return self.at

    async def sleep_until(self, monotonic_at: float) -> None:
        await asyncio.sleep(0)
        if len(self.pauses) == self._pauses_max:
            raise Over
        self.pauses.append(round(monotonic_at - self.at, 6))
        self.at = monotonic_at


class Log:
    """Acts of one domain; `fates` come before the answers of `seal`."""

    def __init__(self, count: int, *fates: Exception | bool) -> None:
        self.count = count
        self.fates = deque(fates)
        self.sealed: list[Seal] = []
        self.asked = 0

    async def unsealed(self, *, limit: int) -> Unsealed:
        self.asked += 1
        done = len(self.sealed)
        rows = tuple(AuditRow(n, 0, NOON, b"{}") for n in range(done + 1, min(self.count, done + limit) + 1))
        heads = {"d": ChainHead(done, done, self.sealed[-1].hash)} if self.sealed else {}
        return Unsealed({"d": rows} if rows else {}, heads)

    async def seal(self, made: Sequence[Seal]) -> bool:
        fate = self.fates.popleft() if self.fates else True
        if isinstance(fate, Exception):
            raise fate
        self.sealed += made if fate else []
        return fate


def sealer_of(log: Log, clock: Clock) -> tuple[AuditSealer, list[BaseException]]:
    fatal: list[BaseException] = []
    return AuditSealer(log, clock, fatal.append), fatal  # type: ignore[arg-type] # the verbs that it uses


async def ran(sealer: AuditSealer) -> None:
    with pytest.raises(Over):
        await sealer.run()


@in_loop
async def test_r35_what_an_earlier_process_left_is_sealed_at_the_start_in_portions() -> None:
    log, clock = Log(PORTION_ROWS + 3), Clock(1)
    sealer, _ = sealer_of(log, clock)
    task = asyncio.ensure_future(sealer.run())
    await until(lambda: len(log.sealed) == PORTION_ROWS + 3 and not sealer.age_s())
    assert ([GATHER_S], 0.0) == (clock.pauses, sealer.age_s())
    assert [] == kinds([SealedAct(one, AuditRow(one.n, 0, NOON, b"{}")) for one in log.sealed])
    task.cancel()


@in_loop
async def test_r35_idle_store_is_not_asked() -> None:
    log, clock = Log(0), Clock(9)
    sealer, _ = sealer_of(log, clock)
    task = asyncio.ensure_future(sealer.run())
    await until(lambda: False)
    asked = log.asked
    clock.at += 3_600
    await until(lambda: False)
    assert (1, 1) == (asked, log.asked)
    log.count = 2
    sealer.hint()
    clock.at += 0.5
    sealer.hint()
    assert 0.5 == sealer.age_s()
    await until(lambda: False)
    assert (2, 0.0) == (len(log.sealed), sealer.age_s())
    task.cancel()


@in_loop
async def test_r35_outage_is_waited_out_and_the_age_grows() -> None:
    log, clock = Log(2, StoreUnavailable("away"), StoreUnavailable("away")), Clock(5)
    sealer, _ = sealer_of(log, clock)
    task = asyncio.ensure_future(sealer.run())
    await until(lambda: bool(log.sealed))
    assert [GATHER_S, RETRY_S, GATHER_S, RETRY_S, GATHER_S] == clock.pauses
    task.cancel()


@in_loop
async def test_r35_age_counts_from_the_first_act_that_waits() -> None:
    log, clock = Log(2, *[StoreUnavailable("away")] * 9), Clock(4)
    sealer, _ = sealer_of(log, clock)
    await ran(sealer)
    assert 2 * (GATHER_S + RETRY_S) == sealer.age_s()


@in_loop
async def test_r35_somebody_elses_seals_are_followed_by_looking_anew() -> None:
    log, clock = Log(2, False), Clock(1)
    sealer, _ = sealer_of(log, clock)
    assert await sealer.seal()
    assert not await sealer.seal()
    assert (2, 2) == (len(log.sealed), log.asked)


@in_loop
async def test_r35_broken_store_ends_the_process() -> None:
    broken = StoreBroken("gone")
    log, clock = Log(2, broken), Clock(5)
    sealer, fatal = sealer_of(log, clock)
    await sealer.run()
    assert [broken] == fatal


@in_loop
async def test_r35_acts_during_a_seal_wait_from_then_on() -> None:
    log, clock = Log(1), Clock(2)
    sealer, _ = sealer_of(log, clock)
    seal = log.seal

    async def seal_slowly(made: Sequence[Seal]) -> bool:
        clock.at += 5
        log.count += not log.sealed
        sealer.hint()
        return await seal(made)

    log.seal = seal_slowly  # type: ignore[method-assign] # of this one log
    await ran(sealer)
    assert 2 == len(log.sealed)
    assert sealer.age_s() < 1
