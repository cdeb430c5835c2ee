"""Restate: its server (own log on disk, settings as it comes) with a Python service, asked over its HTTP ingress."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from bench.dags import CHAIN_STEPS, FAN_STEPS
from bench.engine import send_load
from bench.load import Load
from bench.machine import cpu_s
from bench.program import DATA, HOST, ROOT, Program, ProgramFailed, free_ports
from bench.report import RESTATE, Row, make_row
from bench.workloads import IN_FLIGHT, W1, W2, W3, W4

VENVS = ROOT / "bench" / ".venvs"
SERVER = VENVS / "restate-server/node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"
PORT_FIRST = 22_080
REGISTER_TRIES = 60  # the server opens its ports a moment before it takes deployments
REGISTER_EVERY_S = 0.5
SETTLED_TRIES = 20  # the answer leaves the server a moment before its own table says so
SETTLED_EVERY_S = 0.25
# Workload, handler and what it is given, instances, at once, tasks of each.
_LOADS = (
    (W3, "single", 1, 200, 1, 1),
    (W1, "chain", CHAIN_STEPS, 1000, IN_FLIGHT, CHAIN_STEPS),
    (W2, "fan", FAN_STEPS, 5, 1, FAN_STEPS + 2),
    (W4, "single", 1, 2000, IN_FLIGHT, 1),
)


def run_restate() -> list[Row]:
    """Run every workload once on a new server; completion is counted in the server's own table of invocations.

    Raises:
        ProgramFailed: it is not installed, does not come up, or misses an invocation.
    """
    if not SERVER.exists():
        raise ProgramFailed("Restate is not installed: bench/peers/setup.sh restate")
    folder = DATA / "restate"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ingress, admin, node, service = free_ports(4, PORT_FIRST)
    settings = {
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
    }
    options: list[str | Path] = [
        "--bind-ip",
        HOST,
        "--bind-port",
        str(node),
        "--listen-mode",
        "tcp",
        "--base-dir",
        folder,
    ]
    command: list[str | Path] = [SERVER, *options, "--node-name", "bench", "--no-logo"]
    python, program = VENVS / "restate/bin/python", ROOT / "bench/peers/restate_service.py"
    with (
        Program(command, name="restate-server", environment=settings) as server,
        Program([python, program, str(service)], name="restate-service") as app,
    ):
        for waiting, port in ((server, admin), (server, ingress), (app, service)):
            waiting.wait_port(port)
        _register(admin, service)
        send_load(_load(ingress, "chain", CHAIN_STEPS, 20, 1))  # warm
        return [_measure(ingress, admin, (server.pid, app.pid), *load) for load in _LOADS]


def _measure(
    ingress: int,
    admin: int,
    pids: tuple[int, int],
    name: str,
    handler: str,
    given: int,
    count: int,
    at_once: int,
    tasks: int,
) -> Row:
    before, used = _completed(admin), sum(map(cpu_s, pids))
    result = send_load(_load(ingress, handler, given, count, at_once))
    used_s = sum(map(cpu_s, pids)) - used
    _check_completed(name, admin, before + count)
    return make_row(
        RESTATE,
        name,
        instances=count,
        tasks=count * tasks,
        wall_s=result.wall_s,
        latencies_s=result.latencies_s,
        cpu_s=used_s,
    )


def _load(ingress: int, handler: str, given: int, count: int, at_once: int) -> Load:
    return Load(port=ingress, path=f"/Bench/{handler}", body=str(given), count=count, in_flight=at_once)


def _check_completed(name: str, admin: int, expected: int) -> None:
    found = 0
    for _ in range(SETTLED_TRIES):
        found = _completed(admin)
        if found == expected:
            return
        time.sleep(SETTLED_EVERY_S)
    raise ProgramFailed(f"{name}: Restate completed {found} instead of {expected}")


def _register(admin: int, service: int) -> None:
    for _ in range(REGISTER_TRIES):
        try:
            _ask(admin, "/deployments", {"uri": f"http://{HOST}:{service}"})
        except urllib.error.URLError:
            time.sleep(REGISTER_EVERY_S)
        else:
            return
    raise ProgramFailed("Restate takes no deployment")


def _completed(admin: int) -> int:
    query = "SELECT count(*) AS n FROM sys_invocation WHERE status = 'completed'"
    return int(_ask(admin, "/query", {"query": query})["rows"][0]["n"])


def _ask(port: int, path: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", data=msgspec.json.encode(body), headers=headers)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the address is this machine's own
        return msgspec.json.decode(answer.read())
