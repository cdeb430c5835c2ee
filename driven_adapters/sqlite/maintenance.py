"""Looking at a store file from outside, while no process or another one has it open."""

from __future__ import annotations

from pathlib import Path

import apsw

from driven_adapters.sqlite.faults import translate
from driven_adapters.sqlite.migration import SCHEMA_FOLDER, MigrationStatus, status


def read_migrations(path: Path, folder: Path = SCHEMA_FOLDER) -> list[MigrationStatus]:
    """List the migrations of a store file in order, applied or not; a file that is not there has none applied.

    Raises:
        SchemaMismatch: the file was made by another release. StoreUnavailable, StoreBroken: it cannot be read.
    """
    try:
        # No file: a database in memory says which migrations there are without making one.
        name, flags = (
            (str(path), apsw.SQLITE_OPEN_READONLY) if path.exists() else (":memory:", apsw.SQLITE_OPEN_READWRITE)
        )
        connection = apsw.Connection(name, flags)
        try:
            return status(connection, folder)
        finally:
            connection.close()
    except apsw.Error as fault:
        raise translate(fault) from fault
