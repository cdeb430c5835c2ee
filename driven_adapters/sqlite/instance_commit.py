"""The group commit: many instances' changes in one transaction, in few statements of many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import Fenced, StoreFull
from core.ports.instance_store import NOTHING_OUTWARD, NewStart, Refusal
from core.ports.row_rules import change_fault
from driven_adapters.sqlite.audit_log import AuditRows
from driven_adapters.sqlite.faults import UNHOLDABLE
from driven_adapters.sqlite.ingest import Ingest
from driven_adapters.sqlite.instance_rows import approval_values, instance_values, label_values
from driven_adapters.sqlite.output_cache import output_values
from driven_adapters.sqlite.permits import GatePassing
from driven_adapters.sqlite.shard_store import FenceCheck
from driven_adapters.sqlite.stamps import to_stamp
from driven_adapters.sqlite.statements import RowsStatement, load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import InstanceChange, InstanceRow, StartKey
    from core.ports.shard_store import Fence
    from driven_adapters.sqlite.transaction import Transaction


class _Known:
    """What the store holds of the things that a batch names, and what its earlier items claim."""

    def __init__(self) -> None:
        self.instances: dict[str, tuple[int, int, str]] = {}  # id -> n, seq, status
        self.start_keys: dict[tuple[str, str, str], tuple[str, str]] = {}  # key -> instance id, request hash
        self.seen: dict[tuple[str, str, str], tuple[int, str]] = {}  # key -> end of its keeping, request hash
        self.inbox: set[tuple[int, int]] = set()  # (n, shard)
        self.notes: set[tuple[str, str]] = set()  # (domain id, object key)
        self.named: set[str] = set()


class GroupCommit:
    """The statements of a group commit, prepared once per store."""

    def __init__(self) -> None:
        texts = load_statements("engine/commit.sql")
        self._sql = {name: RowsStatement(text) for name, text in texts.items()}
        self._control = load_statements("connection.sql")
        self._fence_check = FenceCheck()
        self._audit = AuditRows()
        self._ingest = Ingest()
        self._gates = GatePassing()

    def run(self, tx: Transaction, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        """Write every change that nothing speaks against.

        Raises:
            Fenced, StoreFull: as `InstanceStore.commit` says.
        """
        self._enter(tx, fences, changes)
        return self._write_batch(tx, changes)

    def run_singly(
        self, tx: Transaction, fences: Sequence[Fence], changes: Sequence[InstanceChange]
    ) -> list[Refusal | None]:
        """Write the changes one by one, each behind a savepoint: finds the ones that SQLite itself will not take."""
        self._enter(tx, fences, changes)
        answers: list[Refusal | None] = []
        named: set[str] = set()
        for change in changes:
            if change.row.id in named:
                answers.append(_twice(change))
                continue
            named.add(change.row.id)
            tx.write(self._control["savepoint"])
            try:
                answers += self._write_batch(tx, [change])
            except UNHOLDABLE as fault:
                tx.write(self._control["rollback_savepoint"])
                answers.append(Refusal("invalid", detail=str(fault)))
            tx.write(self._control["release_savepoint"])
        return answers

    def _enter(self, tx: Transaction, fences: Sequence[Fence], changes: Sequence[InstanceChange]) -> None:
        self._fence_check.run(tx, fences)
        unfenced = sorted({change.row.shard for change in changes} - {fence.shard for fence in fences})
        if unfenced:
            raise Fenced(unfenced)
        if tx.is_wal_full and any(change.expected_seq is None for change in changes):
            raise StoreFull("the write-ahead log is at its bound: no new instances until it was copied")

    def _write_batch(self, tx: Transaction, changes: Sequence[InstanceChange]) -> list[Refusal | None]:
        known = self._find_known(tx, changes)
        answers = [self._find_refusal(tx, known, change) for change in changes]
        landing = [change for change, refusal in zip(changes, answers, strict=True) if refusal is None]
        self._write_keys(tx, landing)
        self._write_instances(tx, landing, known)
        self._write_rows(tx, landing, known)
        outward = [change for change in landing if change.outward is not NOTHING_OUTWARD]
        if outward:
            self._write_outward(tx, outward)
        return answers

    def _find_refusal(self, tx: Transaction, known: _Known, change: InstanceChange) -> Refusal | None:
        """Look at one item as the store would be after the items before it, and claim what it takes."""
        fault = change_fault(change)
        refusal = Refusal("invalid", detail=fault) if fault else _find_conflict(known, change)
        known.named.add(change.row.id)
        if refusal is None and change.outward.permits:
            refusing = self._gates.run(tx, change)
            refusal = Refusal("gate", detail=refusing) if refusing else None
        if refusal is None:
            _claim(known, change)
        return refusal

    def _find_known(self, tx: Transaction, changes: Sequence[InstanceChange]) -> _Known:
        known = _Known()
        for instance_id, n, seq, status in tx.rows_of(
            self._sql["find_instances"], list(dict.fromkeys(change.row.id for change in changes))
        ):
            known.instances[instance_id] = (n, seq, status)
        keys = [change.start_key for change in changes if change.start_key is not None]
        keys += [key for change in changes if change.outward.passed for key in _passed_keys(change)]
        values = [value for key in keys for value in (key.domain_id, key.trigger, key.key)]
        for domain_id, trigger, key, instance_id, req_hash in tx.rows_of(self._sql["find_start_keys"], values):
            known.start_keys[domain_id, trigger, key] = (instance_id, req_hash)
        values = [v for change in changes for seen in change.seen for v in (seen.domain_id, seen.source, seen.key)]
        for domain_id, source, key, expires_at, req_hash in tx.rows_of(self._sql["find_seen"], values):
            known.seen[domain_id, source, key] = (expires_at, req_hash)
        taken = [n for change in changes for n in change.inbox_taken]
        known.inbox.update((n, shard) for n, shard in tx.rows_of(self._sql["find_inbox"], taken))
        referring = [change for change in changes if change.payload_object is not None]
        if referring:
            known.notes.update(tx.rows_of(self._sql["find_notes"], _note_values(referring)))
        return known

    def _write_keys(self, tx: Transaction, landing: Sequence[InstanceChange]) -> None:
        """Start keys and seen keys sorted: one order for all (engine.md 4)."""
        keys = sorted(
            (key.domain_id, key.trigger, key.key, key.instance_id, key.req_hash)
            for key in (change.start_key for change in landing)
            if key is not None
        )
        tx.write_rows(self._sql["insert_start_keys"], [value for key in keys for value in key])
        seen = sorted(
            (key.domain_id, key.source, key.key, to_stamp(key.expires_at), key.req_hash)
            for change in landing
            for key in change.seen
        )
        tx.write_rows(self._sql["insert_seen"], [value for key in seen for value in key])
        values = [value for change in landing for n in change.inbox_taken for value in (n, change.row.shard)]
        deleted = tx.write_rows(self._sql["delete_inbox"], values)
        if 2 * deleted != len(values):
            raise AssertionError(f"{deleted} inbox rows of {len(values) // 2} were deleted under the write lock")

    def _write_instances(self, tx: Transaction, landing: Sequence[InstanceChange], known: _Known) -> None:
        created: list[Any] = []
        labelled: list[InstanceRow] = []
        moved: list[Any] = []
        turned: list[Any] = []
        for change in landing:
            row = change.row
            updated_at = to_stamp(row.updated_at)
            if change.expected_seq is None:
                created += instance_values(row)
                if row.labels:
                    labelled.append(row)
                continue
            n, seq, status = known.instances[row.id]
            values = (n, seq, row.seq, row.open_attempts, row.ready, row.open_frames, row.epoch, updated_at)
            if status == row.status:
                moved += values
            else:
                turned += values
                turned.append(row.status)
        for instance_id, n in tx.rows_of(self._sql["insert_instances"], created):
            known.instances[instance_id] = (n, 0, "")
        labels = [value for row in labelled for value in label_values(row, known.instances[row.id][0])]
        tx.write_rows(self._sql["insert_labels"], labels)
        for statement, values_of in ((self._sql["move_instances"], moved), (self._sql["turn_instances"], turned)):
            changed = tx.write_rows(statement, values_of)
            if changed * statement.width != len(values_of):
                raise AssertionError(f"{changed} instances changed under the write lock, of {len(values_of)} values")

    def _write_rows(self, tx: Transaction, landing: Sequence[InstanceChange], known: _Known) -> None:
        journal: list[Any] = []
        frames: list[Any] = []
        payloads: list[Any] = []
        snapshots: list[Any] = []
        removed: list[Any] = []
        timers: list[Any] = []
        for change in landing:
            n, domain_id, shard = known.instances[change.row.id][0], change.row.domain_id, change.row.shard
            at = to_stamp(change.row.updated_at)
            for line in change.journal:
                journal += (n, line.seq, line.version, domain_id, at, line.body)
            for frame in change.frames:
                frames += (n, frame.path, frame.seq, frame.is_open, domain_id, frame.body)
            for payload in change.payloads:
                payloads += (n, payload.seq, payload.part, domain_id, payload.body)
            for snapshot in change.snapshots:
                snapshots += (n, snapshot.path, snapshot.seq, domain_id, snapshot.body)
            for due_at, timer_n in change.timers_removed:
                removed += (to_stamp(due_at), shard, n, timer_n)
            for timer in change.timers_set:
                timers += (to_stamp(timer.due_at), shard, n, timer.n, domain_id, timer.path, timer.kind)
        tx.write_rows(self._sql["insert_journal"], journal)
        tx.write_rows(self._sql["upsert_frames"], frames)
        tx.write_rows(self._sql["insert_payloads"], payloads)
        referring = [change for change in landing if change.payload_object is not None]
        if referring:
            self._write_objects(tx, referring, known)
        tx.write_rows(self._sql["upsert_snapshots"], snapshots)
        tx.write_rows(self._sql["delete_timers"], removed)
        tx.write_rows(self._sql["upsert_timers"], timers)

    def _write_outward(self, tx: Transaction, landing: Sequence[InstanceChange]) -> None:
        kept = {one.place: one for change in landing for one in change.outward.cached}
        tx.write_rows(self._sql["upsert_outputs"], [value for one in kept.values() for value in output_values(one)])
        for entry in (entry for change in landing for entry in change.outward.audit):
            self._audit.put(tx, entry)
        gone = [value for one in landing for id_ in one.outward.approvals_removed for value in (one.row.domain_id, id_)]
        asked = [value for one in landing for row in one.outward.approvals_set for value in approval_values(row)]
        tx.write_rows(self._sql["delete_approvals"], gone)
        tx.write_rows(self._sql["upsert_approvals"], asked)
        for one in (one for change in landing for one in change.outward.passed):
            self._ingest.pass_on(tx, one)

    def _write_objects(self, tx: Transaction, referring: Sequence[InstanceChange], known: _Known) -> None:
        """Refer to objects, and take their notes away."""
        objects: list[Any] = []
        for change in referring:
            held = change.payload_object
            if held is not None:
                n = known.instances[change.row.id][0]
                objects += (n, held.seq, change.row.domain_id, held.key, held.bytes_count)
        tx.write_rows(self._sql["insert_payload_objects"], objects)
        values = _note_values(referring)
        deleted = tx.write_rows(self._sql["delete_notes"], values)
        if 2 * deleted != len(values):
            raise AssertionError(f"{deleted} notes of {len(values) // 2} were deleted under the write lock")


def _passed_keys(change: InstanceChange) -> list[StartKey]:
    """List the start keys of the instances that a change starts."""
    passed = change.outward.passed
    return [one.start_key for one in passed if isinstance(one, NewStart) and one.start_key is not None]


def _note_values(changes: Sequence[InstanceChange]) -> list[Any]:
    objects = [(one.row.domain_id, one.payload_object.key) for one in changes if one.payload_object is not None]
    return [value for place in objects for value in place]


def _find_conflict(known: _Known, change: InstanceChange) -> Refusal | None:
    row, key = change.row, change.start_key
    if row.id in known.named:
        return _twice(change)
    passed = _passed_keys(change) if change.outward.passed else []
    if any((one.domain_id, one.trigger, one.key) in known.start_keys for one in passed):
        return Refusal("invalid", detail="what it starts was started before")
    if key is not None:
        first = known.start_keys.get((key.domain_id, key.trigger, key.key))
        if first is not None:
            return Refusal("duplicate", *first)
    for seen in change.seen:
        taken_in = known.seen.get((seen.domain_id, seen.source, seen.key))
        if taken_in is not None and taken_in[0] > to_stamp(row.updated_at):
            return Refusal("seen", req_hash=taken_in[1], detail=seen.key)
    for n in change.inbox_taken:
        if (n, row.shard) not in known.inbox:
            return Refusal("inbox", detail=f"inbox row {n} is gone")
    stored = known.instances.get(row.id)
    seq = None if stored is None else stored[1]
    if seq != change.expected_seq:
        return Refusal("seq", detail=f"stored {seq}, expected {change.expected_seq}")
    held = change.payload_object
    if held is not None and (row.domain_id, held.key) not in known.notes:
        return Refusal("object", detail=f"object {held.key} has no note")
    return None


def _claim(known: _Known, change: InstanceChange) -> None:
    key = change.start_key
    if key is not None:
        known.start_keys[key.domain_id, key.trigger, key.key] = (key.instance_id, key.req_hash)
    if change.outward.passed:
        for key in _passed_keys(change):
            known.start_keys[key.domain_id, key.trigger, key.key] = (key.instance_id, key.req_hash)
    for seen in change.seen:
        known.seen[seen.domain_id, seen.source, seen.key] = (to_stamp(seen.expires_at), seen.req_hash)
    for n in change.inbox_taken:
        known.inbox.discard((n, change.row.shard))
    if change.payload_object is not None:
        known.notes.discard((change.row.domain_id, change.payload_object.key))


def _twice(change: InstanceChange) -> Refusal:
    return Refusal("invalid", detail=f"instance {change.row.id} stands in the batch twice")
