"""`flow example`: the whole product on real input, on one machine, with one command."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from core.access.permission import ADMINISTRATOR
from core.access.service import DEFAULT_DOMAIN_ID
from core.engine.instance_search import InstanceQuery
from core.engine.service import WAIT_S_MAX
from core.engine.views import InstanceView
from core.errors import ErrorKind, FlowError
from core.ports.clock import Clock
from core.ports.scope import Principal, Scope
from module.process import Running, handle_signals, run_process
from module.resources import FOLDER_MODE
from module.settings import Settings
from pkg.redaction import Redactor

PROJECT_FOLDER = Path(__file__).parents[1]
EXAMPLES_FOLDER = PROJECT_FOLDER / "examples"
MAIN_EXAMPLE = "orders.yaml"
MOCK_HOST = "127.0.0.1"
LEDGER_FILE = "mock_server_ledger.jsonl"
MOCK_READY_S = 10.0  # a Python process starts within a second; an old one needs some time to let its port go
_MOCK_POLL_S = 0.05
_OPEN_STATUSES = ("running", "cancelling", "queued")
SYSTEM = Scope(DEFAULT_DOMAIN_ID, Principal("system:example", "system", "example", (ADMINISTRATOR,)))


class MockServerAbsent(FlowError):
    """The mock server of the example does not answer; its port may be taken."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "mock-server-absent", "Mock server does not answer"


async def run_example(
    settings: Settings, *, is_once: bool, say: Callable[[str], None], redactor: Redactor | None = None
) -> bool:
    """Start everything, load the examples, run one (or go on with the one that a crash left), say how it ended.

    Returns:
        Whether it succeeded.

    Raises:
        PortTaken, StoreUnavailable, MockServerAbsent: says what to do about it.
    """
    stop = asyncio.Event()
    handle_signals(stop)
    # The mock server outlives the engine's drain: attempts that are under way still get their answers.
    async with _mock_server(settings) as mock_ready, run_process(settings, stop, redactor) as running:
        await mock_ready(running.box.clock())
        greet(running, settings, say)
        dag_ids = await _load_examples(running)
        instance_id = await _unfinished_or_new(running, dag_ids[MAIN_EXAMPLE], _mock_port(settings), say)
        say(f"link     {_base(running, settings)}{settings.http_prefix}/instances/{instance_id}")
        shown = await _until_ended(running, stop, instance_id)
        if shown is None:
            return True
        _tell(shown, say)
        if not is_once:
            say("serving on; stop with Ctrl-C")
            await stop.wait()
        return shown.status == "succeeded"


def greet(running: Running, settings: Settings, say: Callable[[str], None]) -> None:
    """Say where everything is; the key of an empty store is said this once."""
    base = _base(running, settings)
    if running.first_key is not None:
        say(f"administrator key, shown this once: {running.first_key.text}")
    say(f"API      {base}{settings.http_prefix}")
    say(f"API docs {base}{settings.http_prefix}/docs")
    say(f"private  http://{settings.bind_host}:{running.private_port} (health, metrics)")
    say(f"data     {settings.data_dir.resolve()}")


def _base(running: Running, settings: Settings) -> str:
    return f"http://{settings.bind_host}:{running.public_port}"


async def _load_examples(running: Running) -> dict[str, str]:
    dags = running.box.dag_access()
    found = {}
    for file in sorted(EXAMPLES_FOLDER.glob("*.yaml")):
        row = await dags.create(SYSTEM, dags.read(SYSTEM, file.read_bytes(), "yaml"), if_exists="publish")
        found[file.name] = row.id
    return found


async def _unfinished_or_new(running: Running, dag_id: str, mock_port: int, say: Callable[[str], None]) -> str:
    instances = running.box.instance_service()
    for status in _OPEN_STATUSES:
        for shown in (await instances.list(SYSTEM, InstanceQuery(dag_id=dag_id, status=status), limit=1)).items:
            say(f"instance {shown.id} was left unfinished; it goes on")
            return shown.id
    started = await instances.start(SYSTEM, dag_id, {"base_url": f"http://{MOCK_HOST}:{mock_port}"})
    say(f"instance {started.instance_id} started")
    return started.instance_id


async def _until_ended(running: Running, stop: asyncio.Event, instance_id: str) -> InstanceView | None:
    """Wait for the outcome; None when the process was told to stop before."""
    instances = running.box.instance_service()
    while not stop.is_set():
        waiting = asyncio.ensure_future(instances.wait(SYSTEM, instance_id, WAIT_S_MAX))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not waiting.done():
            waiting.cancel()
            return None
        shown = waiting.result()
        if shown is not None:
            return shown
    return None


def _tell(shown: InstanceView, say: Callable[[str], None]) -> None:
    say(f"instance {shown.id} {shown.status}")
    value = shown.outputs if shown.error is None else shown.error
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


@contextlib.asynccontextmanager
async def _mock_server(settings: Settings) -> AsyncIterator[Callable[[Clock], Awaitable[None]]]:
    """Run the mock server beside this process; gives what waits until it answers. It ends with this process."""
    port = _mock_port(settings)
    settings.data_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    ledger = settings.data_dir.resolve() / LEDGER_FILE
    arguments = ("-m", "mock_server", "--port", str(port), "--ledger", str(ledger), "--until-stdin-closes")
    child = await _start_python(arguments)

    async def until_ready(clock: Clock) -> None:
        nonlocal child
        deadline_at = clock.monotonic() + MOCK_READY_S
        while child.returncode is not None or not await asyncio.to_thread(_answers, port):
            if clock.monotonic() > deadline_at:
                raise MockServerAbsent(f"nothing answers on port {port}; stop what holds it or set FLOW_EGRESS_ALLOW")
            if child.returncode is not None:
                # The one of a killed process may still hold the port for a moment.
                child = await _start_python(arguments)
            await clock.sleep_until(clock.monotonic() + _MOCK_POLL_S)

    try:
        yield until_ready
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def _start_python(arguments: Sequence[str]) -> asyncio.subprocess.Process:
    """Start a process that holds the other end of a pipe of ours: it notices when we are gone.

    A session of its own: Ctrl-C is for this process, which ends the other one after its drain.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=PROJECT_FOLDER, stdin=asyncio.subprocess.PIPE, start_new_session=True
    )


def _mock_port(settings: Settings) -> int:
    """Give the first port on this machine that operators may call."""
    for entry in settings.egress_allow:
        host, _, port = entry.rpartition(":")
        if host == MOCK_HOST:
            return int(port)
    raise MockServerAbsent(f"FLOW_EGRESS_ALLOW must name {MOCK_HOST}:PORT, where the mock server is to listen")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(MOCK_HOST, port, timeout=1.0)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
