"""`@control/call` in the plan: which DAG, with which inputs, and what becomes of the child (semantics.md S29)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from core.expression import Rendering, compile_template, parse_template


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is called.

    Attributes:
        dag: gives an id or a title. version: None = the one published when the call starts. inputs: None = `{}`.
        waits: False = the step succeeds once the child is durable.
        on_cancel: what becomes of the child when the step ends before it.
    """

    dag: Rendering
    version: str | None
    inputs: Rendering | None
    waits: bool
    on_cancel: Literal["cancel", "leave"]

    @property
    def rendered(self) -> list[Rendering]:
        """List what is rendered when the call begins."""
        return [self.dag] if self.inputs is None else [self.dag, self.inputs]


def call_plan(given: dict[str, Any]) -> CallPlan:
    """Compile the parameters of a call, which were checked."""
    return CallPlan(
        dag=compile_template(parse_template(given["dag"])),
        version=given.get("version"),
        inputs=compile_template(parse_template(given["inputs"])) if "inputs" in given else None,
        waits=given.get("wait", True),
        on_cancel=given.get("on_cancel", "cancel"),
    )


def is_awaited(given: dict[str, Any]) -> bool:
    """Say whether a call with these parameters waits for its child."""
    return bool(given.get("wait", True))
