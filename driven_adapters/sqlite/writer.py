"""The one connection that writes: begins, commits, tells what became of it, and checkpoints between commits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from core.errors import CommitUnknown, SchemaMismatch, StoreBroken, StoreFull
from driven_adapters.sqlite.faults import translate
from driven_adapters.sqlite.migration import migrate, status
from driven_adapters.sqlite.statements import load_statements
from driven_adapters.sqlite.transaction import Stats, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE_BYTES = 2_048  # a commit writes whole pages: the size with the fewest bytes at no cost in time (bench/NOTES.md)
FRAME_HEADER_BYTES = 24  # of a frame in the write-ahead log; figures of bytes written count it
CHECKPOINT_BYTES = 16 * 1_048_576  # the log at which a checkpoint is due: large enough that a hot page is copied once
CHECKPOINT_PAGES = CHECKPOINT_BYTES // PAGE_BYTES
WAL_BYTES_MAX = 512 * 1_048_576  # engine.md 4: beyond it the store takes no new instance
CACHE_KIBIBYTES = 16_384  # the writer's pages in memory; the hot ends of all tables fit many times
STATEMENTS_PREPARED = 256  # more than all texts of this adapter in all chunk sizes that occur together
BUSY_MS = 1_000  # another program may look into the file; nobody holds the write lock for long


class WriterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the writer opens its file; `on_point` is for tests, `vfs` for tests that make the disk fail."""

    path: Path
    schema_folder: Path
    is_migrated: bool
    shard_count: int
    vfs: str | None
    wal_bytes_max: int
    on_point: Callable[[str], None] | None


class Writer:
    """A desk of `CallThreads`: each piece of work is one transaction."""

    def __init__(self, options: WriterOptions, stats: Stats) -> None:
        self._options = options
        self._stats = stats
        self._control = load_statements("connection.sql")
        self._connection: apsw.Connection | None = None
        self._broken: StoreBroken | None = None
        self._wal_pages = 0
        self._checkpoint_due_pages = CHECKPOINT_PAGES
        self.shard_count = 0

    def open(self) -> None:
        """Open the file, bring its schema up to date, and make a new store's own facts.

        Raises:
            SchemaMismatch: the schema is not this release's and `is_migrated` is off.
            StoreUnavailable, StoreBroken, StoreFull: the file cannot be opened or written.
        """
        try:
            self._connection = self._connect()
            if self._options.is_migrated:
                migrate(self._connection, self._options.schema_folder, self._reach)
            elif not all(known.is_applied for known in status(self._connection, self._options.schema_folder)):
                raise SchemaMismatch("migrations are due: run `flow db migrate`")
            self._transact(self._make_facts)
        except apsw.Error as fault:
            raise translate(fault) from fault

    def call(self, work: Callable[[Transaction], Any]) -> Any:
        """Run one transaction.

        Raises:
            StoreFull, StoreUnavailable: nothing was written.
            CommitUnknown: the commit, or the way back, raised; the connection was opened anew.
            StoreBroken: an I/O error; every later call raises it too (R12).
        """
        if self._broken is not None:
            raise self._broken
        self._reach("before_begin")
        return self._transact(work)

    def rest(self, *, is_idle: bool) -> None:
        """Copy the log into the file when it has grown enough; sooner when nothing waits."""
        due = self._checkpoint_due_pages + (0 if is_idle else CHECKPOINT_PAGES)
        if self._broken is None and (self._wal_pages >= due or self._is_wal_full()):
            self._checkpoint(self._held())

    def close(self) -> None:
        """Close the file; the last connection copies the log, unless the disk is not to be trusted."""
        if self._connection is not None:
            if self._broken is not None:
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._connection.close()
            self._connection = None

    def _connect(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        path, vfs = str(self._options.path), self._options.vfs
        connection = apsw.Connection(path, flags, vfs, statementcachesize=STATEMENTS_PREPARED)
        connection.set_busy_timeout(BUSY_MS)
        connection.pragma("page_size", PAGE_BYTES)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("cache_size", -CACHE_KIBIBYTES)
        connection.pragma("journal_size_limit", CHECKPOINT_BYTES)
        connection.set_wal_hook(self._note_wal)
        # What an earlier process left in the log is copied now: bytes are counted from here.
        self._wal_pages = max(0, connection.wal_checkpoint()[0])
        return connection

    def _make_facts(self, tx: Transaction) -> None:
        """Give a new store its incarnation, pepper and shards; free what an earlier process had leased."""
        found = tx.rows(self._control["read_meta"], {"key": "shard_count"})
        if found:
            self.shard_count = found[0][0]
            tx.write(self._control["clear_leases"])
            return
        self.shard_count = self._options.shard_count
        facts = {"shard_count": self.shard_count, "incarnation": os.urandom(16).hex(), "pepper": os.urandom(32)}
        for key, value in facts.items():
            tx.write(self._control["put_meta"], {"key": key, "value": value})
        for shard in range(self.shard_count):
            tx.write(self._control["insert_shard"], {"id": shard})

    def _transact(self, work: Callable[[Transaction], Any]) -> Any:
        connection = self._held()
        tx = Transaction(connection, self._stats, self._options.on_point, is_wal_full=self._is_wal_full())
        try:
            connection.execute(self._control["begin_write"])
            answer = work(tx)
            self._reach("before_commit")
        except Exception as fault:
            self._roll_back(fault)
            told = self._told(fault)
            if told is fault:
                raise
            raise told from fault
        self._commit(connection)
        return answer

    def _commit(self, connection: apsw.Connection) -> None:
        try:
            connection.execute(self._control["commit"])
        except Exception as fault:
            told = self._told(fault)
            if isinstance(told, StoreBroken):
                raise told from fault
            if isinstance(told, StoreFull):
                # The log could not take the commit's own frame: the way back makes it known that nothing landed.
                self._roll_back(fault)
                raise told from fault
            self._reconnect()
            raise CommitUnknown(f"COMMIT raised {fault}") from fault
        self._stats.commits += 1
        try:
            self._reach("after_commit")
        except Exception as fault:
            raise CommitUnknown("the answer of a commit was lost") from fault

    def _roll_back(self, fault: Exception) -> None:
        """Undo the transaction that `fault` ended; SQLite may have done so itself."""
        connection = self._held()
        if not connection.in_transaction:
            return
        try:
            connection.execute(self._control["rollback"])
        except Exception as second:
            for told in (self._told(fault), self._told(second)):
                if isinstance(told, StoreBroken):
                    raise told from second
            self._reconnect()
            raise CommitUnknown(f"ROLLBACK raised {second}") from second

    def _told(self, fault: Exception) -> Exception:
        """Translate an error, and remember the one that ends the process."""
        told = fault if isinstance(fault, StoreBroken) else translate(fault)
        if isinstance(told, StoreBroken):
            self._broken = told
        return told

    def _reconnect(self) -> None:
        """Discard a connection whose state is not known."""
        try:
            self._held().close()
            self._connection = None
            self._connection = self._connect()
        except Exception as fault:
            self._broken = StoreBroken(f"the file cannot be opened again: {fault}")
            raise self._broken from fault

    def _checkpoint(self, connection: apsw.Connection) -> None:
        is_large = 2 * self._wal_pages * PAGE_BYTES >= self._options.wal_bytes_max
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if is_large else apsw.SQLITE_CHECKPOINT_PASSIVE
        # A log copied whole starts again at its beginning with the next commit; one that a reader holds grows on.
        self._checkpoint_due_pages = self._wal_pages + CHECKPOINT_PAGES
        connection.set_busy_timeout(0)  # commits wait behind this: a reader in the way is not waited for
        try:
            logged, _copied = connection.wal_checkpoint(mode=mode)
        except (apsw.BusyError, apsw.FullError):
            return  # a reader holds an old page, or the file cannot grow: the log stays, a later rest tries again
        except apsw.Error as fault:
            self._told(fault)
            return
        finally:
            connection.set_busy_timeout(BUSY_MS)
        self._stats.checkpoints += 1
        if logged == 0:
            self._note_restart()

    def _is_wal_full(self) -> bool:
        return self._wal_pages * PAGE_BYTES >= self._options.wal_bytes_max

    def _note_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        """Count what a commit wrote; called by SQLite with the number of pages in the log."""
        if pages <= self._wal_pages:
            self._note_restart()
        written = pages - self._wal_pages
        self._wal_pages = pages
        self._stats.bytes += written * (PAGE_BYTES + FRAME_HEADER_BYTES)
        return apsw.SQLITE_OK

    def _note_restart(self) -> None:
        self._wal_pages = 0
        self._checkpoint_due_pages = CHECKPOINT_PAGES

    def _held(self) -> apsw.Connection:
        if self._connection is None:
            raise StoreBroken("the file is not open")
        return self._connection

    def _reach(self, point: str) -> None:
        if self._options.on_point is not None:
            self._options.on_point(point)
