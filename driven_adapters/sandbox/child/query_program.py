"""`query`: one SQL statement over tables and files, answered by DuckDB, which can read these files and nothing else.

The inputs: `tables` (name to rows), `parameters` (named, `$name` in the statement). The options: `files` (name to path
and format), `scratch` (folder of this run), `threads`, `spill_bytes` (of what does not fit into memory), `rows_bytes`
(larger results go into `result`), `result` (path and format), `must_write` (the result goes there whatever its size).
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import math
import os
import uuid
from typing import Any

from .value import ProgramFailed

BATCH_ROWS = 256  # fetched at a time: few enough to stop soon after the bound, many enough to be fast
# Of the run's memory: what Python, the library and the stacks of its threads take before a query holds anything.
BASE_MIB = 160
THREAD_MIB = 16
MEMORY_MIB_MIN = 64
_INTEGER_BITS = 63
_ZONED = "TIMESTAMP WITH TIME ZONE"
_READERS = {
    "csv": "read_csv({path}, header = true)",
    "json": "read_json({path}, maximum_object_size = 67108864)",
    "parquet": "read_parquet({path})",
}
_WRITERS = {"csv": "FORMAT csv, HEADER", "json": "FORMAT json", "parquet": "FORMAT parquet, COMPRESSION zstd"}
_duckdb: Any = None


def load() -> None:
    """Import the library while its files can be read."""
    global _duckdb  # noqa: PLW0603 - a process of one run; imported here and not above, since not every run needs it
    import duckdb  # noqa: PLC0415 - as above

    _duckdb = duckdb


def run(request: dict[str, Any], lines: Any) -> dict[str, Any]:
    """Run the statement.

    Returns:
        `columns` (name and SQL type), `rows` (objects; none when they went into the result's file), `row_count`, and
        `is_written`.

    Raises:
        ProgramFailed: `invalid`, the statement or a file is at fault; `memory`; `raised`, what else DuckDB says.
    """
    del lines
    options, inputs = request["options"], request["inputs"]
    try:
        connection = _open(request["memory_mib"], options)
        for name, file in options["files"].items():
            reader = _READERS[file["format"]].format(path=_text(file["path"]))
            connection.execute(f"CREATE TEMP VIEW {_name(name)} AS SELECT * FROM {reader}")  # noqa: S608 - quoted
        for name, rows in inputs["tables"].items():
            _fill(connection, options["scratch"], name, rows)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return _answer(connection, request["code"], inputs["parameters"], options)
    except _duckdb.Error as error:
        raise _failure(error, options, request["memory_mib"]) from None


def _open(memory_mib: int, options: dict[str, Any]) -> Any:
    threads = options["threads"]
    held_mib = max(MEMORY_MIB_MIN, memory_mib - BASE_MIB - THREAD_MIB * threads)
    settings = {
        "memory_limit": f"{held_mib}MiB",
        "threads": str(threads),
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": os.path.join(options["scratch"], "spill"),  # noqa: PTH118 - no more imports than needed
        "max_temp_directory_size": f"{options['spill_bytes']}B",
    }
    connection = _duckdb.connect(":memory:", config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    paths = ", ".join(_text(file["path"]) for file in options["files"].values())
    connection.execute(f"SET allowed_paths = [{paths}]")
    connection.execute(f"SET allowed_directories = [{_text(options['scratch'] + '/')}]")
    return connection


def _fill(connection: Any, scratch: str, name: str, rows: list[dict[str, Any]]) -> None:
    """Make a table of rows; a column's type is what all its values are, JSON when they differ."""
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for column, value in row.items():
            kinds.setdefault(column, set()).add(_kind(value))
    if not kinds:
        raise ProgramFailed("invalid", f"table {name} has no rows with columns, so nobody knows what it is made of")
    columns = {column: _column_type(seen) for column, seen in kinds.items()}
    path = os.path.join(scratch, "table.json")  # noqa: PTH118 - as above
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - as above
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False))
            file.write("\n")
    shape = ", ".join(f"{_text(column)}: {_text(kind)}" for column, kind in columns.items())
    source = f"read_json({_text(path)}, format = 'newline_delimited', columns = {{{shape}}})"
    connection.execute(f"CREATE TEMP TABLE {_name(name)} AS SELECT * FROM {source}")  # noqa: S608 - quoted
    os.remove(path)  # noqa: PTH107 - as above


def _kind(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT"
    if isinstance(value, float):
        return "DOUBLE"
    return "VARCHAR" if isinstance(value, str) else "JSON"


def _column_type(kinds: set[str]) -> str:
    seen = kinds - {""}
    if len(seen) == 1:
        return seen.pop()
    if seen == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return "JSON" if seen else "VARCHAR"


def _answer(connection: Any, sql: str, parameters: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != _duckdb.StatementType.SELECT:
        raise ProgramFailed("invalid", "the SQL is one SELECT statement, nothing else")
    query = statements[0].query.strip().rstrip(";")
    if options["must_write"]:
        return _written(connection, query, parameters, options["result"])
    columns = _columns(connection, query, parameters)
    names = [column["name"] for column in columns]
    shown = [json.loads if column["type"] == "JSON" else _json for column in columns]
    found = connection.execute(_with_text_times(query, columns), parameters)
    rows: list[dict[str, Any]] = []
    left = options["rows_bytes"]
    while batch := found.fetchmany(BATCH_ROWS):
        rows += [
            {name: None if value is None else show(value) for name, show, value in zip(names, shown, row, strict=True)}
            for row in batch
        ]
        left -= len(json.dumps(rows[-len(batch) :], ensure_ascii=False).encode())
        if left < 0:
            return _written(connection, query, parameters, options["result"])
    return {"columns": columns, "rows": rows, "row_count": len(rows), "is_written": False}


def _written(connection: Any, query: str, parameters: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    columns = _columns(connection, query, parameters)
    copy = f"COPY ({query}) TO {_text(result['path'])} ({_WRITERS[result['format']]})"
    count = connection.execute(copy, parameters).fetchone()[0]
    return {"columns": columns, "rows": [], "row_count": count, "is_written": True}


def _columns(connection: Any, query: str, parameters: dict[str, Any]) -> list[dict[str, str]]:
    """Describe the result by a query of no rows."""
    found = connection.execute(f"FROM ({query}) LIMIT 0", parameters)
    return [{"name": one[0], "type": str(one[1])} for one in found.description]


def _with_text_times(query: str, columns: list[dict[str, str]]) -> str:
    """Have times with a zone given as RFC 3339 text in UTC: the library would look for one of time zones."""
    zoned = [_name(column["name"]) for column in columns if column["type"] == _ZONED]
    if not zoned:
        return query
    texts = ", ".join(f"strftime(timezone('UTC', {name}), '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}" for name in zoned)
    return f"FROM ({query}) SELECT * REPLACE ({texts})"


def _json(value: Any) -> Any:
    """Give a value as JSON holds it: times as RFC 3339 text, decimals as numbers, bytes as base64, no NaN."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if value.bit_length() <= _INTEGER_BITS else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return _json(float(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    return str(value) if isinstance(value, uuid.UUID) else repr(value)


def _failure(error: Any, options: dict[str, Any], memory_mib: int) -> ProgramFailed:
    """Tell DuckDB's error, files by the names that the step gave them: their paths are this machine's business."""
    text = str(error)
    for name, file in options["files"].items():
        text = text.replace(file["path"], name)
    text = text.replace(options["scratch"], "")
    if isinstance(error, _duckdb.OutOfMemoryException):
        return ProgramFailed("memory", text, memory_mib)
    is_own_fault = isinstance(error, _duckdb.ProgrammingError | _duckdb.DataError | _duckdb.PermissionException)
    return ProgramFailed("invalid" if is_own_fault else "raised", text)


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
