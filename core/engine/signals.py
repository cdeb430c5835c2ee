"""Signals: kept in the instance until a wait takes them, each by one wait (semantics.md S26)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.dag.control import SIGNAL_SOURCE
from core.dag.plan import EventPlan, Node
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.answer_state import KeptSignal
from core.engine.closing import closing_of
from core.engine.draft import EVALUATION_FUEL_MAX, Draft
from core.engine.names import Place, place_of, render, slots_for
from core.engine.state import Frame, WaitState
from core.engine.statuses import TASK_WAITING
from core.engine.sure import sure
from core.engine.values import stamp
from core.engine.waking import end_wait
from core.executor.operator import ComputeFailed
from core.expression import ExpressionFailed, Fuel, Program
from core.predicate import Predicate

SIGNALS_PER_NAME_MAX = 100  # unread (S26)
# Unread in all: with names and ids of their longest they take some 150 KiB of the top frame's row of 256 KiB.
SIGNALS_UNREAD_MAX = 400
SIGNAL_BYTES_MAX = 131_072  # of one signal's JSON: passed on to another node it lies in one row of 256 KiB
SIGNAL_ID_CHARACTERS_MAX = 255
SIGNAL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}", re.ASCII)


def take(draft: Draft, event: s.Signal) -> None:
    """Give a signal to the wait that waits longest of those that it fits; none = keep it. Too many unread refuse it."""
    status = draft.header.status
    number = draft.header.signals_count + 1
    signal = KeptSignal(number, event.name, draft.now, event.id, draft.store(event.data, None, is_read=False))
    try:
        taker = _taker(draft, signal)
    except ExpressionFailed:  # the filters of all waits together burn more than one decision may
        draft.answer = x.Answer("full", status, bound=_costly(draft, event.name))
        return
    if draft.is_missing:
        return
    bound = None if taker is not None or event.is_stored else _full(draft, event.name)
    if bound is not None:
        draft.answer = x.Answer("full", status, bound=bound)
        return
    draft.emit(e.SignalReceived(signal))
    if taker is not None:
        frame, index = taker
        _give(draft, frame, index, signal)
    draft.answer = x.Answer("accepted", status)


def _full(draft: Draft, name: str) -> Predicate | None:
    """Say which bound on unread signals is reached, if one is."""
    unread = draft.header.signals
    same = sum(signal.name == name for signal in unread)
    if same >= SIGNALS_PER_NAME_MAX:
        value = {"name": name, "taken": same, "most": SIGNALS_PER_NAME_MAX}
        return _of_instance(draft, "unread_signals_of_name", value, "a wait for this name takes one")
    if len(unread) >= SIGNALS_UNREAD_MAX:
        value = {"taken": len(unread), "most": SIGNALS_UNREAD_MAX}
        return _of_instance(draft, "unread_signals", value, "a wait takes one")
    return None


def _costly(draft: Draft, name: str) -> Predicate:
    """Say that the filters of the waits for a name cost too much."""
    waits = sum(1 for _ in _waits_for(draft, name))
    value = {"name": name, "waits": waits, "taken": EVALUATION_FUEL_MAX, "most": EVALUATION_FUEL_MAX}
    return _of_instance(draft, "filter_fuel", value, "fewer of its tasks wait for this name")


def _of_instance(draft: Draft, name: str, value: Any, expected: str) -> Predicate:
    return Predicate(name=name, value=value, holder_kind="instance", holder=draft.header.id, next=expected)


def _taker(draft: Draft, signal: KeptSignal) -> tuple[Frame, int] | None:
    """Find the wait that takes the signal; the result is void while values are missing.

    Raises:
        ExpressionFailed: the fuel of one evaluation does not pay for the filters of all waits.
    """
    fuel = draft.fuel()
    given = fuel.left
    try:
        for _since, path, index in sorted(_waits_for(draft, signal.name)):
            frame = draft.peek(path)
            plan = _event_of(draft.node(frame, index))
            if plan.filter is None:
                return frame, index
            if _fits(draft, place_of(draft, frame, index), plan.filter, signal, fuel):
                return frame, index
        return None
    finally:
        draft.burned(given, fuel)


def _waits_for(draft: Draft, name: str) -> Iterator[tuple[Any, str, int]]:
    """Give the waits for signals of a name that nothing ends: since when, frame and index."""
    for frame in draft.open_frames():
        if not frame.waiting:
            continue
        for index, task in enumerate(frame.tasks):
            held = None if task is None or task.status is not TASK_WAITING else task.detail
            if isinstance(held, WaitState) and held.signal == name and closing_of(draft, frame, index) is None:
                yield held.since, frame.path, index


def begin_signal_wait(draft: Draft, place: Place, index: int, node: Node) -> str | None:
    """Take the oldest unread signal that fits; gives the name to wait for when there is none.

    None also while values are missing.

    Raises:
        ExpressionFailed: the name errs, or the filter burns too much. ComputeFailed: it is no name.
    """
    plan = _event_of(node)
    name, has_holes = render(draft, place, plan.name)
    name = draft.fill(name) if has_holes else name
    if draft.is_missing:
        return None
    if not isinstance(name, str) or not SIGNAL_NAME.fullmatch(name):
        raise ComputeFailed("invalid", "`event.name` is no name of a signal: letters, digits and _ . : -, at most 128")
    unread = [signal for signal in draft.header.signals if signal.name == name]
    found = _oldest(draft, place, plan, unread)
    if draft.is_missing:
        return None
    if found is None:
        return name
    _give(draft, place.frame, index, found)
    return None


def _oldest(draft: Draft, place: Place, plan: EventPlan, unread: list[KeptSignal]) -> KeptSignal | None:
    if plan.filter is None:
        return unread[0] if unread else None
    fuel = draft.fuel()
    given = fuel.left
    try:
        for signal in unread:  # also behind one whose data are missing: all are asked for at once
            if _fits(draft, place, plan.filter, signal, fuel):
                return signal
        return None
    finally:
        draft.burned(given, fuel)


def _fits(draft: Draft, place: Place, program: Program, signal: KeptSignal, fuel: Fuel) -> bool:
    """Say whether a filter holds for a signal; one that errs does not: a stranger's data may have any shape.

    False while values are missing.

    Raises:
        ExpressionFailed: kind `limit`, fuel ran out.
    """
    slots = []
    for read in program.reads:
        if read.path == ("event",):
            slots.append(_as_event(draft, signal))
        else:
            slots += slots_for(draft, place, [read])
    if draft.is_missing:
        return False
    try:
        return program.run(slots, fuel, draft.now) is True
    except ExpressionFailed as failure:
        if failure.kind == "limit":
            raise
        return False


def _as_event(draft: Draft, signal: KeptSignal) -> dict[str, Any]:
    """Give a signal as filters read it: by the names that CloudEvents has."""
    return {
        "id": signal.id,
        "source": SIGNAL_SOURCE,
        "type": signal.name,
        "time": stamp(signal.at),
        "data": draft.load(signal.data),
    }


def _give(draft: Draft, frame: Frame, index: int, signal: KeptSignal) -> None:
    draft.emit(e.SignalTaken(signal.number, draft.task_path(frame, index)))
    end_wait(draft, frame.path, index, "signal", signal.data)


def _event_of(node: Node) -> EventPlan:
    return sure(sure(node.wait).event)
