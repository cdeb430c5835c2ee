"""State is a fold of the journal: what events make of a header, and of an instance's rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from core.dag.plan import Plan
from core.engine import events as e
from core.engine.frame_events import StateInconsistent, apply_frame, open_frame
from core.engine.journal import decode_events, decode_frame
from core.engine.paused_time import with_pause
from core.engine.permit_events import InstanceAdmitted, InstanceGated, PriorityGiven
from core.engine.rerun_events import RerunBegun
from core.engine.state import Closing, Frame, Header, State
from core.engine.statuses import INSTANCE_PAUSED, INSTANCE_QUEUED, INSTANCE_RUNNING, INSTANCE_WAITING
from core.engine.stimuli import Start
from core.engine.sure import sure
from core.engine.transitions import require_instance
from core.ports.instance_store import Loaded

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # of Python 3.13

HeaderEvent = (
    e.InstanceStarted
    | e.InstanceClosing
    | e.InstanceEnded
    | e.InstanceConcluded
    | e.HookEntered
    | e.HookEnded
    | e.InstanceWaiting
    | e.InstanceWoken
    | e.SignalReceived
    | e.SignalTaken
    | e.CallbacksOpened
    | e.InstanceActed
    | e.InstancePaused
    | e.PauseCounted
    | e.InstanceResumed
    | RerunBegun
    | e.ChildBegun
    | PriorityGiven
    | InstanceGated
    | InstanceAdmitted
)
HEADER_EVENTS: frozenset[type[e.Event]] = frozenset(HeaderEvent.__args__)


def is_header_event(event: e.Event) -> TypeIs[HeaderEvent]:
    """Say whether it changes the header: by its type, since to ask `isinstance` twenty times took half of a replay."""
    return type(event) in HEADER_EVENTS


def queued_state(start: Start, *, epoch: int) -> State:
    """Make the state of an instance before its first decision: header `queued`, no frame, journal row 1 gathering."""
    header = Header(
        start.id, start.domain_id, start.dag_id, start.dag_hash, start.dag_version, INSTANCE_QUEUED,
        start.created_at, b"null", start.trigger, labels=start.labels,
    )  # fmt: skip
    return State(header, {}, epoch=epoch, seq=1, values={})


def apply_header(header: Header, event: HeaderEvent) -> Header:
    """Give the header after `event`."""
    require_instance(event, header.status)
    return _CHANGES[type(event)](header, event)


def _begun(header: Header, event: e.InstanceStarted) -> Header:
    return replace(header, status=INSTANCE_RUNNING, started_at=event.at, inputs=event.inputs, timer=event.timer)


def _gated(header: Header, event: InstanceGated) -> Header:
    if event.permit.is_held:
        return replace(header, permit=event.permit)
    return replace(header, status=INSTANCE_QUEUED, started_at=None, timer=None, permit=event.permit)


def _admitted(header: Header, event: InstanceAdmitted) -> Header:
    permit = replace(sure(header.permit), is_held=True)
    return replace(header, status=INSTANCE_RUNNING, started_at=event.at, timer=event.timer, permit=permit)


def _closing(header: Header, event: e.InstanceClosing) -> Header:
    returned = event.returned or header.returned
    return replace(header, status=event.status, closing=event.closing, returned=returned)


def _running(header: Header, _event: e.InstanceWoken | e.InstanceResumed) -> Header:
    return replace(header, status=INSTANCE_RUNNING)


def _signal_taken(header: Header, event: e.SignalTaken) -> Header:
    unread = tuple(signal for signal in header.signals if signal.number != event.number)
    return replace(header, signals=unread)


def _pause_counted(header: Header, event: e.PauseCounted) -> Header:
    pauses = with_pause(header.pauses, event.paused)
    return replace(header, paused_at=None, pauses=pauses, timer=event.timer)


def _ended(header: Header, event: e.InstanceEnded) -> Header:
    return replace(
        header, status=event.status, ended_at=event.at, outputs=event.outputs, error=event.error,
        reason=event.reason, closing=None, returned=None, timer=None, outcome=None, hook=None, signals=(),
        callback_secret=b"", paused_at=None, permit=None,
    )  # fmt: skip


_CHANGES: Mapping[type, Callable[[Header, Any], Header]] = {
    e.InstanceStarted: _begun,
    e.InstanceEnded: _ended,
    e.InstanceClosing: _closing,
    e.InstanceWaiting: lambda header, _event: replace(header, status=INSTANCE_WAITING),
    e.InstanceWoken: _running,
    e.InstanceResumed: _running,
    e.InstancePaused: lambda header, event: replace(header, status=INSTANCE_PAUSED, paused_at=event.at),
    e.PauseCounted: _pause_counted,
    e.InstanceActed: lambda header, _event: header,  # who did it, and why, is for people
    e.InstanceConcluded: lambda header, event: replace(
        header, outcome=event.outcome, timer=event.timer, closing=None, returned=None
    ),
    e.HookEntered: lambda header, event: replace(header, hook=event.list),
    e.HookEnded: lambda header, event: replace(header, outcome=event.outcome, closing=_outlasting(header.closing)),
    e.SignalReceived: lambda header, event: replace(
        header, signals=(*header.signals, event.signal), signals_count=event.signal.number
    ),
    e.SignalTaken: _signal_taken,
    e.CallbacksOpened: lambda header, event: replace(header, callback_secret=event.secret),
    RerunBegun: lambda header, event: replace(header, origin=event.of),
    e.ChildBegun: lambda header, event: replace(header, origin=event.parent),
    PriorityGiven: lambda header, event: replace(header, priority=event.priority),
    InstanceGated: _gated,
    InstanceAdmitted: _admitted,
}


def _outlasting(closing: Closing | None) -> Closing | None:
    """Give the mark that holds for the next hook, too: all but a failing one, which was the ended hook's own."""
    return None if closing is None or closing.cause == "failing" else closing


def header_of(event: e.InstanceStarted) -> Header:
    """Make the header that an instance had just before its first journal event."""
    return Header(
        event.id, event.domain_id, event.dag_id, event.dag_hash, event.dag_version, INSTANCE_QUEUED,
        event.created_at, b"null", event.trigger, labels=event.labels,
    )  # fmt: skip


def replay(
    plan: Plan, header: Header | None, frames: dict[str, Frame], seq: int, events: Sequence[e.Event],
    written: Mapping[str, int],
) -> Header | None:  # fmt: skip
    """Apply journal row `seq` to the frames (in place) and the header that are older than it; gives the header.

    Events of a frame that is not at hand are passed over: it closed, and nothing asks for it.

    Args:
        written: by path, up to which journal row the frame is true already; the header goes with path "".
    """
    for event in events:
        if is_header_event(event):
            if seq > written.get("", 0):
                header = apply_header(_started(header, event), event)
        elif isinstance(event, e.FrameOpened):
            if event.frame not in frames:
                frames[event.frame] = open_frame(plan, event)
        elif event.frame in frames and seq > written.get(event.frame, 0):
            apply_frame(plan, frames[event.frame], event)
            frames[event.frame].seq = seq
    return header


def _started(header: Header | None, event: HeaderEvent) -> Header:
    if header is not None:
        return header
    if isinstance(event, e.InstanceStarted):
        return header_of(event)
    message = f"{type(event).__name__} comes before the start"
    raise StateInconsistent(message)


def restore(plan: Plan, loaded: Loaded, *, epoch: int) -> State:
    """Make the state of an instance from its frame rows and the newest journal rows (engine.md 1).

    Frames that the tail closed are left out, but for the top frame. `State.values` is empty: the node gives its own.

    Raises:
        StateInconsistent: neither the top frame's row nor the whole journal is there.
        JournalUnreadable: a row is of an unknown version or broken.
    """
    header: Header | None = None
    frames: dict[str, Frame] = {}
    for row in loaded.frames:
        read, frames[row.path], _snapshot_seq = decode_frame(row.body, seq=row.seq)
        header = read or header
    written = {path: frame.seq for path, frame in frames.items()}
    for entry in loaded.journal:
        header = replay(plan, header, frames, entry.seq, decode_events(entry.version, entry.body), written)
    if header is None or "" not in frames:
        message = "the top frame's row is missing and the journal's tail does not reach back to the start"
        raise StateInconsistent(message)
    kept = {path: frame for path, frame in frames.items() if frame.is_open or path == ""}
    state = State(header, kept, epoch=epoch, seq=loaded.row.seq + 1, values={})
    state.has_marks = has_marks(state)
    return state


def header_of_rows(loaded: Loaded) -> Header | None:
    """Give the header that an instance's rows hold, loaded with frame ""; None = it has not begun. Needs no plan."""
    header, written = None, 0
    top = next((row for row in loaded.frames if row.path == ""), None)
    if top is not None:
        header, written = decode_frame(top.body, seq=top.seq)[0], top.seq
    for entry in loaded.journal:
        if entry.seq > written:
            for event in decode_events(entry.version, entry.body):
                if is_header_event(event):
                    header = apply_header(_started(header, event), event)
    return header


def has_marks(state: State) -> bool:
    """Say whether anything in the instance is closing."""
    if state.header.closing is not None:
        return True
    return any(
        frame.closing or any(getattr(getattr(task, "detail", None), "closing", None) for task in frame.tasks)
        for frame in state.frames.values()
    )
