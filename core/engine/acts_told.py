"""Acts by hand as they are audited: who did what to which instance or task, and why (reliability.md R35)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from core.dag.plan import Plan
from core.engine.events import Event, InstanceActed, TaskActed
from core.engine.state import Frame


class ToldAct(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `by` is the id of a principal; `act` is `instance.pause`, `task.skip`, `batch.cancel` and so on.

    `instance_id` and `task` (its path) name what it was done to; `batch_id` an act on many instances.
    """

    act: str
    by: str
    reason: str = ""
    instance_id: str | None = None
    task: str | None = None
    batch_id: str | None = None


encode_act = msgspec.json.Encoder().encode
decode_act = msgspec.json.Decoder(ToldAct).decode


def told_acts(plan: Plan, instance_id: str, frames: Mapping[str, Frame], events: Iterable[Event]) -> list[bytes]:
    """Give the acts among the events of a decision, encoded; `frames` are those in which its tasks stand."""
    found = []
    for event in events:
        if isinstance(event, InstanceActed):
            act, path = f"instance.{event.act}", None
        elif isinstance(event, TaskActed):
            act, path = f"task.{event.act}", _path(plan, frames[event.frame], event.index)
        else:
            continue
        found.append(encode_act(ToldAct(act=act, by=event.by, reason=event.reason, instance_id=instance_id, task=path)))
    return found


def _path(plan: Plan, frame: Frame, index: int) -> str:
    """Give the path of a task (S2)."""
    region = plan.regions[frame.region]
    cell, slot = divmod(index, region.size)
    number = "" if region.map_node is None else f"{frame.first + cell}."
    return f"{frame.prefix}{number}{plan.nodes[region.nodes[slot]].id}"
