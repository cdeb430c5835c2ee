"""A parent and its children on `decide` alone: what one tells the other is carried by hand."""

from __future__ import annotations

from typing import Any

import msgspec

from core.dag.callee import Callee
from core.engine import stimuli as s
from core.engine.state import CallState, InstanceStatus
from core.engine.sure import sure_of
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import plan_of

CHILD = """
    inputs: {type: object, properties: {n: {type: integer, default: 1}}, required: [n]}
    steps: [{id: a, operator: "@test/anything", parameters: {n: "{{ inputs.n }}"}}]
    outputs: {got: "{{ steps.a.output }}"}
    """


def callee(text: str = CHILD, *, status: Any = "normal", dag_id: str = "child-dag") -> Callee:
    """Make a DAG that calls find."""
    return Callee(
        dag_id, status, None if status == "invalid" else msgspec.structs.replace(plan_of(text), dag_id=dag_id)
    )


def calls(parameters: str = "", extra: str = "", after: str = "") -> str:
    """Write a document that calls `Child`, and does `after` beside or behind it."""
    return f"""
        steps:
          - {{id: c, operator: "@control/call", parameters: {{dag: Child{parameters}}}{extra}}}
          {after}
        outputs: "{{{{ has(steps.c.output) ? steps.c.output : null }}}}"
        """


def calling(text: str | None = None, inputs: Any = None, *, found: Callee | None = None, **fields: Any) -> InstanceRun:
    """Start a parent; its calls find `found` under the title `Child`."""
    run = InstanceRun(plan_of(text or calls()), **fields)
    run.callees = {("Child", None): found or callee()}
    return run.start(inputs)


def child_of(parent: InstanceRun, number: int = -1) -> InstanceRun:
    """Begin a child as the node of its shard would."""
    start = parent.children[number]
    [found] = [one for one in parent.callees.values() if one.dag_id == start.dag_id]
    run = InstanceRun(found.plan)  # type: ignore[arg-type] # what was started has a plan
    run.callees = parent.callees
    return run.begin(start)


def held_by(run: InstanceRun, path: str = "c") -> CallState:
    """Give what a waiting call holds."""
    return sure_of(CallState, run.all_tasks()[path].detail)


def ended(
    run: InstanceRun, status: InstanceStatus = InstanceStatus.SUCCEEDED, path: str = "c", **more: Any
) -> InstanceRun:
    """Tell a call that its child came to this."""
    return run.feed(s.ChildEnded(path=path, instance_id=held_by(run, path).instance_id, status=status, **more))


def told(run: InstanceRun) -> list[str]:
    """Name what was told to other instances, in order."""
    return [type(one.stimulus).__name__ for one in run.told]
