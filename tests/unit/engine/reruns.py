"""Reruns of instances that ran on `decide` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.engine.former import Past, shared
from core.engine.lending import Rerun
from core.engine.state import Value
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import plan_of


def rerun_of(
    old: InstanceRun,
    from_step: str | None,
    inputs: Any = None,
    *,
    text: str | None = None,
    assigned: Mapping[int, Mapping[str, Value]] | None = None,
    is_gone: bool = False,
    room: int = 512,
) -> InstanceRun:
    """Run an ended instance again, perhaps on another document."""
    plan = old.plan if text is None else plan_of(text)
    past = Past(
        instance_id=old.state.header.id, plan=old.plan, tasks=old.state.frames[""].tasks, assigned=assigned or {}
    )
    rerun = Rerun(old.state.header.id, from_step, "p-1", "as agreed", shared(plan, past, from_step))
    run = InstanceRun(plan, room=room, lender=None if is_gone else old, id=f"{old.id}+")
    return run.start(old.start_facts.inputs if inputs is None else inputs, rerun=rerun)
