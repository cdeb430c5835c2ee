"""The engine under measurement: `python -m module.main serve` with a data folder of its own, its counters beside it."""

from __future__ import annotations

import os
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

PORT_FIRST, PORT_STEPS = 21_080, 4_000
PREFIX = "/api/automation/v1"
SERVE = ("module.main", "serve")
STORE_FILE = "flow.db"
STARTED_STATUS = 202
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
        serve: the module that serves, and its arguments.
    """

    def __init__(
        self,
        name: str,
        *,
        environment: dict[str, str] | None = None,
        before: list[str | Path] | None = None,
        root: Path = ROOT,
        serve: tuple[str, ...] = SERVE,
    ) -> None:
        self.folder = DATA / name
        self._serve = serve
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
        # Two measurements at once do not race for one port.
        self._ports = free_ports(2, PORT_FIRST + os.getpid() % PORT_STEPS * 2)
        settings = {
            "API_SERVER_PORT": str(self._ports[0]),
            "API_SERVER_PRIVATE_PORT": str(self._ports[1]),
            "FLOW_DATA_DIR": str(self.folder),
            "FLOW_LOG_LEVEL": "warning",
        }
        command: list[str | Path] = [*self._before, sys.executable, "-m", *self._serve]
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

    @property
    def said(self) -> str:
        """Everything that the engine has printed."""
        return self._running.log()

    def wait_said(self, pattern: re.Pattern[str]) -> str:
        """Wait until the engine has printed something that fits, and give it."""
        return self._running.wait_said(pattern)

    def publish(self, document: Document, key: str = "") -> str:
        """Create a DAG and give its id; `key` = of another tenant."""
        answer: dict[str, Any] = msgspec.json.decode(self.ask("/dags", msgspec.json.encode(document), key))
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

    def make_start_load(self, dag_id: str, *, count: int, in_flight: int, inputs: str = "{}") -> Load:
        """Describe the load that starts `count` instances and waits for none."""
        load = self.make_load(dag_id, count=count, in_flight=in_flight, inputs=inputs)
        return msgspec.structs.replace(
            load, path=load.path.partition("?")[0], look_path="", ended='"id":', status=STARTED_STATUS
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
        samples = self.read_metrics()
        return {name: samples[sample] for name, sample in COUNTERS.items() if sample in samples}

    def read_metrics(self) -> dict[str, float]:
        """Give every sample that the private server shows, by its name and labels."""
        with urllib.request.urlopen(f"http://{HOST}:{self._ports[1]}/metrics") as answer:
            return {name: float(value) for name, value in _SAMPLE.findall(answer.read().decode())}

    @property
    def _running(self) -> Program:
        if self._program is None:
            raise ProgramFailed("the engine was not started")
        return self._program

    def ask(self, path: str, body: bytes | None, key: str = "") -> bytes:
        """Send one POST, or a GET without a body, and give what was answered; `key` = of another tenant."""
        request = urllib.request.Request(
            f"http://{HOST}:{self._ports[0]}{PREFIX}{path}",
            data=body,
            headers={"Authorization": f"Bearer {key or self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            content: bytes = answer.read()
        return content
