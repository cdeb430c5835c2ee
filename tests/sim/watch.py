"""The watch over the store: every landed transaction is read by the audit before anything else happens."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from core.dag.plan import Plan
from core.engine.events import AttemptFailed, AttemptStarted, Event, InstanceEnded, TaskSucceeded, TimersRearmed
from core.engine.invariants import InstanceAudit, Violation, sentences
from core.engine.journal import decode_events
from core.engine.permit_audit import gate_faults
from core.engine.permit_events import InstanceAdmitted, InstanceGated, TaskAdmitted, TaskGated
from core.engine.replayed import Replayed
from core.engine.rerun_events import TaskReused
from core.ports.instance_store import InstanceRow, JournalRow, TimerRow
from core.ports.permits import KIND_GRANTED, Gate, PermitRow
from driven_adapters.memory.instance_store import load_instance
from driven_adapters.memory.store import StoredShard
from driven_adapters.memory.tables import Draft, Rows
from tests.sim.ends import Ends
from tests.sim.kin import Kin
from tests.sim.loop import Process, SimLoop
from tests.sim.plans import pooled_breaks
from tests.sim.store import SimStore

REPLAY_EVERY_COUNT = 5  # I16 costs as much as ten other checks; every fifth commit of an instance, and all at the end


class InvariantBrokenError(Exception):
    """The store holds what must never be; the message says what."""


class Watch:
    """Reads what lands, keeps the trace, and stops the seed at the first violation.

    Attributes:
        audits: by instance id. outcomes: what each attempt gave, as the pipeline handed it to the node. transitions: journal events in all. used_again: tasks that took an output over. gates: what happened at them, and in the line of retries. commits: landed transactions of a commit.
    """

    def __init__(self, loop: SimLoop, store: SimStore, plan_of: Callable[[str], Plan]) -> None:
        self._loop = loop
        self._store = store
        self._plan_of = plan_of
        self._trace = hashlib.blake2b(digest_size=8)
        self._timers: dict[str, dict[object, TimerRow]] = {}
        self._replays: dict[str, Replayed] = {}
        self._ends: dict[str, Ends] = {}
        self._reads: Counter[str] = Counter()
        self.audits: dict[str, InstanceAudit] = {}
        self.outcomes: dict[tuple[str, str, int], str] = {}
        self.transitions = 0
        self.commits = 0
        self.journal_rows = 0
        self.used_again = 0
        self.kin = Kin(store, self.audits)
        self.gates: Counter[str] = Counter()
        self.fault: InvariantBrokenError | None = None
        store.on_landed = self.landed

    @property
    def trace(self) -> str:
        """Give the hash of everything that happened so far: the same seed gives the same."""
        return self._trace.hexdigest()

    def use_plans(self, plan_of: Callable[[str], Plan]) -> None:
        """Take plans from somewhere else."""
        self._plan_of = plan_of

    def note(self, *what: object) -> None:
        """Put something that happened outside the store into the trace."""
        self._trace.update(f"{self._loop.time():.6f} {what}".encode())

    def row(self, instance_id: str) -> InstanceRow | None:
        """Give the durable row."""
        return self._store.tables.group("instance").get(instance_id)

    def has_inbox_row(self, row: InstanceRow) -> bool:
        """Say whether a command waits for this instance."""
        waiting = self._store.tables.group("inbox", row.shard).values()
        return any(item.instance_id == row.id for item in waiting)

    def rows(self) -> list[InstanceRow]:
        """Give all durable rows of instances, by id."""
        return [row for _, row in sorted(self._store.tables.group("instance").items())]

    def is_attempt_committed(self, instance_id: str, task_path: str, attempt: int) -> bool:
        """Say whether this attempt's start is durable (I14)."""
        audit = self.audits.get(instance_id)
        return audit is not None and audit.started.get(task_path, 0) >= attempt

    def landed(self, name: str, draft: Draft, process: Process | None) -> None:
        """Read one transaction."""
        touched: list[str] = []
        gates: dict[Gate, dict[object, PermitRow | None]] = {}
        lines: list[JournalRow] = []
        for (table, group, key), row in draft._writes.items():
            if table == "instance":
                touched.append(str(key))
            elif table == "journal" and isinstance(row, JournalRow):
                lines.append(row)
            elif table == "permit" and isinstance(group, Gate):
                gates.setdefault(group, {})[key] = row if isinstance(row, PermitRow) else None
            elif table == "timer":
                self._keep_timer(key, row)
            self._trace.update(f"{table}{group}{key}".encode())
        self.note(name, process.name if process else None)
        self.commits += name == "commit"
        try:
            self._read(touched, lines, is_commit=name == "commit")
            self._check_gates(gates, touched)
        except InvariantBrokenError as broken:
            self._fail(broken)
        except Exception as raised:  # noqa: BLE001 - rows that cannot be read at all are a violation like any other
            self._fail(InvariantBrokenError(f"{type(raised).__name__}: {raised}"))

    def check_all(self) -> None:
        """Look at every instance as it lies in the store now."""
        for row in self.rows():
            if row.seq:
                self._check(row, is_deep=True)

    def stop(self, sentence: str) -> None:
        """End the seed: something was seen that must never be."""
        self._fail(InvariantBrokenError(sentence))

    def _fail(self, broken: InvariantBrokenError) -> None:
        if self.fault is None:
            self.fault = InvariantBrokenError(f"at {self._loop.time():.3f} s: {broken}")
        self._loop.stop()

    def _keep_timer(self, key: object, row: object) -> None:
        instance_id = key[2] if isinstance(key, tuple) else ""
        held = self._timers.setdefault(str(instance_id), {})
        if isinstance(row, TimerRow):
            held[key] = row
        else:
            held.pop(key, None)

    def _read(self, touched: list[str], lines: list[JournalRow], *, is_commit: bool) -> None:
        shards: Rows = self._store.tables.group("shard")
        for line in sorted(lines, key=lambda line: (line.instance_id, line.seq)):
            self._trace.update(line.body)
            self._read_line(line)
        written = {line.instance_id for line in lines}
        for instance_id in touched:
            row = self.row(instance_id)
            if row is not None and (row.parent_id is not None or is_commit):
                self._raise(self.kin.look(row))
            if row is None or not row.seq:
                continue
            shard: StoredShard = shards[row.shard]
            if is_commit and row.epoch != shard.epoch and instance_id in written:
                raise InvariantBrokenError(f"R3: {instance_id} is written in epoch {row.epoch}, not {shard.epoch}")
            self._reads[instance_id] += 1
            self._check(row, is_deep=self._reads[instance_id] % REPLAY_EVERY_COUNT == 0)

    def _read_line(self, line: JournalRow) -> None:
        row = self.row(line.instance_id)
        if row is None:
            raise InvariantBrokenError(f"I1: journal of {line.instance_id}, which has no row")
        audit = self.audits.get(line.instance_id)
        if audit is None:
            plan = self._plan_of(row.dag_hash)
            audit = self.audits[line.instance_id] = InstanceAudit(plan, line.instance_id)
            self._replays[line.instance_id] = Replayed(plan, line.instance_id)
            self._ends[line.instance_id] = Ends(plan, pooled_breaks().get(row.dag_hash, {}))
        events = decode_events(line.version, line.body)
        self._check_outcomes(audit, events)
        self.transitions += len(events)
        self.used_again += sum(isinstance(event, TaskReused) for event in events)
        self._count(events)
        self.journal_rows += 1
        self._raise(audit.read(line.seq, events, epoch=row.epoch))
        self.kin.read(audit, events)
        if missed := self._ends[line.instance_id].read(audit, events):
            raise InvariantBrokenError("; ".join(missed))
        self._replays[line.instance_id].read(line.seq, events)

    def _count(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case TimersRearmed(timers=timers) if any(timer.kind == "put_off" for timer in timers):
                    self.gates["retry put off"] += 1
                case InstanceGated(permit=permit) | TaskGated(permit=permit):
                    kind = "permit taken" if permit.is_held else "permit waited for"
                    self.gates[f"{kind} by {'a task' if isinstance(event, TaskGated) else 'an instance'}"] += 1
                case InstanceAdmitted():
                    self.gates["permit granted to an instance"] += 1
                case TaskAdmitted():
                    self.gates["permit granted to a task"] += 1
                case InstanceEnded(reason="concurrency"):
                    self.gates["instance gave way"] += 1
                case _:
                    pass

    def _check_outcomes(self, audit: InstanceAudit, events: Sequence[Event]) -> None:
        """An outcome that is accepted was given by just this attempt: a late one is never taken for a live one (R23)."""
        numbers: dict[tuple[str, int], int] = {}
        for event in events:
            if not isinstance(event, AttemptStarted | AttemptFailed | TaskSucceeded):
                continue
            place = (event.frame, event.index)
            if isinstance(event, AttemptStarted):
                numbers[place] = event.number
                continue
            frame = audit.frames.get(event.frame)
            task = None if frame is None else frame.tasks.get(event.index)
            if frame is None or task is None:
                continue
            number = numbers.get(place, task.number)
            region = audit.plan.regions[frame.region]
            is_call = audit.plan.nodes[region.nodes[event.index % region.size]].kind == "attempt"
            given = self.outcomes.get((audit.instance_id, audit.path_of(frame, event.index), number))
            wanted = "Failed" if isinstance(event, AttemptFailed) else "Succeeded"
            if is_call and given != wanted:
                path = audit.path_of(frame, event.index)
                told = f"R23: attempt {number} of {audit.instance_id} {path} is taken for {wanted}"
                raise InvariantBrokenError(f"{told}, and it gave {given}")

    def _check(self, row: InstanceRow, *, is_deep: bool) -> None:
        audit, replayed = self.audits[row.id], self._replays[row.id]
        timers = list(self._timers.get(row.id, {}).values())
        inbox = self._store.tables.group("inbox", row.shard)
        waiting = sum(item.instance_id == row.id for item in inbox.values())
        self._raise(audit.check(row, timer_count=len(timers), inbox_count=waiting))
        self._raise(replayed.compare_timers(timers))
        if is_deep:
            loaded = load_instance(self._store.tables, row.id, None)
            self._raise(replayed.compare(loaded) if loaded else [])

    def _check_gates(self, gates: dict[Gate, dict[object, PermitRow | None]], touched: list[str]) -> None:
        """Hold gates that a commit changed, and the permits of whom it touched there, against the journals (I17)."""
        told = dict.fromkeys(touched)
        for gate, written in gates.items():
            rows: dict[object, PermitRow] = self._store.tables.group("permit", gate)
            found = gate_faults(sorted(rows.values(), key=_line_order))
            newly = [row for key, row in written.items() if row is not None and row.is_held and key in rows]
            held = sum(row.is_held for row in rows.values())
            if newly and held > max(row.most for row in newly):
                found.append(f"{held} permits are held, above the bound of each that was given now")
            if found:
                raise InvariantBrokenError(f"I17: {gate}: {'; '.join(found)}")
            told |= dict.fromkeys(row.instance_id for row in rows.values())
        for instance_id in told:
            self._check_permits(instance_id)

    def _check_permits(self, instance_id: str) -> None:
        audit, row = self.audits.get(instance_id), self.row(instance_id)
        if audit is None or row is None or not audit.plan.has_limits:
            return
        tables = self._store.tables
        rows = [one for group in tables.groups("permit") for one in group.values() if one.instance_id == instance_id]
        inbox = tables.group("inbox", row.shard).values()
        granted = [one.key for one in inbox if one.instance_id == instance_id and one.kind == KIND_GRANTED]
        if found := audit.permits.compare(rows, granted):
            raise InvariantBrokenError(f"I17: {instance_id}: {'; '.join(found)}")

    def _raise(self, violations: list[Violation]) -> None:
        if violations:
            raise InvariantBrokenError("; ".join(sentences(violations)))


def _line_order(row: PermitRow) -> tuple[object, ...]:
    return not row.is_held, -row.priority, row.since, row.instance_id, row.task_path
