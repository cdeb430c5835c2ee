"""`@data/query`: SQL over files and values, answered by DuckDB in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from core.dag.catalog import OperatorSpec, Retry
from core.executor.operator import Call, Failed, Outcome, Succeeded
from core.executor.run_outcome import outcome_of_run
from core.file.files import Files, NewFile
from core.file.name import check_name
from core.ports.file_store import FileRow
from core.ports.object_store import CHUNK_BYTES
from core.ports.scope import Scope
from core.ports.task_runner import INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, RunFailed, RunLimits, RunRequest, TaskRunner
from driven_adapters.operators.file import INLINE_BYTES_MAX, file_view, find_file, present, scope_of, told
from driven_adapters.operators.query_schema import (
    MEMORY_MIB_DEFAULT,
    QUERY_OUTPUT,
    QUERY_PARAMETERS,
    ROWS_BYTES_MAX,
    SOURCE_COUNT_MAX,
    THREADS,
    WALL_S_DEFAULT,
)

FOLDER_MODE = 0o700
# Of the process beside those of DuckDB: the interpreter's own, and those that read files ahead.
OTHER_THREADS = 14
_FORMAT_OF_SUFFIX = {
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "parquet": "parquet",
}
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class Sources(msgspec.Struct, frozen=True):
    """What a query reads: per name in the SQL a path and a format."""

    files: dict[str, dict[str, str]]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Give the paths."""
        return tuple(Path(file["path"]) for file in self.files.values())


class QueryOperator:
    """Runs one SELECT. It reads what the step names, is never rendered, and reaches neither network nor other files."""

    def __init__(self, runner: TaskRunner, files: Files | None, scratch: Path) -> None:
        """Take who runs programs, the files, and a folder for what lies on disk during a query; made when needed."""
        self._runner = runner
        self._files = files
        self._scratch = scratch.resolve()
        self._numbers = itertools.count()
        self.spec = OperatorSpec(
            name="@data/query",
            title="Query files and values by SQL",
            kind="attempt",
            parameters=QUERY_PARAMETERS,
            output=QUERY_OUTPUT,
            retry=Retry(on=("unavailable", "exhausted")),
            has_side_effects=True,
            literal_fields=("/sql",),
            is_available=runner.refusal("isolated") is None,
            dry_run="skips",
        )

    async def execute(self, call: Call) -> Outcome:
        """Run the query; cancelling ends its process and removes its folder."""
        return await told(self._execute(call))

    async def _execute(self, call: Call) -> Outcome:
        given = call.parameters
        files = present(self._files)
        if len(given.get("tables", {})) + len(given.get("files", {})) > SOURCE_COUNT_MAX:
            return Failed(error_kind="limit", message=f"more than {SOURCE_COUNT_MAX} tables and files", called=False)
        inputs = {"tables": given.get("tables", {}), "parameters": given.get("parameters", {})}
        size = len(msgspec.json.encode(inputs))
        if size > INPUT_BYTES_MAX:
            message = f"the tables have {size} bytes, more than {INPUT_BYTES_MAX}; give them as a file"
            return Failed(error_kind="limit", message=message, called=False)
        if "into" in given:
            check_name(given["into"]["name"], "/into/name")
        async with self._folder() as folder:
            sources = await _find_sources(files, scope_of(call), given.get("files", {}), folder)
            if isinstance(sources, Failed):
                return sources
            request = _request(call, inputs, sources, folder, files.file_bytes_max)
            result = await self._runner.run(request, lambda _line: None)
            if isinstance(result, RunFailed):
                return outcome_of_run(result)
            return await _outcome(files, call, msgspec.json.decode(result.output), folder)

    @contextlib.asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        """Make a folder for one attempt, and remove it with all that the query left there."""
        folder = self._scratch / f"query-{next(self._numbers)}"
        shutil.rmtree(folder, ignore_errors=True)  # an earlier process may have left one of this name
        folder.mkdir(mode=FOLDER_MODE, parents=True)
        try:
            yield folder
        finally:
            await _remove(folder)


def _request(call: Call, inputs: Any, sources: Sources, folder: Path, file_bytes_max: int) -> RunRequest:
    given = call.parameters
    limits = given.get("limits", {})
    wall_s = limits.get("wall_s", WALL_S_DEFAULT)
    written = folder / "work"
    written.mkdir(mode=FOLDER_MODE)
    return RunRequest(
        domain_id=call.domain_id,
        mode="isolated",
        program="query",
        code=given["sql"],
        inputs=inputs,
        options={
            "files": sources.files,
            "scratch": str(written),
            "threads": THREADS,
            "spill_bytes": file_bytes_max,
            "rows_bytes": ROWS_BYTES_MAX,
            "result": {"path": str(written / "result"), "format": _result_format(given)},
            "must_write": "into" in given,
        },
        reads=sources.paths,
        writes=written,
        limits=RunLimits(
            wall_s=wall_s,
            cpu_s=limits.get("cpu_s", wall_s * THREADS),
            memory_mib=limits.get("memory_mib", MEMORY_MIB_DEFAULT),
            output_bytes=OUTPUT_BYTES_MAX,
            file_bytes=file_bytes_max,
            threads=THREADS + OTHER_THREADS,
        ),
    )


async def _find_sources(files: Files, scope: Scope, named: Any, folder: Path) -> Sources | Failed:
    """Find every file; one that lies on no disk of this machine is put into the attempt's folder."""
    found: dict[str, dict[str, str]] = {}
    for name, asked in named.items():
        row = await find_file(files, scope, asked)
        form = asked.get("format") or _format_of(row.name)
        if form is None:
            message = f"nobody knows the format of {row.name}; say it with files.{name}.format"
            return Failed(error_kind="invalid", message=message, called=False)
        path = await files.local_path(row)
        if path is None:
            path = str(folder / f"source-{len(found)}")
            await _copy(files, row, Path(path))
        found[name] = {"path": path, "format": form}
    return Sources(found)


async def _copy(files: Files, row: FileRow, path: Path) -> None:
    with path.open("wb") as file:
        async with contextlib.aclosing(files.read(row)) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)


async def _outcome(files: Files, call: Call, answer: Any, folder: Path) -> Outcome:
    output = {name: answer[name] for name in ("columns", "rows", "row_count")}
    if not answer["is_written"]:
        return Succeeded({**output, "file": None})
    form = _result_format(call.parameters)
    new = NewFile(name=_result_name(call), media_type=_MEDIA_TYPES[form], write_key=call.idempotency_key)
    row = await files.put(scope_of(call), new, _chunks(folder / "work" / "result"))
    return Succeeded({**output, "file": file_view(row)})


async def _remove(folder: Path) -> None:
    """Remove a folder; in a thread when the disk has long to do with it."""
    if _bytes_in(folder) <= INLINE_BYTES_MAX:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _bytes_in(folder: Path) -> int:
    return sum(one.lstat().st_size for one in folder.rglob("*") if one.is_file())


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with _opened(path) as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


def _opened(path: Path) -> BinaryIO:
    """Open what the process wrote: a link in its place would lead to whatever this process may read."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")


def _result_format(given: Any) -> str:
    """Give the format that the step asked for, else that of the name; Parquet keeps types and is small."""
    into = given.get("into", {})
    form: str = into.get("format") or _format_of(into.get("name", "")) or "parquet"
    return form


def _result_name(call: Call) -> str:
    into = call.parameters.get("into")
    return str(into["name"]) if into else f"results/{call.instance_id}/{call.task_path}.parquet"


def _format_of(name: str) -> str | None:
    return _FORMAT_OF_SUFFIX.get(name.rpartition(".")[2].lower())
