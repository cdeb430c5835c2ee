"""Both servers in one process: sockets are bound first, so that a taken port is said before anything is opened."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.errors import ErrorKind, FlowError
from driver_adapters.http.exchange import ABORT_KEY
from driver_adapters.http.observed import AsgiApp

BACKLOG = 2_048  # connections that wait while the loop is busy; the kernel cuts it to its own bound
KEEP_ALIVE_S = 75  # longer than the 60 s after which common proxies drop idle connections: they close first
STOP_S = 5  # what open requests get after the engine has stopped; long polls were answered by then


class PortTaken(FlowError):
    """Another process listens on the port; stop it or choose another one."""

    kind, slug, title = ErrorKind.CONFLICT, "port-taken", "Port is taken"


class Listener(msgspec.Struct, frozen=True):
    """A bound socket and the port that it really has."""

    socket: socket.socket
    port: int


class _JoinedWrites:
    """A transport on which two writes of one turn of the event loop are one: an answer's head and its body.

    Each write to a socket is a call into the kernel and wakes the reader (bench/NOTES.md).
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._held: bytes | None = None
        self._flushing: asyncio.Handle | None = None

    def __getattr__(self, name: str) -> Any:
        """Give everything else of the transport, and remember it: most is asked for with every request."""
        found = getattr(self._transport, name)
        setattr(self, name, found)
        return found

    def write(self, data: bytes) -> None:
        """Send with the write before, if that has not left yet; else with the next one, or when this turn is over."""
        held = self._held
        if held is None or self._flushing is None:
            self._held = data
            self._flushing = asyncio.get_running_loop().call_soon(self._flush)
            return
        self._flushing.cancel()
        self._held = self._flushing = None
        self._transport.writelines((held, data))

    def close(self) -> None:
        """Close after what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held, self._flushing = self._held, None, None
        if held is not None and not self._transport.is_closing():
            self._transport.write(held)


class _Connection(HttpToolsProtocol):
    """Tells each request how its connection is ended at once: a caller who does not read cannot be told anything."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """Take a connection."""
        joined: Any = _JoinedWrites(transport)
        super().connection_made(joined)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[ABORT_KEY] = self.transport.abort


class _Server(uvicorn.Server):
    """Leaves signals alone: one place in the process handles them, for both servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def bind(host: str, port: int, name: str) -> Listener:
    """Bind a listening socket; port 0 takes a free one.

    Args:
        name: the setting that chose the port, for the message.

    Raises:
        PortTaken: somebody else has the port, or it may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortTaken(f"{host}:{port} cannot be used ({error.strerror}); stop what holds it or set {name}") from error
    return Listener(made, made.getsockname()[1])


async def serve_until(stop: asyncio.Event, pairs: Sequence[tuple[AsgiApp, Listener]]) -> None:
    """Serve each application on its listener until `stop` is set, then end open requests within STOP_S."""
    servers = [_Server(_config(app)) for app, _ in pairs]
    async with asyncio.TaskGroup() as group:
        for server, (_, listener) in zip(servers, pairs, strict=True):
            group.create_task(server.serve(sockets=[listener.socket]))
        await stop.wait()
        for server in servers:
            server.should_exit = True


def _config(app: AsgiApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",  # the running one
        http=_Connection,
        ws="none",  # there is no WebSocket here; an upgrade is an ordinary request
        lifespan="off",
        log_config=None,
        log_level="warning",  # its information lines repeat what is said and counted here
        access_log=False,
        proxy_headers=False,  # nobody is trusted to name another peer (S-07)
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        backlog=BACKLOG,
    )
