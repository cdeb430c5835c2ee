"""`@data/query` in a real process: what it answers, what it cannot reach, what it leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from core.executor.operator import Call, Failed, Outcome, Succeeded
from core.file.files import Files, NewFile
from core.ports.file_store import FileRow
from core.ports.object_store import CHUNK_BYTES
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryFileStore, MemoryObjectNotes, MemoryStore
from driven_adapters.object_store import LocalObjectStore, MemoryObjectStore
from driven_adapters.operators.query import QueryOperator
from driven_adapters.operators.query_schema import ROWS_BYTES_MAX
from driven_adapters.sandbox import LocalRunner
from tests.contract.operators.file_world import CountingIds
from tests.contract.stores import HandClock

SCOPE = Scope("dom-a", Principal("i1", "system", "step"))
OTHER = Scope("dom-b", Principal("i2", "system", "step"))


class World:
    """Files in a folder, and the operator over a real runner."""

    def __init__(self, files: Files, runner: LocalRunner, folder: Path) -> None:
        self.files = files
        self.folder = folder
        self.operator = QueryOperator(runner, files, folder / "scratch")

    async def store(self, name: str, content: bytes, scope: Scope = SCOPE) -> FileRow:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        return await self.files.put(scope, NewFile(name=name, media_type="text/plain"), chunks())

    async def ask(self, sql: str, *, key: str = "k", **more: Any) -> Outcome:
        outcome = await self.operator.execute(
            Call(
                instance_id="01JD3V6Q0R5M9T8W7X2Y4Z1A3D",
                domain_id="dom-a",
                task_path="fan.3.query",
                idempotency_key=key,
                attempt=1,
                parameters={"sql": sql, **more},
                deadline_at=None,
                heartbeat=lambda: None,
            )
        )
        assert [] == left_in(self.folder / "scratch")
        return outcome

    async def rows(self, sql: str, **more: Any) -> Any:
        outcome = await self.ask(sql, **more)
        assert isinstance(outcome, Succeeded), outcome
        return outcome.output["rows"]

    async def content(self, file_id: str) -> bytes:
        row = await self.files.get(SCOPE, file_id)
        return b"".join([chunk async for chunk in self.files.read(row)])


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def parquet(folder: Path, sql: str) -> bytes:
    path = folder / "made.parquet"
    duckdb.connect().execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


@asynccontextmanager
async def world(folder: Path, *, in_memory: bool = False, **more: Any) -> AsyncIterator[World]:
    clock = HandClock()
    async with LocalObjectStore(folder / "objects", free_bytes_min=0) as local, LocalRunner() as runner:
        objects = MemoryObjectStore(clock) if in_memory else local
        rows = MemoryStore(clock)
        files = Files(MemoryFileStore(rows), MemoryObjectNotes(rows), objects, clock, CountingIds(), **more)
        yield World(files, runner, folder)


@pytest.mark.parametrize("in_memory", [False, True])
async def test_files_of_each_format_and_tables_are_joined(tmp_path: Path, in_memory: bool) -> None:
    async with world(tmp_path, in_memory=in_memory) as at:
        orders = await at.store("orders.csv", b"id,customer,amount\n1,a,2.5\n2,b,4\n3,a,1\n")
        await at.store("customers.json", b'[{"customer": "a", "name": "Ada"}, {"customer": "b", "name": "Bob"}]')
        await at.store("cities.parquet", parquet(tmp_path, "SELECT 'a' AS customer, 'Bonn' AS city"))

        rows = await at.rows(
            "SELECT name, city, sum(amount * factor) AS total FROM orders JOIN customers USING (customer)"
            " LEFT JOIN cities USING (customer), rate WHERE amount >= $least GROUP BY ALL ORDER BY name",
            files={
                "orders": {"id": orders.id},
                "customers": {"name": "customers.json"},
                "cities": {"name": "cities.parquet"},
            },
            tables={"rate": [{"factor": 10}]},
            parameters={"least": 2},
        )

    assert [{"name": "Ada", "city": "Bonn", "total": 25.0}, {"name": "Bob", "city": None, "total": 40.0}] == rows


async def test_values_come_as_json(tmp_path: Path) -> None:
    sql = """SELECT 1::BIGINT AS i, 1.5 AS d, 'nan'::DOUBLE AS n, NULL AS z, true AS b, 'é' AS t, DATE '2026-03-01' AS day,
        TIMESTAMP '2026-03-01 12:00:00' AS at, TIMESTAMPTZ '2026-03-01 12:00:00+02' AS zoned, 1::HUGEINT << 70 AS huge,
        '\\x01'::BLOB AS bytes, [1, 2] AS list, {'a': 1} AS struct, MAP {'k': 'v'} AS map, INTERVAL 90 SECOND AS span,
        UUID '00000000-0000-0000-0000-000000000001' AS uuid, '{"x": [1]}'::JSON AS json"""
    expected = {
        "i": 1, "d": 1.5, "n": None, "z": None, "b": True, "t": "é", "day": "2026-03-01", "at": "2026-03-01T12:00:00",
        "zoned": "2026-03-01T10:00:00.000000Z", "huge": str(2**70), "bytes": "AQ==", "list": [1, 2], "struct": {"a": 1},
        "map": {"k": "v"}, "span": 90.0, "uuid": "00000000-0000-0000-0000-000000000001", "json": {"x": [1]},
    }  # fmt: skip
    async with world(tmp_path) as at:
        assert [expected] == await at.rows(sql)


async def test_table_of_values_keeps_their_types(tmp_path: Path) -> None:
    rows = [
        {"i": 1, "f": 1, "t": "2026-01-01", "b": True, "m": 1, "o": {"a": [1]}, "q'\" ": "x"},
        {"i": 2**62, "f": 0.5, "t": "007", "b": None, "m": "one", "o": None, "extra": None},
    ]
    async with world(tmp_path) as at:
        found = await at.rows("SELECT * FROM t", tables={"t": rows})

    assert [
        {"i": 1, "f": 1.0, "t": "2026-01-01", "b": True, "m": 1, "o": {"a": [1]}, "q'\" ": "x", "extra": None},
        {"i": 2**62, "f": 0.5, "t": "007", "b": None, "m": "one", "o": None, "q'\" ": None, "extra": None},
    ] == found


async def test_result_over_the_bound_becomes_one_file_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        first = await at.ask("SELECT range AS n, 'x' || range AS t FROM range(100000)")
        again = await at.ask("SELECT range AS n, 'x' || range AS t FROM range(100000)")
        assert isinstance(first, Succeeded)
        assert first == again
        assert ([], 100_000) == (first.output["rows"], first.output["row_count"])
        assert [{"name": "n", "type": "BIGINT"}, {"name": "t", "type": "VARCHAR"}] == first.output["columns"]
        assert "results/01JD3V6Q0R5M9T8W7X2Y4Z1A3D/fan.3.query.parquet" == first.output["file"]["name"]
        assert 1 == len(await at.files.list(SCOPE, prefix="", after=("", ""), limit=10))
        total = await at.rows("SELECT sum(n) AS s FROM r", files={"r": {"id": first.output["file"]["id"]}})
    assert [{"s": sum(range(100_000))}] == total


async def test_result_within_the_bound_stays_rows(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        rows = await at.rows("SELECT range AS n, repeat('x', 1000) AS t FROM range(200)")
    assert 200 == len(rows)
    assert len(msgspec.json.encode(rows)) < ROWS_BYTES_MAX


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("out/a.csv", None, b"n,t\n0,a\n1,a\n"),
        ("out/a.json", None, b'{"n":0,"t":"a"}\n{"n":1,"t":"a"}\n'),
        ("out/a", "csv", b"n,t\n0,a\n1,a\n"),
    ],
)
async def test_result_goes_into_the_file_that_the_step_names(
    tmp_path: Path, name: str, form: str | None, expected: bytes
) -> None:
    async with world(tmp_path) as at:
        into = {"name": name} | ({"format": form} if form else {})
        outcome = await at.ask("SELECT range AS n, 'a' AS t FROM range(2)", into=into)
        assert isinstance(outcome, Succeeded)
        assert (2, [], name) == (outcome.output["row_count"], outcome.output["rows"], outcome.output["file"]["name"])
        assert expected == await at.content(outcome.output["file"]["id"])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_csv('/proc/self/environ')",
        "SELECT * FROM '{other}'", "SELECT * FROM glob('/*')", "SELECT * FROM read_blob('{folder}/**')",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x')", "SELECT * FROM 's3://bucket/x.csv'",
        "COPY (SELECT 1) TO '/tmp/out.csv'", "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL httpfs FROM community",
        "ATTACH '{folder}/x.db'", "CREATE TABLE x AS SELECT 1", "SET enable_external_access = true", "SET threads = 64",
        "PRAGMA database_list", "CALL pragma_version()", "EXPORT DATABASE '{folder}'", "SELECT 1; SELECT 2", "",
        "SELECT getenv('HOME')", "DROP VIEW mine", "DELETE FROM mine", "UPDATE mine SET a = 1", "VACUUM",
        "CREATE SECRET s (TYPE s3)", "SELECT * FROM query('ATTACH ''x''')", "RESET lock_configuration", "CHECKPOINT",
        "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT * FROM parquet_metadata('/etc/passwd')", "SELEC",
        "SELECT * FROM theirs", "WITH x AS (INSERT INTO mine VALUES (1) RETURNING 1) SELECT * FROM x",
        "SELECT * FROM python_scan()", "SELECT * FROM request", "PREPARE p AS SELECT 1", "BEGIN", "SHOW ALL TABLES; SELECT 1",
    ],
)  # fmt: skip
async def test_statement_that_reaches_out_is_refused(tmp_path: Path, sql: str) -> None:
    async with world(tmp_path) as at:
        mine = await at.store("mine.csv", b"a\n1\n")
        theirs = await at.store("theirs.csv", b"a\nsecret\n", OTHER)
        other = await at.files.local_path(theirs)
        before = sorted((tmp_path / "objects").rglob("*"))
        outcome = await at.ask(
            sql.format(folder=tmp_path, other=other) if "{" in sql else sql, files={"mine": {"id": mine.id}}
        )
        assert isinstance(outcome, Failed), outcome
        assert "invalid" == outcome.error_kind, outcome
        assert before == sorted((tmp_path / "objects").rglob("*"))


async def test_file_of_another_domain_is_not_found(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        theirs = await at.store("theirs.csv", b"a\n1\n", OTHER)
        for named in ({"id": theirs.id}, {"name": "theirs.csv"}):
            outcome = await at.ask("SELECT * FROM f", files={"f": named})
            assert isinstance(outcome, Failed)
            assert "not_found" == outcome.error_kind


@pytest.mark.parametrize(
    ("given", "kind", "word"),
    [
        ({"sql": "SELECT * FROM f", "files": {"f": {"name": "broken.parquet"}}}, "invalid", "f"),
        ({"sql": "SELECT * FROM f", "files": {"f": {"name": "no-suffix"}}}, "invalid", "files.f.format"),
        ({"sql": "SELECT * FROM f", "files": {"f": {"name": "../x"}}}, "invalid", "parts"),
        ({"sql": "SELECT * FROM t", "tables": {"t": []}}, "invalid", "t has no rows"),
        ({"sql": "SELECT $missing"}, "invalid", "missing"),
        ({"sql": "SELECT 1", "into": {"name": "../x"}}, "invalid", "parts"),
        ({"sql": "SELECT 'a'::INTEGER"}, "invalid", "Could not convert"),
        ({"sql": "SELECT count(*) FROM range(10000000000) a, range(100) b", "limits": {"wall_s": 1}}, "timeout", "1 s"),
    ],
)
async def test_fault_of_the_step_is_told_without_paths(
    tmp_path: Path, given: dict[str, Any], kind: str, word: str
) -> None:
    async with world(tmp_path) as at:
        for name in ("broken.parquet", "no-suffix"):
            await at.store(name, b"a\n1\n")
        outcome = await at.ask(given.pop("sql"), **given)
    assert isinstance(outcome, Failed)
    assert kind == outcome.error_kind, outcome
    assert word in outcome.message
    assert str(tmp_path) not in outcome.message


async def test_query_larger_than_its_memory_spills_or_fails_as_a_resource(tmp_path: Path) -> None:
    async with world(tmp_path) as at:
        sql = "SELECT count(*) AS c FROM (SELECT range::VARCHAR || repeat('x', 100) AS t FROM range(8000000) ORDER BY t DESC LIMIT 4000000)"
        outcome = await at.ask(sql, limits={"memory_mib": 320})
    if isinstance(outcome, Succeeded):
        assert [{"c": 4_000_000}] == outcome.output["rows"]
    else:
        assert isinstance(outcome, Failed)
        assert "resource" == outcome.error_kind, outcome


async def test_result_over_the_bound_of_files_is_no_file(tmp_path: Path) -> None:
    async with world(tmp_path, file_bytes_max=CHUNK_BYTES) as at:
        outcome = await at.ask("SELECT random() AS r FROM range(1000000)")
        assert isinstance(outcome, Failed), outcome
        assert [] == list(await at.files.list(SCOPE, prefix="", after=("", ""), limit=10))
