"""What happened, task by task, without times and numbers of attempts: what two runs of one thing have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from core.engine import events as e
from core.engine.state import Container, Joined, LoopState, MapState, Reference, TryState, Value
from core.engine.values import references_of, resolve


class Fact(msgspec.Struct, frozen=True):
    """Something that happened to a task, or to the instance (path ""): in which row, what, and with which values."""

    seq: int
    path: str
    event: str
    said: dict[str, Any]


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing in which two runs differ; a side that is None had nothing more to say of that task."""

    path: str
    left: Fact | None
    right: Fact | None
    cause: str


_Told = tuple[str, dict[str, Any]]


def told(event: e.Event, values: Mapping[Reference, Any]) -> _Told | None:
    """Tell an event that is a fact; None for what depends on time, nodes and chance, or follows from others."""
    match event:
        case e.InstanceStarted():
            return "started", {"inputs": _shown(event.inputs, values), "dag_hash": event.dag_hash}
        case e.InstanceEnded():
            shown = {"outputs": _shown(event.outputs, values), "error": _shown(event.error, values)}
            return "ended", {"status": event.status.value, "reason": event.reason, **shown}
        case e.TaskReadied():
            return "called", {"parameters": _shown(event.parameters, values)}
        case e.TaskSucceeded():
            return "succeeded", {"output": _shown(event.output, values), "errors": _shown(event.errors, values)}
        case e.TaskFailed() | e.AttemptFailed():
            name = "failed" if isinstance(event, e.TaskFailed) else "attempt_failed"
            return name, {"error": _shown(event.error, values)}
        case e.TaskSkipped():
            return "skipped", {"reason": event.reason, "output": _shown(event.output, values)}
        case e.TaskCancelled():
            return "cancelled", {"reason": event.reason}
        case e.HandlingEnded():
            return "handled", {"output": _shown(event.output, values), "error": _shown(event.error, values)}
        case e.TaskActed():
            return "acted", {"act": event.act}
        case e.WaitBegun():
            return "waiting", {}
        case e.ContainerEntered():
            return "entered", _entered(event.detail)
        case _:
            return None


def _entered(detail: Container | MapState | LoopState | TryState) -> dict[str, Any]:
    match detail:
        case Container():
            return {"lists": list(detail.lists)}
        case MapState() | LoopState():
            return {"count": detail.count}
        case _:
            return {}


def _shown(value: Value | None, values: Mapping[Reference, Any]) -> Any:
    if value is None:
        return None
    missing: list[Reference] = []
    found = resolve(value, values, missing)
    if not missing:
        return found
    named = references_of(value) if isinstance(value, Joined) else missing
    return {"value_bytes": sum(one.length for one in named)}


def first_divergence(left: Sequence[Fact], right: Sequence[Fact]) -> Divergence | None:
    """Compare task by task: what comes first in the left run, else what only the right one has; None = nothing."""
    others = _by_path(right)
    mine = _by_path(left)
    taken: dict[str, int] = {}
    for fact in left:
        place = taken.get(fact.path, 0)
        taken[fact.path] = place + 1
        theirs = others.get(fact.path, [])
        other = theirs[place] if place < len(theirs) else None
        if other is None or (other.event, other.said) != (fact.event, fact.said):
            return Divergence(path=fact.path, left=fact, right=other, cause=_cause(fact, other))
    for path, theirs in others.items():
        more = theirs[len(mine.get(path, [])) :]
        if more:
            fact = more[0]
            return Divergence(path=path, left=None, right=fact, cause=_cause(None, fact))
    return None


def _by_path(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.path, []).append(fact)
    return found


def _cause(left: Fact | None, right: Fact | None) -> str:
    """Say why both differ there. All before it is equal, so it is what came from outside, or what was decided of it."""
    if left is None or right is None:
        return "only one of both came so far"
    if left.event != right.event:
        return f"{left.event} in one, {right.event} in the other"
    if left.event == "started":
        return "the versions differ" if left.said["dag_hash"] != right.said["dag_hash"] else "the inputs differ"
    names = [name for name in left.said if left.said[name] != right.said.get(name)]
    causes = {
        "parameters": "the rendered parameters differ, though every step before gave the same",
        "output": "the operator answered otherwise to the same parameters",
        "error": "the operator failed otherwise at the same parameters",
        "lists": "another branch was chosen",
        "count": "another number of items",
    }
    return causes.get(names[0], f"{names[0]} differs")
