"""Threads that own a connection each, and hand results to the event loop that asked."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from core.errors import QueueFull, StoreBroken, StoreUnavailable
from core.predicate import full_node

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

WAITING_CALLS_MAX = 1_024  # one batch is in flight per node; the rest are reads of requests, and 429 is due long before


class Desk(Protocol):
    """What a thread works at: opened, used and closed on that thread only."""

    def open(self) -> None:
        """Open the connection."""

    def call(self, work: Callable[[Any], Any]) -> Any:
        """Do one piece of work."""

    def rest(self, *, is_idle: bool) -> None:
        """Do what is due between two pieces of work; `is_idle` when nothing waits."""

    def close(self) -> None:
        """Close the connection."""


class _Call:
    __slots__ = ("future", "loop", "work")

    def __init__(self, work: Callable[[Any], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()


class CallThreads:
    """One queue of calls, served by one thread per desk in the order of arrival.

    A call whose awaiter is cancelled is carried out all the same: nothing half-happens.
    """

    def __init__(self, name: str, desks: list[Desk]) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._desks = desks
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._is_open = False
        # Daemons: a process that ends without `close` must not hang on its store (crash-only).
        self._threads = [
            threading.Thread(target=self._serve, args=(desk,), name=f"{name}-{n}", daemon=True)
            for n, desk in enumerate(desks)
        ]

    def start(self) -> None:
        """Start the threads and wait until every desk is open.

        Raises:
            Exception: what opening a desk raised; no thread is left.
        """
        for thread in self._threads:
            thread.start()
        faults = [self._opened.get() for _ in self._threads]
        self._is_open = True
        for fault in faults:
            if fault is not None:
                self.stop()
                raise fault

    def stop(self) -> None:
        """Do what was asked before, close the desks and end the threads."""
        if self._is_open:
            self._is_open = False
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    async def call(self, work: Callable[[Any], Answer]) -> Answer:
        """Have one piece of work done and wait for its answer.

        Raises:
            StoreUnavailable: not open. QueueFull: WAITING_CALLS_MAX calls wait already.
        """
        if not self._is_open:
            raise StoreUnavailable("the store is not open")
        waiting = self._calls.qsize()
        if waiting >= WAITING_CALLS_MAX:
            bound = full_node("store_calls", waiting, WAITING_CALLS_MAX, "the store has done one of them")
            raise QueueFull(f"{WAITING_CALLS_MAX} calls wait for the store", bound)
        call = _Call(work, asyncio.get_running_loop())
        self._calls.put(call)
        answer: Answer = await call.future
        return answer

    def _serve(self, desk: Desk) -> None:
        try:
            desk.open()
        except BaseException as fault:  # noqa: BLE001 - handed to the thread that waits in `start`
            self._opened.put(fault)
            return
        self._opened.put(None)
        try:
            while (call := self._calls.get()) is not None:
                _carry_out(desk, call)
                del call  # its answer must not live until the next call
                desk.rest(is_idle=self._calls.empty())
        except BaseException:
            # A thread that dies of a bug must not leave anybody waiting for it.
            self._is_open = False
            self._refuse_waiting()
            raise
        finally:
            desk.close()

    def _refuse_waiting(self) -> None:
        fault = StoreBroken("a thread of the store has ended")
        with contextlib.suppress(queue.Empty):
            while (call := self._calls.get_nowait()) is not None:
                _answer(call, None, fault)


def _carry_out(desk: Desk, call: _Call) -> None:
    answer: Any = None
    fault: BaseException | None = None
    try:
        answer = desk.call(call.work)
    except BaseException as raised:  # noqa: BLE001 - handed to the task that awaits the call
        fault = raised
    _answer(call, answer, fault)


def _answer(call: _Call, answer: Any, fault: BaseException | None) -> None:
    try:
        call.loop.call_soon_threadsafe(_settle, call.future, answer, fault)
    except RuntimeError:  # the loop was closed while the work was done: nobody waits any more
        return


def _settle(future: asyncio.Future[Any], answer: Any, fault: BaseException | None) -> None:
    if future.cancelled():
        return
    if fault is None:
        future.set_result(answer)
    else:
        future.set_exception(fault)
