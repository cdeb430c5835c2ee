"""The program of `@data/query` called as a function: what its process does once it is confined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from driven_adapters.sandbox.child import query_program
from driven_adapters.sandbox.child.value import ProgramFailed

MEMORY_MIB = 512


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    query_program.load()


def request_of(folder: Path, sql: str, **more: Any) -> dict[str, Any]:
    scratch = folder / "work"
    scratch.mkdir(exist_ok=True)
    options = {
        "files": {},
        "scratch": str(scratch),
        "threads": 1,
        "spill_bytes": 2**30,
        "rows_bytes": 1_000,
        "result": {"path": str(scratch / "result"), "format": "csv"},
        "must_write": False,
    }
    inputs = {"tables": more.pop("tables", {}), "parameters": more.pop("parameters", {})}
    return {"code": sql, "inputs": inputs, "options": options | more, "memory_mib": MEMORY_MIB}


def test_rows_come_with_their_columns_as_json_values(tmp_path: Path) -> None:
    sql = """SELECT $n AS n, 1.5 AS d, 'nan'::DOUBLE AS x, NULL AS z, 1::HUGEINT << 70 AS h, '\\x01'::BLOB AS b, [1] AS l,
        {'a': DATE '2026-03-01'} AS s, INTERVAL 90 SECOND AS i, UUID '00000000-0000-0000-0000-000000000001' AS u,
        TIMESTAMPTZ '2026-03-01 12:00:00+02' AS t, '{"x": 1}'::JSON AS j"""

    answer = query_program.run(request_of(tmp_path, sql, parameters={"n": 7}), None)

    expected = {
        "n": 7, "d": 1.5, "x": None, "z": None, "h": str(2**70), "b": "AQ==", "l": [1], "s": {"a": "2026-03-01"},
        "i": 90.0, "u": "00000000-0000-0000-0000-000000000001", "t": "2026-03-01T10:00:00.000000Z", "j": {"x": 1},
    }  # fmt: skip
    assert [expected] == answer["rows"]
    assert (1, False) == (answer["row_count"], answer["is_written"])
    assert list(expected) == [column["name"] for column in answer["columns"]]


def test_tables_and_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "f.o"
    path.write_text("a,b\n1,x\n2,y\n")
    rows = [{"a": 1, "f": 1, "t": "007", "o": [1], "y": True}, {"a": 2, "f": 0.5, "t": None, "o": {}, "y": None}]
    request = request_of(
        tmp_path, "SELECT * FROM t JOIN f USING (a) ORDER BY a",
        tables={"t": rows}, files={"f": {"path": str(path), "format": "csv"}},
    )  # fmt: skip

    answer = query_program.run(request, None)

    assert [
        {"a": 1, "f": 1.0, "t": "007", "o": [1], "y": True, "b": "x"},
        {"a": 2, "f": 0.5, "t": None, "o": {}, "y": None, "b": "y"},
    ] == answer["rows"]


@pytest.mark.parametrize("must_write", [True, False])
def test_result_over_the_bound_is_written(tmp_path: Path, must_write: bool) -> None:
    answer = query_program.run(request_of(tmp_path, "SELECT range AS n FROM range(500)", must_write=must_write), None)

    assert ([], 500, True) == (answer["rows"], answer["row_count"], answer["is_written"])
    assert ["n", *map(str, range(500))] == (tmp_path / "work" / "result").read_text().split()


@pytest.mark.parametrize(
    ("sql", "more", "reason", "word"),
    [
        ("SELECT 1; SELECT 2", {}, "invalid", "one SELECT"),
        ("COPY (SELECT 1) TO '/tmp/x'", {}, "invalid", "one SELECT"),
        ("SELEC", {}, "invalid", "syntax"),
        ("SELECT * FROM read_text('/etc/passwd')", {}, "invalid", "Permission"),
        ("SELECT * FROM t", {"tables": {"t": [{}]}}, "invalid", "no rows"),
        ("SELECT * FROM f", {"files": {"f": {"path": "/nowhere/f.o", "format": "parquet"}}}, "raised", "f"),
    ],
)
def test_fault_names_its_reason_and_no_path(
    tmp_path: Path, sql: str, more: dict[str, Any], reason: str, word: str
) -> None:
    with pytest.raises(ProgramFailed) as told:
        query_program.run(request_of(tmp_path, sql, **more), None)

    assert reason == told.value.reason
    assert word in told.value.message
    assert "/nowhere" not in told.value.message


def test_query_that_needs_more_than_its_memory_says_so(tmp_path: Path) -> None:
    sql = "SELECT list(repeat('x', 1000) || range) AS l FROM range(2000000)"

    with pytest.raises(ProgramFailed) as told:
        query_program.run(request_of(tmp_path, sql) | {"memory_mib": 64}, None)

    assert ("memory", 64) == (told.value.reason, told.value.limit)
