"""Proving a live store: the invariants of reliability.md 1.4, instance by instance, in slices, again and again.

What a running engine changes meanwhile is no violation: an instance is held against its journal up to the row that it
had when it was loaded, and rows that change in place are compared only when it did not move.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from core.engine.frame_events import StateInconsistent
from core.engine.invariants import InstanceAudit, Violation
from core.engine.journal import JournalUnreadable, decode_events
from core.engine.kin_audit import kin_faults, relatives
from core.engine.node.terms import PlanSource
from core.engine.permit_audit import gate_faults
from core.engine.replayed import Replayed
from core.engine.standstill import STILL_S_MAX, waits_for_a_look
from core.engine.transitions import IllegalTransition
from core.errors import (
    CommitUnknown,
    DagInvalid,
    DagNotFound,
    QueueFull,
    StoreBroken,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from core.ports.clock import Clock
from core.ports.instance_store import TERMINAL_STATUSES, InstanceRow, InstanceStore, Loaded, StartKey, TimerRow
from core.ports.permits import LINE_ROWS_MAX, Gate, PermitRow, PermitStore
from core.ports.store_audit import StoreAudit

ROUND_PERIOD_S = 60.0  # between two rounds of the chore; the first begins so long after the start
PAGE_ROWS = 64  # instances that are read at once
STRAY_ROWS = 500  # timers or start keys: short rows
JOURNAL_ROWS = 16  # of at most 128 KiB each: what is decoded at once
SHARE = 0.02  # of the time: what is left for the engine counts more
PAUSE_S_MAX = 5.0
KEPT_MAX = 256  # open instances whose fold is kept, so that only new rows are read in the next round
OPEN_MAX = 100_000  # that are looked at again; the walk waits when there are more, and the age says so
KNOWN_MAX = 10_000  # violations that were told already
_OUTAGE = (StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown, QueueFull)  # the next round does it
# What the rows of one instance make the code raise is found, and the next one is looked at.
_UNREADABLE = (
    StateInconsistent,
    JournalUnreadable,
    IllegalTransition,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at: so many instances and journal rows, what does not hold, and after which id to go on.

    `after` None = these were the last. `left_out` instances have more journal rows than were asked for.
    """

    instances: int
    rows: int
    violations: tuple[Violation, ...]
    after: str | None
    left_out: int = 0


class _Pace:
    """Lets the chore take SHARE of the time, however much one instance has to read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = clock.monotonic()

    async def pause(self) -> None:
        """Leave the time that others are due for what was done since the last pause."""
        now_s = self._clock.monotonic()
        pause_s = min(PAUSE_S_MAX, (now_s - self._began_s) * (1 - SHARE) / SHARE)
        await self._clock.sleep_until(now_s + pause_s)
        self._began_s = self._clock.monotonic()


class _Fold:
    """How far an instance was read: two states built by other rules, which must agree with each other and its rows."""

    def __init__(self, audit: InstanceAudit, replayed: Replayed) -> None:
        self.audit = audit
        self.replayed = replayed
        self.awaits_look = False


class Verifier:
    """Proves instances.

    Attributes:
        verified_to: every commit made before this time was proved, or was told to be wrong; None = no round has ended.
    """

    def __init__(
        self,
        *,
        store: InstanceStore,
        audit: StoreAudit,
        permits: PermitStore,
        plans: PlanSource,
        clock: Clock,
        on_violation: Callable[[Violation], None],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Take the store; `on_violation` hears of each violation once, `on_fatal` when the process must end (R12)."""
        self.verified_to: datetime | None = None
        self._since = clock.now()
        self._store = store
        self._audit = audit
        self._permits = permits
        self._plans = plans
        self._clock = clock
        self._on_violation = on_violation
        self._on_fatal = on_fatal
        self._after = ""
        self._open: dict[str, int] = {}
        self._kept: OrderedDict[str, _Fold] = OrderedDict()
        self._known: OrderedDict[Violation, None] = OrderedDict()
        self._rows = 0

    def age_s(self) -> float:
        """Give how old the oldest commit can be that was not proved yet; before the first round since the start."""
        return max(0.0, (self._clock.now() - (self.verified_to or self._since)).total_seconds())

    async def run(self) -> None:
        """Prove the store round after round, until cancelled or the store is broken."""
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + ROUND_PERIOD_S)
            try:
                await self.round()
            except _OUTAGE:
                continue
            except StoreBroken as fault:
                self._on_fatal(fault)
                return

    async def round(self) -> None:
        """Prove what is new since the round before: new instances, and those that were open.

        Raises:
            StoreUnavailable, StoreTimeout: the rest is left to the next round. StoreBroken: end the process.
        """
        began_at = self._clock.now()
        is_whole = await self._walk_new()
        for instance_id, seq in list(self._open.items()):
            beside = await self._audit.beside(instance_id, ())
            if beside is None:
                self._tell([Violation("I1", instance_id, seq, "the instance is gone")])
                self._forget(instance_id)
            elif beside.seq != seq or self._awaits_look(instance_id):
                await self._prove_paced(instance_id)
        self._tell(await self.strays())
        if is_whole:
            self.verified_to = began_at

    async def slice(self, domain_id: str | None, *, after: str, limit: int, rows_max: int) -> Verified:
        """Prove the next `limit` instances, each from its first row; nothing is remembered.

        Args:
            domain_id: None = all. after: ids greater than it. rows_max: of the journal of one instance; those with more
                are left out.

        Raises:
            StoreUnavailable, StoreTimeout: nothing is known of the rest.
        """
        page = await self._audit.instances(domain_id=domain_id, after=after, limit=limit)
        found: list[Violation] = []
        rows_before, left_out = self._rows, 0
        for row in page:
            if row.seq > rows_max:
                left_out += 1
            else:
                found += (await self._prove(row.id, None, None))[0]
        return Verified(
            instances=len(page) - left_out,
            rows=self._rows - rows_before,
            violations=tuple(found),
            after=page[-1].id if len(page) == limit else None,
            left_out=left_out,
        )

    async def strays(self) -> list[Violation]:
        """Look for timers, start keys and permits that belong to nothing (I1, I3, I11, I17)."""
        found: list[Violation] = []
        timer: TimerRow | None = None
        pace = _Pace(self._clock)
        while True:
            timers = await self._audit.timers(after=timer, limit=STRAY_ROWS)
            for held in timers:
                timer = held.row
                if held.status is None or held.status in TERMINAL_STATUSES:
                    said = "there is no such instance" if held.status is None else f"it is {held.status}"
                    sentence = f"timer {timer.n} ({timer.kind}) is left, and {said}"
                    found.append(Violation("I3", timer.instance_id, 0, sentence))
            await pace.pause()
            if len(timers) < STRAY_ROWS:
                break
        key: StartKey | None = None
        while True:
            keys = await self._audit.start_keys(after=key, limit=STRAY_ROWS)
            for one in keys:
                key = one.key
                if one.domain_id is None:
                    sentence = "it was acknowledged to its start key, and is not there"
                    found.append(Violation("I1", key.instance_id, 0, sentence))
                elif one.domain_id != key.domain_id:
                    found.append(Violation("I11", key.instance_id, 0, "its start key is another business domain's"))
            await pace.pause()
            if len(keys) < STRAY_ROWS:
                return found + await self._stray_permits(pace)

    async def _stray_permits(self, pace: _Pace) -> list[Violation]:
        """Look for permits of what has ended, and for gates that hand nothing on, or too much (I17)."""
        found: list[Violation] = []
        row: PermitRow | None = None
        gate: Gate | None = None
        while True:
            permits = await self._audit.permits(after=row, limit=STRAY_ROWS)
            for held in permits:
                row = held.row
                if held.status is None or held.status in TERMINAL_STATUSES:
                    said = "there is no such instance" if held.status is None else f"it is {held.status}"
                    sentence = f"its place at {row.gate.limit} is left, and {said}"
                    found.append(Violation("I17", row.instance_id, 0, sentence))
                if row.gate != gate:
                    gate = row.gate
                    line = await self._permits.line(gate, limit=LINE_ROWS_MAX)  # at one moment, unlike the pages
                    faults = gate_faults(line) if len(line) < LINE_ROWS_MAX else []
                    found += [Violation("I17", row.instance_id, 0, sentence) for sentence in faults]
            await pace.pause()
            if len(permits) < STRAY_ROWS:
                return found

    async def _walk_new(self) -> bool:
        """Prove instances that were never looked at; False when too many are open to remember more."""
        while len(self._open) < OPEN_MAX:
            page = await self._audit.instances(domain_id=None, after=self._after, limit=PAGE_ROWS)
            for row in page:
                await self._prove_paced(row.id)
                self._after = row.id
            if len(page) < PAGE_ROWS:
                return True
        return False

    async def _prove_paced(self, instance_id: str) -> None:
        """Prove one instance and leave the time to others, after each of its journal rows and at the end."""
        pace = _Pace(self._clock)
        violations, row = await self._prove(instance_id, self._kept.pop(instance_id, None), pace)
        self._tell(violations)
        if row is None or row.status in TERMINAL_STATUSES:
            self._forget(instance_id)
        else:
            self._open[instance_id] = row.seq
        await pace.pause()

    def _awaits_look(self, instance_id: str) -> bool:
        """Say whether it only had to be looked at when it was proved last; true of hardly any: it is done at once."""
        fold = self._kept.get(instance_id)
        return fold is not None and fold.awaits_look

    def _forget(self, instance_id: str) -> None:
        self._open.pop(instance_id, None)
        self._kept.pop(instance_id, None)

    def _tell(self, violations: Sequence[Violation]) -> None:
        for violation in violations:
            if violation not in self._known:
                self._known[violation] = None
                if len(self._known) > KNOWN_MAX:
                    self._known.popitem(last=False)
                self._on_violation(violation)

    async def _prove(
        self, instance_id: str, kept: _Fold | None, pace: _Pace | None
    ) -> tuple[list[Violation], InstanceRow | None]:
        """Prove one instance; gives what does not hold, and its row as it was then, None when there is none."""
        loaded = await self._store.load(instance_id)
        if loaded is None or not loaded.row.seq:
            return [], None if loaded is None else loaded.row
        row = loaded.row
        try:
            fold = kept or await self._new_fold(row)
        except (DagNotFound, DagInvalid) as fault:
            return [Violation("plan", row.id, row.seq, f"its version cannot be followed: {fault}")], row
        found: list[Violation] = []
        try:
            await self._read(fold, loaded, found, pace)
            if fold.audit.seq < row.seq and await self._audit.beside(row.id, ()) is None:
                return [], None  # removed while it was read
            found += fold.replayed.compare(loaded)
            found += await self._beside(fold, row)
        except _UNREADABLE as fault:
            sentence = f"the rows make no state: {type(fault).__name__} {fault}"
            found.append(Violation("I16", row.id, fold.audit.seq, sentence))
        if not found and row.status not in TERMINAL_STATUSES:
            self._keep(row.id, fold)
        return found, row

    def _keep(self, instance_id: str, fold: _Fold) -> None:
        self._kept[instance_id] = fold
        if len(self._kept) > KEPT_MAX:
            oldest = next((key for key, one in self._kept.items() if not one.awaits_look), instance_id)
            del self._kept[oldest]

    async def _new_fold(self, row: InstanceRow) -> _Fold:
        plan = await self._plans.get(row.domain_id, row.dag_id, row.dag_hash)
        return _Fold(InstanceAudit(plan, row.id, keeps_closed=False), Replayed(plan, row.id))

    async def _read(self, fold: _Fold, loaded: Loaded, found: list[Violation], pace: _Pace | None) -> None:
        """Read the journal up to what was loaded, at this pace, None = at once; adds to `found`."""
        row = loaded.row
        while fold.audit.seq < row.seq:
            limit = min(JOURNAL_ROWS, row.seq - fold.audit.seq)
            lines = await self._audit.journal(row.id, after_seq=fold.audit.seq, limit=limit)
            for line in lines:
                events = decode_events(line.version, line.body)
                found += fold.audit.read(line.seq, events)
                fold.replayed.read(line.seq, events)
                self._rows += 1
                if pace is not None:
                    await pace.pause()
            if len(lines) < limit:
                break

    async def _beside(self, fold: _Fold, row: InstanceRow) -> list[Violation]:
        """Hold what stands beside the journal against it, if the instance did not move meanwhile."""
        found_kin: dict[str, InstanceRow] = {}  # before what waits for the instance: their news come with their ends
        for instance_id in relatives(fold.audit):
            kin = await self._store.load(instance_id, paths=())
            if kin is not None:
                found_kin[instance_id] = kin.row
        awaited = fold.replayed.awaited_timers()
        beside = await self._audit.beside(row.id, [(timer.due_at, timer.n) for timer in awaited])
        if beside is None or beside.seq != row.seq:
            return []
        found = fold.audit.check(row, timer_count=len(beside.timers), inbox_count=beside.inbox_count)
        found += kin_faults(fold.audit, row, found_kin, beside.inbox_count)
        if beside.journal_count != row.seq:
            sentence = f"the row says seq {row.seq}, and {beside.journal_count} journal rows are there"
            found.append(Violation("I2", row.id, row.seq, sentence))
        lacking = [f"{timer.kind} {timer.n}" for timer in awaited if timer.n not in beside.timers]
        if lacking:
            found.append(Violation("timers", row.id, row.seq, f"timers without a row: {', '.join(lacking[:3])}"))
        if beside.foreign_count:
            sentence = f"{beside.foreign_count} commands wait for it under another business domain"
            found.append(Violation("I11", row.id, row.seq, sentence))
        # Its engine has been up for as long: right after a start everything open is looked at.
        still_s = min((self._clock.now() - since).total_seconds() for since in (row.updated_at, self._since))
        fold.awaits_look = waits_for_a_look(fold.audit, row, beside.inbox_count)
        if fold.awaits_look and still_s > STILL_S_MAX:
            sentence = f"it could go on, and nothing has moved it since {row.updated_at:%Y-%m-%dT%H:%M:%SZ}"
            found.append(Violation("I4", row.id, row.seq, sentence))
        at_gates = fold.audit.permits.compare(beside.permits, beside.granted)
        found += [Violation("I17", row.id, row.seq, sentence) for sentence in at_gates]
        return found
