"""Schema changes: numbered files with a way back, applied in order, each in one transaction."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import msgspec

from core.errors import SchemaMismatch
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Beside the packages, in a checkout and in an installed wheel alike.
SCHEMA_FOLDER = Path(__file__).parents[2] / "schema" / "sqlite"
_ROLLBACK_SUFFIX = ".rollback.sql"


class MigrationStatus(msgspec.Struct, frozen=True):
    """One migration, by the name of its file without `.sql`."""

    name: str
    is_applied: bool


class _Migration(msgspec.Struct, frozen=True):
    name: str
    hash: str
    text: str
    rollback_file: Path


def migrate(
    connection: apsw.Connection, folder: Path = SCHEMA_FOLDER, on_point: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Apply what is not applied yet, in the order of the file names; all of it in one transaction.

    `on_point` is called at before_migration, in_migration behind each file, and after_migration, when any is due.

    Returns:
        The names applied now; an empty list when the schema was up to date.

    Raises:
        SchemaMismatch: an applied file has changed or is not known here; nothing was applied.
    """
    sql = load_statements("migration.sql")
    control = load_statements("connection.sql")
    connection.execute(control["begin_write"])
    try:
        connection.execute(sql["create_migration"])
        pending = _find_pending(connection, sql, folder)
        if pending:
            on_point("before_migration")
        for migration in pending:
            connection.execute(migration.text)
            connection.execute(sql["insert_migration"], {"name": migration.name, "hash": migration.hash})
            on_point("in_migration")
        connection.execute(control["commit"])
    except BaseException:
        connection.execute(control["rollback"])
        raise
    if pending:
        on_point("after_migration")
    return [migration.name for migration in pending]


def status(connection: apsw.Connection, folder: Path = SCHEMA_FOLDER) -> list[MigrationStatus]:
    """List the known migrations in order, applied or not; writes nothing.

    Raises:
        SchemaMismatch: an applied file has changed or is not known here.
    """
    sql = load_statements("migration.sql")
    pending = {migration.name for migration in _find_pending(connection, sql, folder)}
    return [MigrationStatus(migration.name, migration.name not in pending) for migration in _read_migrations(folder)]


def rollback(connection: apsw.Connection, count: int, folder: Path = SCHEMA_FOLDER) -> list[str]:
    """Take the newest `count` applied migrations back, newest first, in one transaction.

    Returns:
        The names taken back; fewer than `count` when fewer were applied.

    Raises:
        SchemaMismatch: an applied file has changed or is not known here; nothing was taken back.
    """
    sql = load_statements("migration.sql")
    control = load_statements("connection.sql")
    pending = {migration.name for migration in _find_pending(connection, sql, folder)}
    applied = [migration for migration in reversed(_read_migrations(folder)) if migration.name not in pending]
    undone = applied[:count]
    connection.execute(control["begin_write"])
    try:
        for migration in undone:
            connection.execute(migration.rollback_file.read_text(encoding="utf-8"))
            connection.execute(sql["delete_migration"], {"name": migration.name})
        connection.execute(control["commit"])
    except BaseException:
        connection.execute(control["rollback"])
        raise
    return [migration.name for migration in undone]


def _read_migrations(folder: Path) -> list[_Migration]:
    files = sorted(file for file in folder.glob("*.sql") if not file.name.endswith(_ROLLBACK_SUFFIX))
    if not files:
        raise SchemaMismatch(f"no migrations in {folder}")
    return [_read_migration(file) for file in files]


def _read_migration(file: Path) -> _Migration:
    body = file.read_bytes()
    name = file.name.removesuffix(".sql")
    digest = hashlib.sha256(body).hexdigest()
    return _Migration(name, digest, body.decode(), file.with_name(name + _ROLLBACK_SUFFIX))


def _find_pending(connection: apsw.Connection, sql: Mapping[str, str], folder: Path) -> list[_Migration]:
    known = _read_migrations(folder)
    applied: dict[str, str] = {}
    if connection.execute(sql["has_migration"]).get:
        applied = {str(name): str(digest) for name, digest in connection.execute(sql["list_migrations"])}
    strange = sorted(applied.keys() - {migration.name for migration in known})
    changed = [known_one.name for known_one in known if applied.get(known_one.name, known_one.hash) != known_one.hash]
    if strange or changed:
        raise SchemaMismatch(f"applied but not known here: {strange}; changed since: {changed}")
    return [migration for migration in known if migration.name not in applied]
