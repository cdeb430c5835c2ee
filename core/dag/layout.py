"""Where every list and step of a DAG stands in the plan: indexes, regions, slots."""

from __future__ import annotations

from collections import deque

import msgspec

from core.dag.control import LOOP, MAP, TRY
from core.dag.lists import lists_of
from core.dag.model import Dag, Step
from core.dag.plan import Region

HOOKS = ("on_failure", "on_finish")


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
    is_cleanup: bool


class Layout(msgspec.Struct, frozen=True):
    """All lists, regions, and the lists below each step: `below[step id][name]` is a list's index.

    `hooks` = the lists of `on_failure` and `on_finish` by name, those that are there.
    """

    lists: tuple[Placed, ...]
    regions: tuple[Region, ...]
    below: dict[str, dict[str, int]]
    hooks: dict[str, int]


class _Waiting(msgspec.Struct, frozen=True):
    """A list that has its number and is not laid out yet."""

    name: str
    owner: int | None
    steps: tuple[Step, ...]
    region: int
    is_map_body: bool = False
    is_cleanup: bool = False


class _RegionDraft:
    """A region that still grows."""

    def __init__(self, root: int, map_node: int | None) -> None:
        self.root = root
        self.map_node = map_node
        self.nodes: list[int] = []


def lay_out(dag: Dag) -> Layout:
    """Number lists breadth first, so that nodes of a list are consecutive and outer lists come first."""
    hooks = {name: steps for name in HOOKS if (steps := getattr(dag.settings, name))}
    tops = {"": dag.steps, **hooks}
    drafts = [_RegionDraft(index, None) for index in range(len(tops))]
    waiting = deque(_Waiting(name, None, steps, region) for region, (name, steps) in enumerate(tops.items()))
    lists: list[Placed] = []
    below: dict[str, dict[str, int]] = {}
    nodes_count = 0
    while waiting:
        one = waiting.popleft()
        lists.append(_placed(one, len(lists), nodes_count, len(drafts[one.region].nodes)))
        for step in one.steps:
            node = nodes_count
            nodes_count += 1
            drafts[one.region].nodes.append(node)
            below[step.id] = {}
            for name, steps in lists_of(step):
                index = len(lists) + len(waiting)
                region = _region_of(drafts, one.region, step, name, node, index)
                below[step.id][name] = index
                is_cleanup = step.operator == TRY and name == "finally"
                waiting.append(_Waiting(name, node, steps, region, _is_map_body(step, name), is_cleanup))
    regions = tuple(
        Region(index=index, root=draft.root, size=len(draft.nodes), nodes=tuple(draft.nodes), map_node=draft.map_node)
        for index, draft in enumerate(drafts)
    )
    return Layout(tuple(lists), regions, below, {name: 1 + place for place, name in enumerate(hooks)})


def _placed(one: _Waiting, index: int, first_node: int, first_slot: int) -> Placed:
    return Placed(
        index=index,
        name=one.name,
        owner=one.owner,
        steps=one.steps,
        first_node=first_node,
        first_slot=first_slot,
        region=one.region,
        is_map_body=one.is_map_body,
        is_cleanup=one.is_cleanup,
    )


def _is_map_body(step: Step, name: str) -> bool:
    return step.operator == MAP and name == "steps"


def _region_of(drafts: list[_RegionDraft], around: int, step: Step, name: str, node: int, index: int) -> int:
    """Give the region of a list: of its own, unless it is nested in a map item and no body of a map or loop."""
    is_body = step.operator in (MAP, LOOP) and name == "steps"
    if not is_body and drafts[around].map_node is not None:
        return around
    drafts.append(_RegionDraft(index, node if _is_map_body(step, name) else None))
    return len(drafts) - 1
