"""What the store's file and the target's ledger say, read by a process that is neither engine nor target."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import apsw
import msgspec

from core.dag.catalog import OperatorSpec
from core.dag.compile import compile_dag
from core.dag.language import language_catalog
from core.dag.parse import parse_dag
from core.dag.plan import Plan
from core.engine.invariants import InstanceAudit, Violation, sentences
from core.engine.journal import decode_events
from core.engine.node.attempts import idempotency_key
from core.engine.replayed import Replayed
from core.engine.state import TaskStatus
from core.executor.pure import PURE_OPERATORS
from core.ports.instance_store import JOURNAL_TAIL_ROWS, FrameRow, JournalRow, Loaded, TimerRow
from driven_adapters.operators.debug import DebugFail, DebugLog, DebugNoop
from driven_adapters.operators.http_request import HttpRequestOperator
from driven_adapters.sqlite.instance_rows import to_instance_row
from driven_adapters.sqlite.stamps import from_stamp
from driven_adapters.sqlite.statements import load_statements
from mock_server.ledger import LedgerCall

BUSY_MS = 10_000
TERMINAL = ("succeeded", "failed", "cancelled")
# Those of an instance's row, in the order in which the store's own statement gives them.
_COLUMNS = load_statements("engine/instance.sql")["read_instance"].partition("SELECT")[2].partition("FROM")[0]


class Findings(msgspec.Struct, kw_only=True):
    """What the end of a run came to: `lost` and `doubled` are what must be zero; `traces` are files that show faults."""

    instances: int = 0
    finished: int = 0
    lost: int = 0
    doubled: int = 0
    calls: int = 0
    keys: int = 0
    transitions: int = 0
    statuses: dict[str, int] = {}
    faults: list[str] = []
    traces: list[Path] = []

    @property
    def is_sound(self) -> bool:
        """Say whether nothing was found."""
        return not (self.lost or self.doubled or self.faults)


class StoreFile:
    """The store's file as it lies there after its engine died, read from a copy: reading must not recover it.

    Args:
        is_copy: the file is a copy already, and may be recovered where it lies.
        is_live: its engine runs: it is read where it lies, since no copy of two files is of one moment.
        plans: compiled versions by hash, shared by readers of many copies of one store.
    """

    def __init__(
        self, path: Path, *, is_copy: bool = False, is_live: bool = False, plans: dict[str, Plan] | None = None
    ) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if not (is_copy or is_live):
            self._folder = tempfile.TemporaryDirectory(prefix="flow-evidence-")
            path = _copied(path, Path(self._folder.name))
        created = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE  # a power cut may leave no file at all
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY if is_live else created)
        self._connection.set_busy_timeout(BUSY_MS)
        self._plans: dict[str, Plan] = {} if plans is None else plans

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        if self._folder is not None:
            self._folder.cleanup()

    def rows(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Run one statement."""
        found: list[tuple[Any, ...]] = self._connection.execute(sql, bindings).fetchall()
        return found

    def open_count(self) -> int:
        """Count instances that have not ended."""
        return int(self.rows("SELECT count(*) FROM instance WHERE status NOT IN (?, ?, ?)", *TERMINAL)[0][0])

    def journal_count(self) -> int:
        """Count journal rows."""
        return int(self.rows("SELECT count(*) FROM journal")[0][0])

    def running_calls(self) -> set[tuple[str, str]]:
        """Give (idempotency key, attempt) of every attempt whose start is committed and whose outcome is not."""
        found: set[tuple[str, str]] = set()
        for row in self.rows(f"SELECT {_COLUMNS} FROM instance WHERE open_attempts > 0"):  # noqa: S608 - constants
            audit = self._audited(row, Replayed(self._plan(row[4], row[5]), row[1]))[0]
            found |= {
                (idempotency_key(row[1], path), str(task.number))
                for path, task in audit.tasks()
                if task.status is TaskStatus.RUNNING and task.number
            }
        return found

    def instances(self) -> Iterator[tuple[InstanceAudit, list[Violation], str]]:
        """Audit every instance: (audit, everything that does not hold, status)."""
        for row in self.rows(f"SELECT {_COLUMNS} FROM instance ORDER BY n"):  # noqa: S608 - constants
            replayed = Replayed(self._plan(row[4], row[5]), row[1])
            audit, found = self._audited(row, replayed)
            timers = [
                TimerRow(row[3], from_stamp(due_at), row[1], n, path, kind)
                for due_at, n, path, kind in self.rows(
                    "SELECT due_at, n, path, kind FROM timer WHERE instance_n = ?", row[0]
                )
            ]
            found += audit.check(to_instance_row(row), timer_count=len(timers), inbox_count=0)
            found += replayed.compare_timers(timers)
            if row[9]:
                found += replayed.compare(self._loaded(row))
            yield audit, found, row[8]

    def _audited(self, row: tuple[Any, ...], replayed: Replayed) -> tuple[InstanceAudit, list[Violation]]:
        audit, found = InstanceAudit(replayed.plan, row[1]), []
        for seq, version, body in self.rows(
            "SELECT seq, version, body FROM journal WHERE instance_n = ? ORDER BY seq", row[0]
        ):
            events = decode_events(version, body)
            found += audit.read(seq, events)
            replayed.read(seq, events)
        return audit, found

    def _loaded(self, row: tuple[Any, ...]) -> Loaded:
        journal = self.rows(
            "SELECT seq, version, body FROM journal WHERE instance_n = ? ORDER BY seq DESC LIMIT ?",
            row[0],
            JOURNAL_TAIL_ROWS,
        )
        frames = self.rows(
            "SELECT path, seq, is_open, body FROM frame "
            "WHERE instance_n = ? AND (is_open = 1 OR path = '') ORDER BY path",
            row[0],
        )
        return Loaded(
            to_instance_row(row),
            tuple(JournalRow(row[1], *line) for line in reversed(journal)),
            tuple(FrameRow(row[1], path, seq, bool(is_open), body) for path, seq, is_open, body in frames),
        )

    def _plan(self, dag_id: str, dag_hash: str) -> Plan:
        if dag_hash not in self._plans:
            [(document, version)] = self.rows(
                "SELECT document, version FROM dag_version WHERE dag_id = ? AND content_hash = ?", dag_id, dag_hash
            )[:1]
            self._plans[dag_hash] = compiled(bytes(document), dag_id, version, dag_hash)
        return self._plans[dag_hash]


def _copied(path: Path, folder: Path) -> Path:
    """Copy a store's file and its log, as they lie there, and give the copy's path."""
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy2(source, folder / source.name)
    return folder / path.name


def compiled(document: bytes, dag_id: str, version: str, content_hash: str) -> Plan:
    """Compile a stored version with the operators that ship with the program."""
    specs: list[OperatorSpec] = [DebugNoop.spec, DebugLog.spec, DebugFail.spec, HttpRequestOperator.spec]
    catalog = language_catalog([*specs, *(pure.spec for pure in PURE_OPERATORS)])
    return compile_dag(
        parse_dag(document, catalog=catalog),
        dag_id=dag_id,
        version=version,
        content_hash=content_hash,
        catalog=catalog,
        computations={pure.spec.name: pure.compute for pure in PURE_OPERATORS},
    )


def examine(store: StoreFile, ledger: list[LedgerCall], acked: dict[str, str]) -> Findings:
    """Compare the three histories: what clients were told, what the store holds, what the target was asked to do.

    Args:
        store: after the last engine stopped.
        ledger: every call that the target got.
        acked: key -> instance id of every acknowledged start.
    """
    findings = Findings(calls=len(ledger))
    statuses: Counter[str] = Counter()
    tasks_by_key: dict[str, str] = {}
    succeeded: set[str] = set()
    for audit, violations, status in store.instances():
        findings.instances += 1
        findings.transitions += audit.transitions
        statuses[status] += 1
        findings.finished += status in TERMINAL
        findings.doubled += bool(violations)
        findings.faults += sentences(violations)[:3]
        for path, task in audit.tasks():
            key = idempotency_key(audit.instance_id, path)
            tasks_by_key[key] = f"{audit.instance_id}/{path}"
            if task.results and task.number:
                succeeded.add(key)
    findings.statuses = dict(statuses)
    _compare_starts(store, acked, findings)
    _compare_calls(ledger, tasks_by_key, succeeded, findings)
    return findings


def _compare_starts(store: StoreFile, acked: dict[str, str], findings: Findings) -> None:
    keys = dict(store.rows("SELECT key, instance_id FROM start_key"))
    ended = {made for (made,) in store.rows("SELECT id FROM instance WHERE status IN (?, ?, ?)", *TERMINAL)}
    for key, instance_id in acked.items():
        if keys.get(key) != instance_id:
            findings.lost += 1
            findings.faults.append(f"{key} -> {instance_id} was acknowledged; the store says {keys.get(key)}")
        elif instance_id not in ended:
            findings.lost += 1
            findings.faults.append(f"{key} -> {instance_id} has not ended")
    spare = findings.instances - len(keys)
    if spare > 0:
        findings.doubled += spare
        findings.faults.append(f"{spare} instances more than start keys")


def _compare_calls(
    ledger: list[LedgerCall], tasks_by_key: dict[str, str], succeeded: set[str], findings: Findings
) -> None:
    attempts: dict[str, list[str | None]] = defaultdict(list)
    paths: dict[str, set[str]] = defaultdict(set)
    for call in ledger:
        if call.key is None or call.key not in tasks_by_key:
            findings.doubled += 1
            findings.faults.append(f"call {call.n} has the key {call.key}, which is no task's")
            continue
        attempts[call.key].append(call.attempt)
        paths[call.key].add(call.path)
    findings.keys = len(attempts)
    for key, numbers in attempts.items():
        if len(set(numbers)) != len(numbers) or len(paths[key]) > 1:
            findings.doubled += 1
            findings.faults.append(f"{tasks_by_key[key]}: attempts {numbers} at {sorted(paths[key])}")
    missing = succeeded - set(attempts)
    if missing:
        findings.doubled += len(missing)
        findings.faults.append(f"{len(missing)} tasks succeeded without a call, {tasks_by_key[min(missing)]} is one")
