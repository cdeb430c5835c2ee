"""Where every list and step of a DAG stands in the plan: indexes, regions, slots."""

from __future__ import annotations

from collections import deque

import msgspec

from core.dag.control import MAP
from core.dag.lists import lists_of
from core.dag.model import Dag, Step
from core.dag.plan import Region


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """One list: its steps, the index of its first node (the others follow), its owner's node and its region."""

    index: int
    name: str
    owner: int | None
    steps: tuple[Step, ...]
    first_node: int
    first_slot: int
    region: int
    is_map_body: bool


class Layout(msgspec.Struct, frozen=True):
    """All lists, regions, and the lists below each step: `below[step id][name]` is a list's index."""

    lists: tuple[Placed, ...]
    regions: tuple[Region, ...]
    below: dict[str, dict[str, int]]


class _RegionDraft:
    """A region that still grows."""

    def __init__(self, root: int, map_node: int | None) -> None:
        self.root = root
        self.map_node = map_node
        self.nodes: list[int] = []


def lay_out(dag: Dag) -> Layout:
    """Number lists breadth first, so that nodes of a list are consecutive and outer lists come first."""
    waiting: deque[tuple[str, int | None, tuple[Step, ...], int, bool]] = deque([("", None, dag.steps, 0, False)])
    drafts = [_RegionDraft(0, None)]
    lists: list[Placed] = []
    below: dict[str, dict[str, int]] = {}
    nodes_count = 0
    while waiting:
        name, owner, steps, region, is_map_body = waiting.popleft()
        draft = drafts[region]
        lists.append(
            Placed(
                index=len(lists),
                name=name,
                owner=owner,
                steps=steps,
                first_node=nodes_count,
                first_slot=len(draft.nodes),
                region=region,
                is_map_body=is_map_body,
            )
        )
        for step in steps:
            node = nodes_count
            nodes_count += 1
            draft.nodes.append(node)
            below[step.id] = {}
            for inner, inner_steps in lists_of(step):
                index = len(lists) + len(waiting)
                is_body = step.operator == MAP and inner == "steps"
                inner_region = region
                if is_body or draft.map_node is None:
                    inner_region = len(drafts)
                    drafts.append(_RegionDraft(index, node if is_body else None))
                below[step.id][inner] = index
                waiting.append((inner, node, inner_steps, inner_region, is_body))
    regions = tuple(
        Region(index=index, root=draft.root, size=len(draft.nodes), nodes=tuple(draft.nodes), map_node=draft.map_node)
        for index, draft in enumerate(drafts)
    )
    return Layout(tuple(lists), regions, below)
