"""The engine under measurement: `python -m module.main serve` with a data folder of its own, its counters beside it."""

from __future__ import annotations

import re
import shutil
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from bench.dags import Document
from bench.load import Load, LoadResult
from bench.machine import cpu_s, forget_peak, memory_bytes
from bench.program import DATA, HOST, ROOT, Program, ProgramFailed, call_module, free_ports

PORT_FIRST = 21_080
PREFIX = "/api/automation/v1"
STORE_FILE = "flow.db"
WAIT_S = 60  # the longest that a start waits for its outcome; longer instances are looked at again
_KEY = re.compile(r"flow_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}")
_SAMPLE = re.compile(r"^(flow_\w+(?:\{[^}]*\})?) ([0-9.e+-]+|NaN)$", re.MULTILINE)
# What is read before and after a load, by the name that the report gives it.
COUNTERS = {
    "commits": "flow_node_commit_total",
    "items": "flow_node_committed_item_total",
    "statements": "flow_store_statements_total",
    "store_commits": "flow_store_commits_total",
    "bytes": "flow_store_written_bytes_total",
}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One load and what it cost the engine.

    Attributes:
        engine_cpu_s: of the engine's process, all threads.
        base_bytes, peak_bytes: its resident memory before the load and at most during it.
        counters: growth of COUNTERS; a counter that the engine does not show is absent.
    """

    load: LoadResult
    engine_cpu_s: float
    base_bytes: int
    peak_bytes: int
    counters: dict[str, float]


def send_load(load: Load) -> LoadResult:
    """Let another process make the load."""
    return msgspec.json.decode(call_module("bench.load", given=msgspec.json.encode(load)), type=LoadResult)


class Engine:
    """A serving engine. Entering starts it on free ports with an empty store; leaving stops it and keeps the store.

    Args:
        name: of its folder under the benchmark's data.
        environment: settings beside ports and folder.
        before: what stands before the command, to run it under another program (strace).
        root: the folder that holds the program.
    """

    def __init__(
        self,
        name: str,
        *,
        environment: dict[str, str] | None = None,
        before: list[str | Path] | None = None,
        root: Path = ROOT,
    ) -> None:
        self.folder = DATA / name
        self._environment = environment or {}
        self._before = before or []
        self._root = root
        self._program: Program | None = None
        self._ports = [0, 0]
        self._key = ""

    @property
    def store_path(self) -> Path:
        """The file that holds everything."""
        return self.folder / STORE_FILE

    @property
    def pid(self) -> int:
        """Of the process that serves."""
        return self._running.pid

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._ports = free_ports(2, PORT_FIRST)
        settings = {
            "API_SERVER_PORT": str(self._ports[0]),
            "API_SERVER_PRIVATE_PORT": str(self._ports[1]),
            "FLOW_DATA_DIR": str(self.folder),
            "FLOW_LOG_LEVEL": "warning",
        }
        command: list[str | Path] = [*self._before, sys.executable, "-m", "module.main", "serve"]
        self._program = Program(
            command, name=self.folder.name, environment=settings | self._environment, root=self._root
        )
        try:
            self._program.wait_port(self._ports[0])
            self._key = self._program.wait_said(_KEY)  # the administrator's, printed once on an empty store
        except ProgramFailed:
            self._program.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = self._running.stop()
        if status != 0 and kind is None:
            raise ProgramFailed(f"the engine ended with {status}: {self._running.log()[-1000:]}")

    def publish(self, document: Document) -> str:
        """Create a DAG and give its id."""
        answer: dict[str, Any] = msgspec.json.decode(self._ask("/dags", msgspec.json.encode(document)))
        return str(answer["id"])

    def make_load(self, dag_id: str, *, count: int, in_flight: int, inputs: str = "{}", other_id: str = "") -> Load:
        """Describe the load that starts `count` instances and waits for each one's success.

        `other_id` = the DAG of which every second one is; empty = all are of the same.
        """
        return Load(
            port=self._ports[0],
            path=f"{PREFIX}/dags/{dag_id}/run?wait={WAIT_S}",
            look_path=f"{PREFIX}/instances/{{id}}",
            other_path=f"{PREFIX}/dags/{other_id}/run?wait={WAIT_S}" if other_id else "",
            headers={"Authorization": f"Bearer {self._key}"},
            body=inputs,
            ended='"status":"succeeded"',
            count=count,
            in_flight=in_flight,
        )

    def measure(self, load: Load) -> Measured:
        """Let another process make the load, and read what it cost."""
        forget_peak(self.pid)
        base_bytes = memory_bytes(self.pid)[0]
        counters, cpu = self.read_counters(), cpu_s(self.pid)
        result = send_load(load)
        used_s, after = cpu_s(self.pid) - cpu, self.read_counters()
        return Measured(
            load=result,
            engine_cpu_s=used_s,
            base_bytes=base_bytes,
            peak_bytes=memory_bytes(self.pid)[1],
            counters={name: after[name] - counters[name] for name in after},
        )

    def read_counters(self) -> dict[str, float]:
        """Give the engine's own counters, as far as it shows them."""
        with urllib.request.urlopen(f"http://{HOST}:{self._ports[1]}/metrics") as answer:
            samples = dict(_SAMPLE.findall(answer.read().decode()))
        return {name: float(samples[sample]) for name, sample in COUNTERS.items() if sample in samples}

    @property
    def _running(self) -> Program:
        if self._program is None:
            raise ProgramFailed("the engine was not started")
        return self._program

    def _ask(self, path: str, body: bytes) -> bytes:
        request = urllib.request.Request(
            f"http://{HOST}:{self._ports[0]}{PREFIX}{path}",
            data=body,
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            content: bytes = answer.read()
        return content
