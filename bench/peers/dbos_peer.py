"""DBOS: a library in one process, on SQLite (its default) and on Postgres; counted in its tables after it stopped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import msgspec

from bench.dags import CHAIN_STEPS, FAN_STEPS
from bench.machine import cpu_s
from bench.peers.restate_peer import VENVS
from bench.program import DATA, HOST, ROOT, Program, ProgramFailed, free_ports
from bench.report import DBOS_POSTGRES, DBOS_SQLITE, Row, make_row
from bench.workloads import W1, W2, W3, W4

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = Path("/usr/lib/postgresql/15/bin")
POSTGRES_USER = "postgres"  # the server refuses to run as root
PORT_FIRST = 23_432
RUN_S_MAX = 300.0  # of all four workloads; they take a fifth
# Chains and single steps: fewer than ours, since each run would else take minutes; rates do not depend on the number.
CHAINS, SINGLES = 60, 600
_TASKS = {W1: CHAIN_STEPS, W2: FAN_STEPS + 2, W3: 1, W4: 1}
_WARM = (1, CHAIN_STEPS)  # workflows and steps before the clock starts
_WORKFLOWS_SQL = "SELECT count(*) FROM {schema}workflow_status WHERE status = 'SUCCESS'"
_STEPS_SQL = "SELECT count(*) FROM {schema}operation_outputs"
_DATABASE = "dbos"
_READY = re.compile("ready to accept connections")


class _Line(msgspec.Struct):
    """What the program prints per workload."""

    workload: str
    count: int
    wall_s: float
    cpu_s: float
    latencies_s: list[float]


def run_dbos() -> list[Row]:
    """Run every workload once on each store that is there.

    Raises:
        ProgramFailed: it is not installed, fails, or misses a workflow or a step.
    """
    if not (VENVS / "dbos/bin/python").exists():
        raise ProgramFailed("DBOS is not installed: bench/peers/setup.sh dbos")
    rows = _run_on_sqlite()
    return rows + _run_on_postgres() if (POSTGRES / "initdb").exists() else rows


def _run_on_sqlite() -> list[Row]:
    folder = DATA / "dbos"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "sys.sqlite"
    lines = _run(f"sqlite:///{path}")
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    try:
        found = tuple(connection.execute(sql.format(schema="")).get for sql in (_WORKFLOWS_SQL, _STEPS_SQL))
    finally:
        connection.close()
    _check(DBOS_SQLITE, lines, found)
    return [_row(DBOS_SQLITE, line, line.cpu_s) for line in lines]


def _run_on_postgres() -> list[Row]:
    with _postgres() as (server, port):
        url = f"postgresql://{POSTGRES_USER}@{HOST}:{port}/{_DATABASE}"
        used = cpu_s(server.pid)
        lines = _run(url)
        server_s = cpu_s(server.pid) - used
        found = tuple(int(_query(url, sql.format(schema="dbos."))) for sql in (_WORKFLOWS_SQL, _STEPS_SQL))
    _check(DBOS_POSTGRES, lines, found)
    # The server's seconds are known for the whole run alone; they are shared out by the time that a workload took.
    whole_s = sum(line.wall_s for line in lines)
    return [_row(DBOS_POSTGRES, line, line.cpu_s + server_s * line.wall_s / whole_s) for line in lines]


def _run(url: str) -> list[_Line]:
    program = [str(VENVS / "dbos/bin/python"), "bench/peers/dbos_program.py", url, str(CHAINS), str(SINGLES)]
    try:
        ended = subprocess.run(program, cwd=ROOT, capture_output=True, timeout=RUN_S_MAX, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"DBOS took more than {RUN_S_MAX} s") from error
    if ended.returncode:
        raise ProgramFailed(f"DBOS ended with {ended.returncode}: {ended.stderr.decode(errors='replace')[-1000:]}")
    lines = [line for line in ended.stdout.splitlines() if line.startswith(b'{"workload"')]
    return [msgspec.json.decode(line, type=_Line) for line in lines]


def _check(system: str, lines: list[_Line], found: tuple[int, ...]) -> None:
    workflows = _WARM[0] + sum(line.count for line in lines)
    steps = _WARM[1] + sum(line.count * _TASKS[line.workload] for line in lines)
    if found != (workflows, steps):
        raise ProgramFailed(f"{system}: expected {workflows} workflows and {steps} steps, found {found}")


def _row(system: str, line: _Line, used_s: float) -> Row:
    return make_row(
        system,
        line.workload,
        instances=line.count,
        tasks=line.count * _TASKS[line.workload],
        wall_s=line.wall_s,
        latencies_s=line.latencies_s,
        cpu_s=used_s,
    )


@contextmanager
def _postgres() -> Iterator[tuple[Program, int]]:
    """Run a server of its own, with the settings that it comes with, and one empty database."""
    folder = DATA / "postgres"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    user = POSTGRES_USER if os.getuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    _call([POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", POSTGRES_USER, "-E", "UTF8", "--locale=C.UTF-8"], user)
    (port,) = free_ports(1, PORT_FIRST)
    options: list[str | Path] = ["-c", f"listen_addresses={HOST}", "-p", str(port), "-k", folder]
    with Program([POSTGRES / "postgres", "-D", data, *options], name="postgres", user=user) as server:
        server.wait_said(_READY)  # its port answers before it takes queries
        _query(f"postgresql://{POSTGRES_USER}@{HOST}:{port}/{POSTGRES_USER}", f"CREATE DATABASE {_DATABASE}")
        yield server, port


def _query(url: str, sql: str) -> str:
    return _call([POSTGRES / "psql", "-AtXq", "-d", url, "-c", sql], None)


def _call(command: list[str | Path], user: str | None) -> str:
    # The folder of the project may be closed to the server's user, so the program starts in the root folder.
    ended = subprocess.run(
        [str(part) for part in command], cwd="/", capture_output=True, text=True, timeout=60, check=False, user=user
    )
    if ended.returncode:
        raise ProgramFailed(f"{command[0]} ended with {ended.returncode}: {ended.stderr[-1000:]}")
    return ended.stdout.strip()
