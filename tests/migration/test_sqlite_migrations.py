"""SQLite's schema: up, down and up again with rows present, the same catalogue each time; every statement fits it."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from core.errors import SchemaMismatch
from driven_adapters.sqlite import Database, SqliteInstanceStore, SqliteShardStore, migrate, rollback, status
from driven_adapters.sqlite.migration import SCHEMA_FOLDER
from driven_adapters.sqlite.statements import SQL_FOLDER, load_statements
from tests.contract.rows import SHARD, change, frame, new_command, payload, seen_key, start_key, timer
from tests.contract.rows import later as at
from tests.contract.stores import HandClock

PARAMETER = re.compile(r":(\w+)")
NAMES = [
    "001_engine",
    "002_dag",
    "003_access",
    "004_keys",
    "005_draft",
    "006_reading",
    "007_file",
    "008_label",
    "009_payload_object",
    "010_answer",
    "011_batch",
    "012_audit",
    "013_rerun",
    "014_output_cache",
    "015_permit",
    "016_call",
    "017_audit_seal",
    "018_priority",
]
# Tables without rows of a tenant: facts of the store itself.
STORE_TABLES = {
    "store_meta",
    "lease",
    "shard",
    "migration",
    "domain",
    "sqlite_sequence",
    "sqlite_stat1",
    "sqlite_stat4",
}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    opened = apsw.Connection(str(tmp_path / "flow.db"))
    yield opened
    opened.close()


def catalogue(connection: apsw.Connection) -> list[tuple[object, ...]]:
    """List everything that the file is made of, but the places of its pages."""
    return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()


async def fill(path: Path) -> None:
    """Put a row into every table that a commit writes."""
    async with Database(path, HandClock(), shard_count=4) as database:
        shards, store = SqliteShardStore(database), SqliteInstanceStore(database)
        await shards.open_lease("node", 3.0)
        fence = await shards.acquire("node", SHARD, 0)
        assert fence is not None
        made = change(
            "i1",
            None,
            start_key=start_key("i1"),
            seen=(seen_key("s"),),
            frames=(frame("i1", ""),),
            payloads=(payload("i1", 1, 0, b"v"),),
            timers_set=(timer("i1", 1, at(1)),),
            row={"labels": {"region": "eu"}, "trigger_kind": "cron"},
        )
        assert [None] == await store.commit([fence], [made])
        await store.ingest([new_command("i1", "c")])


def test_new_file_gets_every_migration_once(connection: apsw.Connection) -> None:
    assert [(name, False) for name in NAMES] == [(one.name, one.is_applied) for one in status(connection)]
    assert NAMES == migrate(connection)
    assert [] == migrate(connection)
    assert [(name, True) for name in NAMES] == [(one.name, one.is_applied) for one in status(connection)]


@pytest.mark.parametrize("count", [*range(1, len(NAMES) + 1), 99])
def test_down_and_up_with_rows_present_gives_the_same_catalogue(tmp_path: Path, count: int) -> None:
    path = tmp_path / "flow.db"
    asyncio.run(fill(path))
    connection = apsw.Connection(str(path))
    before = catalogue(connection)

    assert NAMES[::-1][:count] == rollback(connection, count)
    assert before != catalogue(connection)
    assert NAMES[-count:] == migrate(connection)
    assert before == catalogue(connection)
    connection.close()
    asyncio.run(reopen(path))


async def reopen(path: Path) -> None:
    async with Database(path, HandClock(), shard_count=4) as database:
        assert 4 == len(await SqliteShardStore(database).shards())


def test_rollback_of_everything_leaves_only_the_list_of_migrations(connection: apsw.Connection) -> None:
    migrate(connection)
    rollback(connection, len(NAMES))

    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    assert [("migration",), ("sqlite_sequence",)] == tables
    assert [] == rollback(connection, 1)


def test_every_migration_has_its_way_back() -> None:
    files = {file.name for file in SCHEMA_FOLDER.iterdir()}

    assert {f"{name}{suffix}" for name in NAMES for suffix in (".sql", ".rollback.sql")} == files


def test_failing_migration_changes_nothing(connection: apsw.Connection, tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(SCHEMA_FOLDER, folder)
    migrate(connection, folder)
    before = catalogue(connection)
    (folder / "900_more.sql").write_text("CREATE TABLE more (n INTEGER); CREATE TABLE more (n INTEGER);")
    with pytest.raises(apsw.SQLError):
        migrate(connection, folder)

    assert before == catalogue(connection)
    assert [False] == [one.is_applied for one in status(connection, folder) if one.name == "900_more"]


def test_failing_rollback_changes_nothing(connection: apsw.Connection, tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(SCHEMA_FOLDER, folder)
    migrate(connection, folder)
    before = catalogue(connection)
    (folder / "002_dag.rollback.sql").write_text("DROP TABLE no_such_table;")
    with pytest.raises(apsw.SQLError):
        rollback(connection, len(NAMES), folder)

    assert before == catalogue(connection)


def test_changed_file_of_an_applied_migration_is_refused(connection: apsw.Connection, tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(SCHEMA_FOLDER, folder)
    migrate(connection, folder)
    with (folder / "002_dag.sql").open("a") as file:
        file.write("-- one more line\n")

    for act in (migrate, status, lambda where, files: rollback(where, 1, files)):
        with pytest.raises(SchemaMismatch, match="002_dag"):
            act(connection, folder)


def test_store_of_a_later_release_is_refused(connection: apsw.Connection, tmp_path: Path) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(SCHEMA_FOLDER, folder)
    (folder / "900_later.sql").write_text("CREATE TABLE later (n INTEGER);")
    migrate(connection, folder)

    with pytest.raises(SchemaMismatch, match="900_later"):
        migrate(connection)


def test_folder_without_migrations_is_refused(connection: apsw.Connection, tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="no migrations"):
        status(connection, tmp_path / "nowhere")


def test_every_table_with_rows_of_a_tenant_has_its_domain(connection: apsw.Connection) -> None:
    migrate(connection)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    without = {
        name
        for name in tables
        if "domain_id" not in {column[1] for column in connection.execute(f"PRAGMA table_info({name})")}
    }

    assert STORE_TABLES >= without
    assert {"instance", "journal", "frame", "payload", "timer", "inbox", "api_key", "dag", "idem"} <= tables - without


@pytest.mark.parametrize("file", sorted(file.relative_to(SQL_FOLDER) for file in SQL_FOLDER.rglob("*.sql")), ids=str)
def test_every_statement_fits_the_schema(connection: apsw.Connection, file: Path) -> None:
    migrate(connection)
    for name, text in load_statements(str(file)).items():
        if text.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
            bindings = dict.fromkeys(PARAMETER.findall(text))
            plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", bindings).fetchall()
            steps = [str(step[3]) for step in plan]
            assert [] == [step for step in steps if is_scan(step)], name


# The index that serves a list's leading condition, and what else its plan says.
LISTS = {
    "instances": ["SEARCH i USING INDEX instance_newest (domain_id=? AND id>? AND id<?)"],
    "of_dag": ["SEARCH i USING INDEX instance_of_dag (domain_id=? AND dag_id=? AND id>? AND id<?)"],
    "of_version": [
        "SEARCH i USING INDEX instance_of_version (domain_id=? AND dag_id=? AND dag_version=? AND id>? AND id<?)"
    ],
    "by_status": ["SEARCH i USING INDEX instance_by_status (domain_id=? AND status=? AND id>? AND id<?)"],
    "by_trigger": ["SEARCH i USING INDEX instance_by_trigger (domain_id=? AND trigger_kind=? AND id>? AND id<?)"],
    "by_parent": [
        "SEARCH i USING INDEX instance_by_parent (domain_id=? AND parent_id=? AND id>? AND id<?)",
        "CORRELATED SCALAR SUBQUERY 2",
        "SCAN wanted VIRTUAL TABLE INDEX 1:",
        "CORRELATED SCALAR SUBQUERY 1",
        "SEARCH o USING PRIMARY KEY (domain_id=? AND name=? AND value=? AND instance_id=?)",
    ],
    "by_label": [
        "SEARCH l USING PRIMARY KEY (domain_id=? AND name=? AND value=? AND instance_id>? AND instance_id<?)",
        "CORRELATED SCALAR SUBQUERY 2",
        "SCAN wanted VIRTUAL TABLE INDEX 1:",
        "CORRELATED SCALAR SUBQUERY 1",
        "SEARCH o USING PRIMARY KEY (domain_id=? AND name=? AND value=? AND instance_id=?)",
        "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)",
    ],
}


@pytest.mark.parametrize("name", LISTS)
def test_list_of_instances_is_read_in_the_order_of_the_index_of_its_leading_condition(
    connection: apsw.Connection, name: str
) -> None:
    migrate(connection)
    statements = load_statements("engine/views.sql")

    assert LISTS[name] == plan_of(connection, statements[f"list_{name}"])
    if f"walk_{name}" in statements:
        walked = plan_of(connection, statements[f"walk_{name}"])
        assert [step.replace("USING INDEX", "USING COVERING INDEX") for step in LISTS[name][:1]] == walked


def test_every_list_of_instances_has_its_plan_here() -> None:
    names = {name for name in load_statements("engine/views.sql") if name.startswith("list_")}

    assert {f"list_{name}" for name in LISTS} == names


def plan_of(connection: apsw.Connection, text: str) -> list[str]:
    bindings = dict.fromkeys(PARAMETER.findall(text))
    return [str(step[3]) for step in connection.execute(f"EXPLAIN QUERY PLAN {text}", bindings)]


def is_scan(step: str) -> bool:
    """Tell whether a step reads a table that grows from end to end."""
    words = step.split()
    # An EXISTS stops at its first row; the others are bounded: rows of a batch, shards, applied files.
    bounded = {"wanted", "fence", "change", "CONSTANT", "(subquery-1)", "api_key", "shard", "s", "lease", "migration"}
    return words[0] == "SCAN" and words[1] not in bounded | {"sqlite_schema"} and "VIRTUAL" not in words


def test_notes_of_files_become_notes_of_objects_and_come_back(connection: apsw.Connection) -> None:
    migrate(connection)
    rollback(connection, len(NAMES) - NAMES.index("009_payload_object"))
    connection.execute("INSERT INTO file_loose (domain_id, file_id, since) VALUES ('d', 'f1', 5)")
    migrate(connection)
    connection.execute("INSERT INTO object_loose (domain_id, object_key, since) VALUES ('d', 'payload/i/o', 6)")

    rows = "SELECT domain_id, object_key, since, is_condemned FROM object_loose ORDER BY since"
    assert [("d", "file/f1", 5, 0), ("d", "payload/i/o", 6, 0)] == connection.execute(rows).fetchall()
    rollback(connection, len(NAMES) - NAMES.index("009_payload_object"))
    assert [("d", "f1", 5)] == connection.execute("SELECT domain_id, file_id, since FROM file_loose").fetchall()
