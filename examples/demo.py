"""`make demo`: runs the examples one after another on a server of their own, and kills it in the longest one.

Everything happens in one folder, a new one unless `--folder` names it: the store, and `ledger.jsonl` with a line for
every call that the mock server got.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from flow_automation import Client, Dag, RequestRefused, ServerUnreachable

T = TypeVar("T")
EXAMPLES = Path(__file__).resolve().parent
READY_S_MAX = 60.0  # of one process; it takes a second on an idle machine
POLL_S = 0.02
KILLED_AFTER = (0.25, 0.6)  # of the long map's items; then the server dies
OUTPUTS_CHARACTERS_MAX = 300


class DemoError(Exception):
    """A process of the demonstration does not do what it is there for."""


class Server:
    """`flow serve`, started again after each kill on the same data."""

    def __init__(self, folder: Path, mock_port: int) -> None:
        self._folder = folder
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FLOW_", "API_"))},
            "FLOW_ENV": "development",
            "FLOW_DATA_DIR": str(folder / "data"),
            "API_SERVER_PORT": "0",
            "API_SERVER_PRIVATE_PORT": "0",
            "FLOW_EGRESS_ALLOW": f"127.0.0.1:{mock_port}",
        }
        self._key = ""
        self.client = self.start()

    def start(self) -> Client:
        """Start the process; gives a client of it."""
        said = self._folder / "server.log"
        begins_at = said.stat().st_size if said.exists() else 0
        with said.open("ab") as output:
            command = [sys.executable, "-m", "module.main", "serve"]
            self._process = subprocess.Popen(
                command, cwd=EXAMPLES.parent, env=self._environment, stdout=output, stderr=output
            )
        url = self._find(said, begins_at, r"^API +(http://[0-9.:]+)/")
        if not self._key:
            self._key = self._find(said, 0, r"(flow_[0-9A-Za-z]{8}_[0-9A-Za-z]{32})")
        self.client = Client(url, self._key)
        return self.client

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it as an administrator would."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def _find(self, said: Path, begins_at: int, pattern: str) -> str:
        def look() -> str | None:
            found = re.search(pattern, said.read_bytes()[begins_at:].decode(), re.MULTILINE)
            if found is None and self._process.poll() is not None:
                raise DemoError(f"the server ended:\n{said.read_text()}")
            return None if found is None else found.group(1)

        return _until(look, "the server says where it is")


def main() -> int:
    """Run all examples; the exit status is 1 when one did not succeed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where store, logs and ledger go (default: a new one)"
    )
    chosen = parser.parse_args().folder
    with contextlib.ExitStack() as stack:
        folder = chosen or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flow-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        port = stack.enter_context(_mock_server(folder))
        server = Server(folder, port)
        stack.callback(server.stop)
        results = [*_run_all(server, folder, f"http://127.0.0.1:{port}")]
    print(f"{sum(results)} of {len(results)} succeeded")
    return 0 if all(results) else 1


def _run_all(server: Server, folder: Path, base_url: str) -> Iterator[bool]:
    yield _run(server, "hello", _yaml("hello"), {"name": "reader"})
    yield _run(server, "map", _yaml("map"), {})
    yield _run(server, "error_handling", _yaml("error_handling"), {})
    yield _run(server, "loop", _yaml("loop"), {})
    yield _run(server, "orders", _yaml("orders"), {"base_url": base_url})
    yield _run(server, "orders, built in Python", _built("orders").to_json().encode(), {"base_url": base_url})
    yield from _report(server, base_url)
    yield from _sync(server, base_url)
    yield _long_map(server, folder, base_url)


def _run(server: Server, name: str, document: bytes, inputs: dict[str, Any]) -> bool:
    began_at = time.perf_counter()
    shown = server.client.wait(_start(server, document, inputs))
    return _tell(name, shown, time.perf_counter() - began_at)


def _report(server: Server, base_url: str) -> Iterator[bool]:
    """Run the example that needs a sandbox for SQL; a machine that offers none says so when the DAG is saved."""
    try:
        yield _run(server, "orders_report", _yaml("with_files/orders_report"), {"base_url": base_url})
    except RequestRefused as refused:
        faults = refused.problem.get("errors", [])
        if {fault.get("code") for fault in faults} != {"dag.operator.unavailable"}:
            raise
        print(f"orders_report: not on this machine: {faults[0]['message']}")


def _sync(server: Server, base_url: str) -> Iterator[bool]:
    """Start an instance per page, each from the watermark of the one before, until the feed is read."""
    watermark, is_complete = 0, False
    while not is_complete:
        began_at = time.perf_counter()
        started = _start(server, _yaml("sync"), {"base_url": base_url, "since": watermark})
        shown = server.client.wait(started)
        yield _tell(f"sync since {watermark}", shown, time.perf_counter() - began_at)
        if shown["status"] != "succeeded" or shown["outputs"]["watermark"] <= watermark:
            return
        watermark, is_complete = shown["outputs"]["watermark"], shown["outputs"]["is_complete"]


def _long_map(server: Server, folder: Path, base_url: str) -> bool:
    count = 400
    began_at = time.perf_counter()
    instance_id = _start(server, _yaml("long_map"), {"base_url": base_url, "count": count})
    for share in KILLED_AFTER:
        _wait_for_calls(folder, round(share * count))
        server.kill()
        print(f"  killed after {_worked(folder)} calls; started again on the same data")
        server.start()
    shown = server.client.wait(instance_id)
    told = _tell("long_map", shown, time.perf_counter() - began_at)
    print(f"  {count} items, {_worked(folder)} calls, {len(_keys(folder))} different idempotency keys")
    return told and len(_keys(folder)) == count


def _wait_for_calls(folder: Path, count: int) -> None:
    _until(lambda: True if _worked(folder) >= count else None, "the map gets on")


def _start(server: Server, document: bytes, inputs: dict[str, Any]) -> str:
    media_type = "application/json" if document[:1] == b"{" else "application/yaml"
    dag = server.client.post("/dags?if_exists=publish", document, media_type)
    return server.client.start(dag["id"], inputs)


def _tell(name: str, shown: dict[str, Any], duration_s: float) -> bool:
    outcome = shown.get("outputs") if shown.get("error") is None else shown["error"]
    text = msgspec.json.encode(outcome).decode()
    short = text if len(text) <= OUTPUTS_CHARACTERS_MAX else f"{text[:OUTPUTS_CHARACTERS_MAX]} ..."
    print(f"{name}: {shown['status']} in {duration_s:.2f} s", f"  {short}", sep="\n", flush=True)
    return bool(shown["status"] == "succeeded")


def _yaml(name: str) -> bytes:
    return (EXAMPLES / f"{name}.yaml").read_bytes()


def _built(name: str) -> Dag:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    if spec is None or spec.loader is None:
        raise DemoError(f"{name}.py is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: Dag = module.build()
    return dag


def _worked(folder: Path) -> int:
    return sum(call["path"].startswith("/work/") for call in _ledger(folder))


def _keys(folder: Path) -> set[str]:
    return {call["key"] for call in _ledger(folder) if call["path"].startswith("/work/")}


def _ledger(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "ledger.jsonl").read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line) for line in lines]


@contextlib.contextmanager
def _mock_server(folder: Path) -> Iterator[int]:
    """Run the stand-in for other people's services on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "mock_server", "--port", str(port), "--ledger", str(folder / "ledger.jsonl")]
    process = subprocess.Popen(command, cwd=EXAMPLES.parent)
    try:
        client = Client(f"http://127.0.0.1:{port}", "", prefix="")

        def look() -> bool | None:
            if process.poll() is not None:
                raise DemoError("the mock server ended")
            with contextlib.suppress(ServerUnreachable):
                client.get("/health")
                return True
            return None

        _until(look, "the mock server answers")
        yield port
    finally:
        process.terminate()
        process.wait()


def _until(look: Callable[[], T | None], what: str) -> T:
    """Look again and again until there is something."""
    deadline_at = time.perf_counter() + READY_S_MAX
    while (found := look()) is None:
        if time.perf_counter() > deadline_at:
            raise DemoError(f"waited {READY_S_MAX:g} s in vain until {what}")
        time.sleep(POLL_S)
    return found


if __name__ == "__main__":
    sys.exit(main())
