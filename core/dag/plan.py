"""The plan: a DAG version compiled for the engine. Flat nodes, lists and regions; every expression a closure.

A **region** is what one frame holds: an ordinary list is its own region; the body of a map with all lists nested in it,
but for bodies of inner maps, is one region (a chunk frame holds `cells` copies of it, one per item). A node's `slot` is
its place in its region, so a task is found by (frame, cell * region.size + slot).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from core.dag.calling import CallPlan
from core.dag.catalog import OperatorSpec, Retry, Timeout
from core.dag.model import Join
from core.expression import Program, Rendering

ValueCheck = Callable[[Any], list[str]]
"""Lists what is wrong with a value; empty = nothing."""
NodeKind = Literal[
    "attempt", "pure", "branch", "parallel", "map", "loop", "try", "wait", "approval", "call", "return",
    "define", "assign",
]  # fmt: skip


class PlanBranch(msgspec.Struct, frozen=True):
    """One branch of a branch or parallel node; `when` None = always."""

    id: str
    list: int
    when: Program | None


class MapPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a map runs. `chunk_items` = items per chunk frame; `outputs` None = value of the body's last step."""

    items: Rendering
    body: int
    region: int
    outputs: Rendering | None
    max_concurrency: int | None
    batch_size: int | None
    on_item_error: Literal["fail", "collect", "ignore"]
    chunk_items: int


class LoopPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a loop runs; `limit`, `condition`, `items` = what its mode needs. `outputs` as of a map."""

    mode: Literal["count", "while", "each"]
    body: int
    region: int
    limit: Rendering | None
    condition: Program | None
    items: Rendering | None
    outputs: Rendering | None
    break_when: Program | None
    max_iterations: int


class TryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of a try, by index; `catch`, `cleanup` (`finally`) None = not there."""

    steps: int
    catch: int | None
    cleanup: int | None


class EventPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which signals a wait takes: `name` gives their name, `filter` None = all of it."""

    name: Rendering
    filter: Program | None


class WaitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a wait waits for, one of these; `timeout_s` bounds what comes from outside."""

    seconds: Rendering | None = None
    until: Rendering | None = None
    event: EventPlan | None = None
    is_callback: bool = False
    timeout_s: float | None = None

    @property
    def rendered(self) -> list[Rendering]:
        """List what is rendered when the wait begins."""
        given = (self.seconds, self.until, None if self.event is None else self.event.name)
        return [one for one in given if one is not None]


class CachePlan(msgspec.Struct, frozen=True):
    """How long a succeeded output is used again; `key` None = by the parameters; `shape` = hash of its own schema."""

    ttl_s: float
    key: Rendering | None
    shape: str


class LimitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """At most `most` at once behind the gate that `limit` and the rendered `key` name; None = the empty text."""

    limit: str
    key: Rendering | None
    most: int


class GatePlan(LimitPlan, frozen=True, kw_only=True):
    """The limit of a DAG, and what a start that meets it comes to (S46)."""

    on_limit: Literal["queue", "skip", "cancel_running", "reject"]


class ApprovalPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What people are asked: `form` is the JSON Schema of their data, `form_faults` checks them; None = anything.

    `approvers` None = whoever may answer approvals.
    """

    title: Rendering
    form: Any
    form_faults: ValueCheck | None
    approvers: Rendering | None
    timeout_s: float | None
    on_timeout: Literal["fail", "approve", "reject"]


class ReturnPlan(msgspec.Struct, frozen=True):
    """How a return ends the instance; `outputs` None = `{}`, `reason` None = no text."""

    result: Literal["success", "failed"]
    outputs: Rendering | None
    reason: Rendering | None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step, compiled.

    Attributes:
        index: its place in `Plan.nodes`; nodes of a list are consecutive in document order.
        list: index of its list. slot: its place in its region.
        upstream, downstream: node indexes in the same list, ascending.
        when: None = true. parameters: None for control nodes.
        on_error: `fail`, `continue`, or the index of the list that catches.
        branches, else_list: of branch and parallel; takes_all: `mode: all` of a branch. map, loop, tries, wait,
            approval, call, returns, variable: of those kinds.
        value: of define and assign.
        parameter_faults: checks rendered parameters against the operator's schema; gives messages, empty = fine; None =
            the schema allows anything.
        output_faults: the same for the step's or the operator's output schema.
        cache: None = outputs are not used again. limit: None = as many run at once as there are.
        keeps_output: True when some expression of the plan reads this step's output: a small value then stands beside
            its task. keeps_error: the same for its error.
    """

    index: int
    id: str
    title: str
    kind: NodeKind
    operator: OperatorSpec
    list: int
    slot: int
    upstream: tuple[int, ...]
    downstream: tuple[int, ...]
    when: Program | None
    join: Join
    parameters: Rendering | None
    retry: Retry
    timeout: Timeout
    on_error: Literal["fail", "continue"] | int
    at_most_once: bool
    branches: tuple[PlanBranch, ...] = ()
    takes_all: bool = False
    else_list: int | None = None
    map: MapPlan | None = None
    loop: LoopPlan | None = None
    tries: TryPlan | None = None
    wait: WaitPlan | None = None
    approval: ApprovalPlan | None = None
    returns: ReturnPlan | None = None
    variable: str | None = None
    value: Rendering | None = None
    parameter_faults: ValueCheck | None = None
    output_faults: ValueCheck | None = None
    keeps_output: bool = False
    keeps_error: bool = False
    compute: Callable[..., Any] | None = None
    cache: CachePlan | None = None
    call: CallPlan | None = None
    limit: LimitPlan | None = None

    @property
    def expiry_s(self) -> float | None:
        """Give how long it waits for something from outside at most; None = for ever, or it does not."""
        held = self.wait or self.approval
        return None if held is None else held.timeout_s


class PlanList(msgspec.Struct, frozen=True, kw_only=True):
    """One list of steps.

    Attributes:
        name: last part of its frame path: `""` for the top list, `on_failure` and `on_finish` for hooks, branch id,
            `else`, `on_error`, `steps`, `catch`, `finally`.
        owner: index of the node that holds it, None for the top list and the hooks.
        nodes: node indexes in document order. first_slot: slot of its first node (slots of a list are consecutive).
        region: index of its region. is_map_body: its region's frames are chunks. is_cleanup: the `finally` of a try.
        last: the node whose output is the list's value (S17).
    """

    index: int
    name: str
    owner: int | None
    nodes: tuple[int, ...]
    first_slot: int
    region: int
    is_map_body: bool
    is_cleanup: bool
    last: int


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """What one frame holds: the tasks of these lists, per cell.

    Attributes:
        root: index of the list that is entered with the frame. size: tasks per cell. nodes: node index by slot.
        map_node: the map whose items are this region's cells, or None for an ordinary list.
    """

    index: int
    root: int
    size: int
    nodes: tuple[int, ...]
    map_node: int | None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One DAG version, ready to run. Two compilations of one version give equal plans.

    Attributes:
        content_hash: of the version. nodes, lists, regions: lists[0] is the top list, regions[0] its region.
        by_id: node index by step id.
        inputs_complete: fills defaults into inputs and checks them (S45): gives (value, faults); each fault is
            {pointer, message}.
        constants: the document's `vars`.
        outputs: template of the DAG's outputs, None = `{}`... None means no outputs were declared.
        timeout_s, priority: of the settings. on_failure, on_finish: lists of the hooks, None = none.
        cleans_up: some list of it may still run after a cancel or timeout: a `finally` or `on_finish`. waits: some step
            waits or may be unknown, so that the instance may be `waiting`.
        variables: names that define makes, with the node that defines each.
        labels: templates of the instances' labels by name; they read inputs, constants and the trigger.
        callback_url: what a token is put behind to make the URL of a callback. has_callbacks: some step waits for one.
        gate: limit of its instances, None = none. has_limits: it has one, or some step has (then
            also has_step_limits).
    """

    dag_id: str
    title: str
    version: str
    content_hash: str
    nodes: tuple[Node, ...]
    lists: tuple[PlanList, ...]
    regions: tuple[Region, ...]
    by_id: dict[str, int]
    inputs_complete: Callable[[Any], tuple[Any, list[dict[str, str]]]]
    constants: dict[str, Any]
    outputs: Rendering | None
    timeout_s: float | None
    priority: int
    on_failure: int | None
    on_finish: int | None
    cleans_up: bool
    waits: bool
    variables: dict[str, int]
    labels: dict[str, Rendering] = {}
    callback_url: str = ""
    has_callbacks: bool = False
    gate: GatePlan | None = None
    has_limits: bool = False
    has_step_limits: bool = False
