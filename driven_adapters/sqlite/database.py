"""One SQLite file: its lock, its threads, its clock. The stores of this package share it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import apsw

from core.errors import StoreUnavailable
from driven_adapters.sqlite.faults import translate
from driven_adapters.sqlite.migration import SCHEMA_FOLDER
from driven_adapters.sqlite.stamps import to_stamp
from driven_adapters.sqlite.statements import load_statements
from driven_adapters.sqlite.threads import CallThreads
from driven_adapters.sqlite.transaction import Stats
from driven_adapters.sqlite.writer import BUSY_MS, STATEMENTS_PREPARED, WAL_BYTES_MAX, Writer, WriterOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from core.ports.clock import Clock
    from driven_adapters.sqlite.transaction import Transaction

Answer = TypeVar("Answer")

SHARD_COUNT = 64  # engine.md 7; fixed when the store is created
READER_COUNT = 2  # engine.md 4


class Reading:
    """One read transaction: everything read in it is of one moment. Lives on a reader's thread only."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, bindings: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one statement and give all its rows."""
        found: list[tuple[Any, ...]] = self._connection.execute(sql, bindings).fetchall()
        return found

    def rows_within(self, sql: str, bindings: Mapping[str, Any], bytes_max: int) -> tuple[list[tuple[Any, ...]], bool]:
        """Give rows until their bodies, the last column, have passed `bytes_max`, and whether that is all."""
        found: list[tuple[Any, ...]] = []
        bytes_count = 0
        for row in self._connection.execute(sql, bindings):
            found.append(row)
            bytes_count += len(row[-1])
            if bytes_count > bytes_max:
                return found, False
        return found, True


class Database:
    """A SQLite file with one writer thread and two reader threads. Making one opens nothing.

    One process per file, held by `flock` on `<path>.lock`; so whatever an earlier process leased is free when the file
    is opened.

    Args:
        path: the file; its folder must exist.
        clock: the store's clock for leases. Wall time is read once, when the file is opened, and goes on by the
            monotonic clock: a jump of the wall clock ends no lease.
        shard_count: of a store that is created now; later the number in the file holds.
        schema_folder: where the migrations lie.
        wal_bytes_max: size of the write-ahead log from which new instances are refused.
        vfs: name of a registered SQLite VFS; for tests that make the disk fail.
        on_point: called at the named points of every write (before_begin, after_fence, after_each_statement:<n>,
            before_commit, after_commit) on the writer's thread; what it raises ends the transaction there, and after
            the commit it stands for a lost answer.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        shard_count: int = SHARD_COUNT,
        schema_folder: Path = SCHEMA_FOLDER,
        wal_bytes_max: int = WAL_BYTES_MAX,
        vfs: str | None = None,
        on_point: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self.stats = Stats()
        self._clock = clock
        self._schema_folder = schema_folder
        self._shard_count = shard_count
        self._wal_bytes_max = wal_bytes_max
        self._vfs = vfs
        self._on_point = on_point
        self._open: contextlib.ExitStack | None = None
        self._writer: Writer | None = None
        self._writes = CallThreads("store-writer", [])
        self._reads = CallThreads("store-reader", [])
        self._wall_at_open = clock.now()
        self._monotonic_at_open = clock.monotonic()

    @property
    def shard_count(self) -> int:
        """Shards of this store; known once it is open."""
        return self._shard_count if self._writer is None else self._writer.shard_count

    def now_stamp(self) -> int:
        """Give the store's time in microseconds."""
        passed_s = self._clock.monotonic() - self._monotonic_at_open
        return to_stamp(self._wall_at_open + timedelta(seconds=passed_s))

    async def open(self, *, migrate: bool = True) -> None:
        """Lock the file, open it and start the threads.

        Args:
            migrate: apply the migrations that are due; off, a store that needs some is refused.

        Raises:
            StoreUnavailable: another process has the file, or it cannot be opened.
            SchemaMismatch: the schema is not this release's.
        """
        await asyncio.to_thread(self._start, is_migrated=migrate)

    async def close(self) -> None:
        """Finish what was asked before, close the file and let it go; closing twice is no error."""
        stack, self._open = self._open, None
        if stack is not None:
            await asyncio.to_thread(stack.close)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def write(self, work: Callable[[Transaction], Answer]) -> Answer:
        """Run one transaction on the writer's thread.

        A cancelled caller does not stop it: it lands or fails whole all the same.

        Raises:
            StoreFull, StoreUnavailable, CommitUnknown, StoreBroken: as `Writer.call` says. QueueFull.
        """
        return await self._writes.call(work)

    async def read(self, work: Callable[[Reading], Answer]) -> Answer:
        """Run one read transaction on a reader's thread; it must stay short (at most READ_ROWS_MAX rows).

        Raises:
            StoreUnavailable, StoreBroken, QueueFull.
        """
        return await self._reads.call(work)

    def _start(self, *, is_migrated: bool) -> None:
        options = WriterOptions(
            path=self.path,
            schema_folder=self._schema_folder,
            is_migrated=is_migrated,
            shard_count=self._shard_count,
            vfs=self._vfs,
            wal_bytes_max=self._wal_bytes_max,
            on_point=self._on_point,
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self.path))
            self._wall_at_open, self._monotonic_at_open = self._clock.now(), self._clock.monotonic()
            writer = Writer(options, self.stats)
            self._writes = CallThreads("store-writer", [writer])
            self._writes.start()
            stack.callback(self._writes.stop)
            self._writer = writer
            self._reads = CallThreads("store-reader", [Reader(self.path, self._vfs) for _ in range(READER_COUNT)])
            self._reads.start()
            stack.callback(self._reads.stop)
            self._open = stack.pop_all()


class Reader:
    """A desk of `CallThreads`: each piece of work is one read transaction."""

    def __init__(self, path: Path, vfs: str | None) -> None:
        self._path = path
        self._vfs = vfs
        self._control = load_statements("connection.sql")
        self._connection: apsw.Connection | None = None

    def open(self) -> None:
        """Open the file for reading only."""
        try:
            self._connection = apsw.Connection(
                str(self._path), apsw.SQLITE_OPEN_READONLY, self._vfs, statementcachesize=STATEMENTS_PREPARED
            )
            self._connection.set_busy_timeout(BUSY_MS)
        except apsw.Error as fault:
            raise translate(fault) from fault

    def call(self, work: Callable[[Reading], Any]) -> Any:
        """Run one read transaction."""
        connection = self._connection
        if connection is None:
            raise StoreUnavailable("the store is not open")
        try:
            connection.execute(self._control["begin_read"])
            try:
                return work(Reading(connection))
            finally:
                if connection.in_transaction:
                    connection.execute(self._control["rollback"])
        except apsw.Error as fault:
            raise translate(fault) from fault

    def rest(self, *, is_idle: bool) -> None:
        """Do nothing: a reader leaves no work behind."""

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def renew_incarnation(database: Database) -> None:
    """Make this file another store with the same rows, as after a restored backup (R8): every fence is over."""
    control = load_statements("connection.sql")

    def renew(tx: Transaction) -> None:
        tx.write(control["put_meta"], {"key": "incarnation", "value": os.urandom(16).hex()})
        tx.write(control["clear_owners"])

    await database.write(renew)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock; a file of its own, since closing any handle of the database would drop SQLite's locks."""
    lock_path = Path(f"{path}.lock")
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise StoreUnavailable(f"{lock_path} cannot be opened: {fault.strerror}") from fault
    try:
        _take(lock, path)
        yield
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        raise StoreUnavailable(f"another process has {path} open; one store file belongs to one process") from fault
