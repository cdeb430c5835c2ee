"""`Dag` -> `Plan`: flat nodes, every expression a closure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from core.dag.calling import call_plan, is_awaited
from core.dag.catalog import Catalog, OperatorSpec
from core.dag.control import APPROVAL, ASSIGN, BRANCH, CALL, DEFINE, LOOP, MAP, PARALLEL, RETURN, TRY, WAIT
from core.dag.json_schema import completion, value_check
from core.dag.language import find_operator
from core.dag.layout import Layout, Placed, lay_out
from core.dag.lists import order_of
from core.dag.model import Dag, Step
from core.dag.plan import (
    ApprovalPlan,
    EventPlan,
    LoopPlan,
    MapPlan,
    Node,
    NodeKind,
    Plan,
    PlanBranch,
    PlanList,
    ReturnPlan,
    TryPlan,
    WaitPlan,
)
from core.dag.step_policy import cache_plan, gate_plan, limit_plan, retry_of, timeout_of
from core.dag.walk import is_expression_field
from core.expression import (
    Program,
    Read,
    Rendering,
    compile_expression,
    compile_template,
    parse_expression,
    parse_template,
)

# engine.md 1: a chunk's row holds at most 24 bytes per task, 64 KiB and 256 items in all.
CHUNK_ITEMS_MAX = 256
CHUNK_BYTES_MAX = 65_536
CHUNK_TASK_BYTES = 24
ITERATIONS_MAX = 1_000  # of a loop that does not say more (dag-language.md 4)
# What a wait for something from outside holds beside its task: a name, times, and who may answer.
CHUNK_WAIT_BYTES = 256
# What a task holds for its permit: the name of its step's own limit, or a key of up to 1 KiB. A fourth of the most, as
# the row may have four times CHUNK_BYTES_MAX.
CHUNK_PERMIT_BYTES, CHUNK_KEYED_PERMIT_BYTES = 32, 288
# What a loop holds beside its task while it runs: values of up to 16 iterations on each of 5 levels, 25 bytes each.
CHUNK_LOOP_BYTES = 2_048

_KINDS: dict[str, NodeKind] = {
    BRANCH: "branch",
    PARALLEL: "parallel",
    MAP: "map",
    LOOP: "loop",
    TRY: "try",
    WAIT: "wait",
    APPROVAL: "approval",
    CALL: "call",
    RETURN: "return",
    DEFINE: "define",
    ASSIGN: "assign",
}

Computations = Mapping[str, Callable[..., Any]]


def compile_dag(
    dag: Dag, *, dag_id: str, version: str, content_hash: str, catalog: Catalog, computations: Computations,
    callback_url: str = "",
) -> Plan:  # fmt: skip
    """Compile a DAG that `parse_dag` gave.

    Args:
        dag: parsed, without faults.
        dag_id: of the stored DAG.
        version: of the stored version.
        content_hash: of that version.
        catalog: the same as at parsing.
        computations: functions of the pure operators by name (`core.executor.operator.Compute`).
        callback_url: of this installation, what a token is put behind.

    Raises:
        KeyError: an operator that this release does not run, or a pure one without its function: a programming error,
            since `parse_dag` refuses the first and the registry holds both.
    """
    layout = lay_out(dag)
    compiler = _Compiler(dag_id, layout, catalog, computations)
    nodes = tuple(node for placed in layout.lists for node in compiler.nodes_of(placed))
    outputs = rendering(dag.outputs) if dag.outputs is not None else None
    nodes = _with_kept(nodes, outputs)
    has_step_limits = any(node.limit is not None for node in nodes)
    return Plan(
        dag_id=dag_id,
        title=dag.title,
        version=version,
        content_hash=content_hash,
        nodes=nodes,
        lists=tuple(_plan_list(placed) for placed in layout.lists),
        regions=layout.regions,
        by_id={node.id: node.index for node in nodes},
        inputs_complete=completion(dag.inputs),
        constants=dag.vars,
        outputs=outputs,
        timeout_s=dag.settings.timeout_s,
        on_failure=layout.hooks.get("on_failure"),
        on_finish=layout.hooks.get("on_finish"),
        waits=any(node.wait or node.approval or node.call or node.at_most_once for node in nodes),
        cleans_up="on_finish" in layout.hooks or any(placed.is_cleanup for placed in layout.lists),
        priority=dag.settings.priority,
        variables={node.variable: node.index for node in nodes if node.kind == "define" and node.variable is not None},
        labels={name: rendering(value) for name, value in dag.settings.labels.items()},
        callback_url=callback_url,
        has_callbacks=any(node.wait is not None and node.wait.is_callback for node in nodes),
        gate=gate_plan(dag_id, dag.settings.concurrency),
        has_limits=dag.settings.concurrency is not None or has_step_limits,
        has_step_limits=has_step_limits,
    )


def chunk_items(region_size: int, loops_count: int = 0, waits_count: int = 0, permit_bytes: int = 0) -> int:
    """Give how many map items one chunk holds whose body has this many tasks (engine.md 1).

    `loops_count`, `waits_count`: how many of them are loops, and waits for something from outside. `permit_bytes`: what
    those with a limit hold for it.
    """
    item_bytes = CHUNK_TASK_BYTES * region_size + CHUNK_LOOP_BYTES * loops_count + CHUNK_WAIT_BYTES * waits_count
    return max(1, min(CHUNK_ITEMS_MAX, CHUNK_BYTES_MAX // (item_bytes + permit_bytes)))


def _permit_bytes(step: Step) -> int:
    if step.concurrency is None:
        return 0
    return CHUNK_PERMIT_BYTES if step.concurrency.key is None else CHUNK_KEYED_PERMIT_BYTES


def rendering(value: Any) -> Rendering:
    """Compile a template whose expressions were checked."""
    return compile_template(parse_template(value))


def program(text: str | None) -> Program | None:
    """Compile a condition that was checked; None stays None."""
    return None if text is None else compile_expression(parse_expression(text))


def _plan_list(placed: Placed) -> PlanList:
    nodes = tuple(range(placed.first_node, placed.first_node + len(placed.steps)))
    return PlanList(
        index=placed.index,
        name=placed.name,
        owner=placed.owner,
        nodes=nodes,
        first_slot=placed.first_slot,
        region=placed.region,
        is_map_body=placed.is_map_body,
        is_cleanup=placed.is_cleanup,
        last=nodes[-1],
    )


class _Compiler:
    """What compiling a step needs beside the step."""

    def __init__(self, dag_id: str, layout: Layout, catalog: Catalog, computations: Computations) -> None:
        self._dag_id = dag_id
        self._layout = layout
        self._catalog = catalog
        self._computations = computations

    def nodes_of(self, placed: Placed) -> Iterator[Node]:
        """Give the nodes of one list in document order."""
        upstream = order_of(placed.steps).upstream
        downstream: list[list[int]] = [[] for _ in placed.steps]
        for place, waited in enumerate(upstream):
            for one in waited:
                downstream[one].append(place)
        first = placed.first_node
        for place, step in enumerate(placed.steps):
            yield self._node(
                step,
                placed,
                place,
                upstream=tuple(first + one for one in upstream[place]),
                downstream=tuple(first + one for one in downstream[place]),
            )

    def _node(
        self, step: Step, placed: Placed, place: int, *, upstream: tuple[int, ...], downstream: tuple[int, ...]
    ) -> Node:
        spec = find_operator(self._catalog, step.operator)
        if spec is None:
            raise KeyError(step.operator)
        lists = self._layout.below[step.id]
        output_schema = step.output_schema
        if output_schema is None:
            output_schema = {} if spec.kind == "control" else spec.output
        return Node(
            index=placed.first_node + place,
            id=step.id,
            title=step.title or step.id,
            operator=spec,
            list=placed.index,
            slot=placed.first_slot + place,
            upstream=upstream,
            downstream=downstream,
            when=program(step.when),
            join=step.join,
            retry=retry_of(step, spec),
            timeout=timeout_of(step, spec),
            on_error=lists["on_error"] if isinstance(step.on_error, tuple) else step.on_error,
            at_most_once=step.at_most_once,
            output_faults=value_check(output_schema),
            **(self._control(step, lists) if spec.kind == "control" else self._work(step, spec)),
        )

    def _work(self, step: Step, spec: OperatorSpec) -> dict[str, Any]:
        """Give the fields of a node that an operator computes."""
        return {
            "kind": "pure" if spec.kind == "pure" else "attempt",
            "parameters": compile_template(
                parse_template(step.parameters, lambda pointer: is_expression_field(pointer, spec.verbatim_fields))
            ),
            "parameter_faults": value_check(spec.parameters),
            "compute": self._computations[spec.name] if spec.kind == "pure" else None,
            "cache": cache_plan(step),
            "limit": limit_plan(dag_id=self._dag_id, step=step),
        }

    def _control(self, step: Step, lists: dict[str, int]) -> dict[str, Any]:
        """Give the fields of a node that the engine evaluates itself."""
        kind = _KINDS[step.operator]
        fields: dict[str, Any] = {"kind": kind, "parameters": None}
        if kind in ("branch", "parallel"):
            fields["branches"] = tuple(
                PlanBranch(branch.id, lists[branch.id], program(branch.when)) for branch in step.branches
            )
            fields["takes_all"] = step.parameters.get("mode") == "all"
            fields["else_list"] = lists.get("else")
        elif kind == "map":
            fields["map"] = self._map(step.parameters, lists["steps"])
        elif kind == "loop":
            fields["loop"] = self._loop(step.parameters, lists["steps"])
        elif kind == "wait":
            fields["wait"] = _wait(step.parameters)
        elif kind == "approval":
            fields["approval"] = _approval(step.parameters)
        elif kind == "call":
            fields["call"] = call_plan(step.parameters)
        elif kind == "try":
            fields["tries"] = TryPlan(steps=lists["steps"], catch=lists.get("catch"), cleanup=lists.get("finally"))
        elif kind == "return":
            given = step.parameters
            fields["returns"] = ReturnPlan(
                result=given.get("result", "success"),
                outputs=rendering(given["outputs"]) if "outputs" in given else None,
                reason=rendering(given["reason"]) if "reason" in given else None,
            )
        else:
            fields["variable"] = step.parameters["name"]
            fields["value"] = rendering(step.parameters["value"])
        return fields

    def _map(self, given: dict[str, Any], body: int) -> MapPlan:
        region = self._layout.regions[self._layout.lists[body].region]
        inside = [placed for placed in self._layout.lists if placed.region == region.index]
        steps = [step for placed in inside for step in placed.steps]
        loops_count = sum(step.operator == LOOP for step in steps)
        waits_count = sum(_is_answered(step) for step in steps)
        return MapPlan(
            items=rendering(given["items"]),
            body=body,
            region=region.index,
            outputs=rendering(given["outputs"]) if "outputs" in given else None,
            max_concurrency=given.get("max_concurrency"),
            batch_size=given.get("batch_size"),
            on_item_error=given.get("on_item_error", "fail"),
            chunk_items=chunk_items(region.size, loops_count, waits_count, sum(map(_permit_bytes, steps))),
        )

    def _loop(self, given: dict[str, Any], body: int) -> LoopPlan:
        return LoopPlan(
            mode=given["mode"],
            body=body,
            region=self._layout.lists[body].region,
            limit=rendering(given["limit"]) if "limit" in given else None,
            condition=program(given.get("condition")),
            items=rendering(given["items"]) if "items" in given else None,
            outputs=rendering(given["outputs"]) if "outputs" in given else None,
            break_when=program(given.get("break_when")),
            max_iterations=given.get("max_iterations", ITERATIONS_MAX),
        )


def _wait(given: dict[str, Any]) -> WaitPlan:
    event, callback = given.get("event"), given.get("callback")
    return WaitPlan(
        seconds=rendering(given["seconds"]) if "seconds" in given else None,
        until=rendering(given["until"]) if "until" in given else None,
        event=None if event is None else EventPlan(name=rendering(event["name"]), filter=program(event.get("filter"))),
        is_callback=callback is not None,
        timeout_s=(event or callback or {}).get("timeout_s"),
    )


def _approval(given: dict[str, Any]) -> ApprovalPlan:
    return ApprovalPlan(
        title=rendering(given["title"]),
        form=given.get("form"),
        form_faults=value_check(given["form"]) if "form" in given else None,
        approvers=rendering(given["approvers"]) if "approvers" in given else None,
        timeout_s=given.get("timeout_s"),
        on_timeout=given.get("on_timeout", "fail"),
    )


def _is_answered(step: Step) -> bool:
    """Say whether a step waits for something from outside."""
    is_answered_wait = step.operator == WAIT and bool(step.parameters.keys() & {"event", "callback"})
    is_call = step.operator == CALL and is_awaited(step.parameters)
    return is_answered_wait or is_call or step.operator == APPROVAL


def _with_kept(nodes: tuple[Node, ...], outputs: Rendering | None) -> tuple[Node, ...]:
    """Mark the nodes whose output or error some expression reads (engine.md 1, `Plan.reads`)."""
    read = {one.path for node in nodes for one in _reads(node)}
    read |= {one.path for one in outputs.reads} if outputs is not None else set()
    return tuple(
        msgspec.structs.replace(
            node,
            keeps_output=("steps", node.id, "output") in read,
            keeps_error=("steps", node.id, "error") in read,
        )
        for node in nodes
    )


def _reads(node: Node) -> Iterator[Read]:
    evaluated: list[Program | Rendering | None] = [node.when, node.parameters, node.value]
    evaluated += [branch.when for branch in node.branches]
    if node.map is not None:
        evaluated += [node.map.items, node.map.outputs]
    if node.wait is not None:
        evaluated += node.wait.rendered
        evaluated += [] if node.wait.event is None else [node.wait.event.filter]
    if node.approval is not None:
        evaluated += [node.approval.title, node.approval.approvers]
    if node.call is not None:
        evaluated += node.call.rendered
    if node.loop is not None:
        loop = node.loop
        evaluated += [loop.limit, loop.condition, loop.items, loop.outputs, loop.break_when]
    if node.cache is not None:
        evaluated.append(node.cache.key)
    if node.limit is not None:
        evaluated.append(node.limit.key)
    if node.returns is not None:
        evaluated += [node.returns.outputs, node.returns.reason]
    for one in evaluated:
        if one is not None:
            yield from one.reads
