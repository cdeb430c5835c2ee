"""The outline of a plan: what a fold of the journal needs of it, as data. No operator, no expression."""

from __future__ import annotations

import msgspec

from core.dag.catalog import NO_RETRY, NO_TIMEOUT, OperatorSpec, Retry
from core.dag.model import Join
from core.dag.plan import Node, NodeKind, Plan, PlanList, Region


class NodeOutline(msgspec.Struct, frozen=True, array_like=True):
    """One step: what names its tasks, what they wait for, and what becomes of failures."""

    id: str
    operator: str
    kind: NodeKind
    list: int
    slot: int
    upstream: tuple[int, ...]
    join: Join
    attempts_max: int
    on_error: str | int
    at_most_once: bool


class PlanOutline(msgspec.Struct, frozen=True, array_like=True):
    """A plan's steps, lists and regions."""

    dag_id: str
    title: str
    version: str
    content_hash: str
    nodes: tuple[NodeOutline, ...]
    lists: tuple[PlanList, ...]
    regions: tuple[Region, ...]


class OutlineBroken(ValueError):
    """An outline that is none of a plan: a number points to nothing."""


def outline_of(plan: Plan) -> PlanOutline:
    """Give the outline of a plan."""
    nodes = tuple(
        NodeOutline(
            node.id, node.operator.name, node.kind, node.list, node.slot, node.upstream, node.join,
            node.retry.max_attempts, node.on_error, node.at_most_once,
        )
        for node in plan.nodes
    )  # fmt: skip
    return PlanOutline(plan.dag_id, plan.title, plan.version, plan.content_hash, nodes, plan.lists, plan.regions)


def plan_of(outline: PlanOutline) -> Plan:
    """Give a plan that a journal can be folded with; nothing can be decided with it.

    Raises:
        OutlineBroken: a number of it points to nothing, or an id stands twice.
    """
    _check(outline)
    downstream: list[list[int]] = [[] for _ in outline.nodes]
    for index, node in enumerate(outline.nodes):
        for other in node.upstream:
            downstream[other].append(index)
    nodes = tuple(_node(index, node, tuple(downstream[index])) for index, node in enumerate(outline.nodes))
    return Plan(
        dag_id=outline.dag_id, title=outline.title, version=outline.version, content_hash=outline.content_hash,
        nodes=nodes, lists=outline.lists, regions=outline.regions,
        by_id={node.id: node.index for node in nodes}, inputs_complete=lambda value: (value, []), constants={},
        outputs=None, timeout_s=None, priority=0, on_failure=None, on_finish=None, cleans_up=False, waits=False,
        variables={},
    )  # fmt: skip


def _node(index: int, outline: NodeOutline, downstream: tuple[int, ...]) -> Node:
    kind = outline.kind if outline.kind in ("attempt", "pure") else "control"
    on_error = outline.on_error
    return Node(
        index=index, id=outline.id, title="", kind=outline.kind,
        operator=OperatorSpec(name=outline.operator, kind=kind, parameters={}, output={}),
        list=outline.list, slot=outline.slot, upstream=outline.upstream, downstream=downstream, when=None,
        join=outline.join, parameters=None, retry=_retry(outline.attempts_max), timeout=NO_TIMEOUT,
        on_error=on_error if isinstance(on_error, int) or on_error == "continue" else "fail",  # type: ignore[arg-type] # the literal
        at_most_once=outline.at_most_once,
    )  # fmt: skip


def _retry(attempts_max: int) -> Retry:
    return msgspec.structs.replace(NO_RETRY, max_attempts=attempts_max)


def _check(outline: PlanOutline) -> None:
    nodes, lists, regions = len(outline.nodes), len(outline.lists), len(outline.regions)
    if not lists or not regions or len({node.id for node in outline.nodes}) != nodes:
        raise OutlineBroken("an outline has a list, a region, and each id once")
    for node in outline.nodes:
        _within(node.list, lists)
        for other in node.upstream:
            _within(other, nodes)
    for one in outline.lists:
        _within(one.region, regions)
        for number in one.nodes:
            _within(number, nodes)
    for region in outline.regions:
        _within(region.root, lists)
        if region.size != len(region.nodes) or not region.size:
            raise OutlineBroken("a region has as many slots as nodes")
        for number in region.nodes:
            _within(number, nodes)


def _within(number: int, count: int) -> None:
    if not 0 <= number < count:
        raise OutlineBroken(f"{number} is none of {count}")
