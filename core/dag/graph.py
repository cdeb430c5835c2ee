"""What a drawing of a DAG needs: steps as nodes, their order as edges, lists as groups that lie in each other."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from core.dag.builder import build_dag
from core.dag.fault import Faults
from core.dag.lists import lists_of, order_of, top_lists
from core.dag.model import Dag, Step


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A step: `pointer` = its place in the document, `group` = the list that it stands in."""

    id: str
    title: str
    operator: str
    pointer: str
    group: str
    when: str | None
    join: str
    on_error: str


class GraphEdge(msgspec.Struct, frozen=True):
    """A step that waits for another one of its list; `source` ends before `target` is looked at."""

    source: str
    target: str


class GraphGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A list of steps: the top list has the id `steps`, hooks `on_failure` and `on_finish`, others `<step>/<list>`.

    `owner` = the step that enters it, None for the top list and hooks; `when` = the condition of a branch.
    """

    id: str
    name: str
    owner: str | None
    when: str | None


class Graph(msgspec.Struct, frozen=True):
    """Nodes in the order of the text; every edge stays within a group."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    groups: tuple[GraphGroup, ...]


def model_of(document: bytes) -> Dag:
    """Read a published document for showing it, also one that this release could not run."""
    return build_dag(msgspec.json.decode(document), Faults())


def grouped_lists(dag: Dag) -> Iterator[tuple[GraphGroup, tuple[Step, ...]]]:
    """Give every list with its group, outer ones first."""
    for pointer, steps in top_lists(dag):
        name = pointer.rpartition("/")[2]
        waiting = [(GraphGroup(id=name, name=name, owner=None, when=None), steps)]
        while waiting:
            group, current = waiting.pop()
            yield group, current
            waiting.extend(reversed([inner for step in current for inner in _inner_lists(step)]))


def draw(dag: Dag) -> Graph:
    """Give the drawing of a DAG; as large as its document, since every `depends_on` is an edge."""
    nodes, edges, groups = [], [], []
    for group, steps in grouped_lists(dag):
        groups.append(group)
        nodes += [_node(step, group.id) for step in steps]
        for place, waited in enumerate(order_of(steps).upstream):
            edges += [GraphEdge(steps[one].id, steps[place].id) for one in waited]
    return Graph(tuple(nodes), tuple(edges), tuple(groups))


def _inner_lists(step: Step) -> Iterator[tuple[GraphGroup, tuple[Step, ...]]]:
    conditions = {branch.id: branch.when for branch in step.branches}
    for name, steps in lists_of(step):
        yield GraphGroup(id=f"{step.id}/{name}", name=name, owner=step.id, when=conditions.get(name)), steps


def _node(step: Step, group: str) -> GraphNode:
    return GraphNode(
        id=step.id,
        title=step.title or step.id,
        operator=step.operator,
        pointer=step.pointer,
        group=group,
        when=step.when,
        join=step.join,
        on_error=step.on_error if isinstance(step.on_error, str) else "steps",
    )
