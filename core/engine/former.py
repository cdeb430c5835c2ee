"""How an ended instance had ended, as far as a rerun of it looks: its top list, and lists inside by where they lie."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from core.dag.plan import Node, Plan, PlanList
from core.engine import events as e
from core.engine.handled import is_handled
from core.engine.journal import decode_frame
from core.engine.lending import CONTAINERS, Again, FormerList, FormerTask, Lent, Reused
from core.engine.rerun_events import TaskReused
from core.engine.sharing import FAILING, as_ended, chosen, defines_on_top, list_of, lists_before, way_to
from core.engine.state import Frame, Handling, Task, TaskStatus, Value
from core.engine.statuses import TASK_CANCELLED, TASK_FAILED, TASK_SKIPPED, TASK_SUCCEEDED
from core.engine.stored import Former, Reference
from core.engine.sure import sure
from core.errors import RequestInvalid
from core.ports.instance_store import InstanceRow, Loaded

# Skips that were decided by the step itself or its upstream; the others say that the instance ended before the step.
_OWN_SKIPS = frozenset({"when", "join", "hand"})
_STATUS: Mapping[TaskStatus, Literal["succeeded", "skipped", "failed", "cancelled"]] = {
    TASK_SUCCEEDED: "succeeded",
    TASK_SKIPPED: "skipped",
    TASK_FAILED: "failed",
    TASK_CANCELLED: "cancelled",
}
_NOT_ENTERED = "has not entered a task {path!r}"
_CUT_OFF = "cannot be taken over up to {path!r}: what its list answers was cut off, or assigned variables around it"
_WAS_ENTERED = frozenset({TASK_SUCCEEDED, TASK_FAILED, TASK_CANCELLED})

LoadFrames = Callable[[str, Sequence[str]], Awaitable[Loaded | None]]
"""Gives an instance with frames by path; None = there is none."""
PlanOf = Callable[[InstanceRow], Awaitable[Plan]]


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An ended instance, as far as a rerun looks at it before it starts.

    Attributes:
        plan: of its version. tasks: of its top list, by index.
        assigned: by index of a task, the run variables of the top list that lists inside the task assigned last.
    """

    instance_id: str
    plan: Plan
    tasks: Sequence[Task | None]
    assigned: Mapping[int, Mapping[str, Value]]


def shared(plan: Plan, past: Past, from_step: str | None) -> tuple[tuple[int, Lent | Again], ...]:
    """Choose what a rerun on `plan` takes over, by index in its top frame.

    Args:
        plan: of the version that runs now. past: the instance that is rerun.
        from_step: a task path, FAILED, or None = nothing is taken over.

    Raises:
        RequestInvalid: as `way_to` does.
    """
    if from_step is None:
        return ()
    former = former_tasks(past.plan, 0, past.tasks, past.instance_id, past.assigned)
    found = chosen(plan, 0, former, from_step)
    return tuple((plan.nodes[number].slot, choice) for number, choice in found.items())


class Assignments:
    """Which variables of the top list were assigned inside which of its tasks; give it every journal row, ascending."""

    def __init__(self) -> None:
        """Begin before the first row."""
        self._above: dict[str, tuple[str, int]] = {}
        self._found: dict[int, dict[str, Value]] = {}
        self._last: dict[str, Value] = {}  # what a task assigns stands just before its end

    def read(self, events: Iterable[e.Event]) -> None:
        """Take the events of one row."""
        for event in events:
            if isinstance(event, e.FrameOpened) and event.parent is not None:
                self._above[event.frame] = (event.parent, event.parent_index)
            elif isinstance(event, e.VariableSet) and event.frame == "":
                self._last[event.name] = event.value
            elif isinstance(event, e.TaskSucceeded | TaskReused) and self._last:
                self._found.setdefault(self._on_top(event.frame, event.index), {}).update(self._last)
                self._last = {}

    def by_task(self, plan: Plan) -> Mapping[int, Mapping[str, Value]]:
        """Give them by the index of the task; what a task of the top list assigns is its output, and not told."""
        return {index: values for index, values in self._found.items() if plan.nodes[index].variable is None}

    def _on_top(self, frame: str, index: int) -> int:
        while frame != "":
            frame, index = self._above[frame]
        return index


def assigns_upward(plan: Plan) -> bool:
    """Say whether a list inside some task may assign a variable of the top list."""
    inside = (node for node in plan.nodes if node.kind == "assign" and node.list != 0)
    return any(defines_on_top(plan, sure(node.variable)) for node in inside)


def former_tasks(
    plan: Plan,
    number: int,
    tasks: Sequence[Task | None],
    instance_id: str,
    assigned: Mapping[int, Mapping[str, Value]] | None = None,
) -> dict[str, FormerTask]:
    """Say how the tasks of one list had ended, by step id.

    Args:
        plan: of the instance. tasks: by slot, of the list's frame, or of one cell of it.
        assigned: by slot, the variables that lists inside the task assigned; None = nobody knows: what may have done
            so is not taken over as a whole.
    """
    found: dict[str, FormerTask] = {}
    for index in plan.lists[number].nodes:
        node = plan.nodes[index]
        task = tasks[node.slot]
        if task is not None:
            found[node.id] = _former_task(plan, node, task, instance_id, assigned)
    return found


def _former_task(
    plan: Plan, node: Node, task: Task, instance_id: str, assigned: Mapping[int, Mapping[str, Value]] | None
) -> FormerTask:  # fmt: skip
    detail = task.detail
    answered_by = detail.reused_from if isinstance(detail, Handling) else None
    ran_in = detail.of if isinstance(detail, Reused) else answered_by or instance_id
    is_whole = assigned is not None or not _assigns_outside(plan, node)
    is_entered = node.kind in CONTAINERS and task.status in _WAS_ENTERED
    variables = tuple((assigned or {}).get(node.slot, {}).items())
    failure, handled_in = None, None
    if task.status is TASK_FAILED and isinstance(detail, Handling | Reused) and isinstance(node.on_error, int):
        handled_in = detail.of if isinstance(detail, Reused) else instance_id
        if not (node.kind in CONTAINERS and _assigns_outside(plan, node)):  # what the list assigns comes with its tasks
            failure = Lent("failed", ran_in, instance_id, error=task.error, is_handled=False)
    return FormerTask(
        operator=node.operator.name,
        lent=_lent(node, task, ran_in, instance_id, variables) if is_whole and _ended_by_itself(task) else None,
        is_well=_ended_well(node, task),
        again=ran_in if is_entered else None,
        failure=failure,
        handled_in=handled_in,
        has_failures=node.map is not None and task.error not in (None, b"[]"),
    )


def _lent(node: Node, task: Task, ran_in: str, lender: str, variables: tuple[tuple[str, Value], ...]) -> Lent:
    return Lent(
        status=_STATUS[task.status],
        reused_from=ran_in,
        lender=lender,
        output=task.output,
        error=task.error,
        reason=task.reason,
        variables=variables,
        is_handled=task.status is not TASK_FAILED or is_handled(node, task),
    )


def _ended_by_itself(task: Task) -> bool:
    """Say whether the task came to an end of its own, or to one that its own list's failure gave it."""
    if task.status is TASK_SKIPPED:
        return task.reason in _OWN_SKIPS or task.reason == FAILING
    return task.status is not TASK_CANCELLED or task.reason == FAILING


def _ended_well(node: Node, task: Task) -> bool:
    if task.status is TASK_SKIPPED:
        return task.reason in _OWN_SKIPS
    if task.status is TASK_FAILED:
        return is_handled(node, task)
    return task.status is TASK_SUCCEEDED


def _assigns_outside(plan: Plan, node: Node) -> bool:
    """Say whether a list inside the step may assign a variable that is defined outside of it."""
    inside = [one for one in plan.nodes if _is_within(plan, one.list, node.index)]
    homes = (plan.nodes[plan.variables[sure(one.variable)]].list for one in inside if one.kind == "assign")
    return any(not _is_within(plan, home, node.index) for home in homes)


def _is_within(plan: Plan, number: int, index: int) -> bool:
    owner = plan.lists[number].owner
    while owner is not None:
        if owner == index:
            return True
        owner = plan.lists[plan.nodes[owner].list].owner
    return False


class _Place(NamedTuple):
    """Where a list lies: its frame, the cell in it (None = all cells, of a map's chunk), and the list."""

    path: str
    cell: int | None
    list: PlanList


def _place(plan: Plan, asked: Former) -> _Place | None:
    """Find where a list of an instance lies; None when the plan has no such list."""
    holder = plan.by_id.get(asked.holder.rpartition(".")[2])
    found = [one for one in plan.lists if one.owner == holder and one.name == asked.name] if holder is not None else []
    if holder is None or not found:
        return None
    node, plan_list = plan.nodes[holder], found[0]
    region = plan.regions[plan_list.region]
    if plan_list.is_map_body:
        return _Place(f"{asked.holder}/#{asked.first // sure(node.map).chunk_items}", None, plan_list)
    if region.root == plan_list.index:
        turn = f".{asked.first}" if node.loop is not None and node.loop.body == plan_list.index else ""
        return _Place(f"{asked.holder}{turn}/{plan_list.name}", 0, plan_list)
    above, _, item = asked.holder.rpartition(".")[0].rpartition(".")
    if not item.isdecimal():  # another version's path: the step lay in no map then
        return None
    chunk_items = sure(plan.nodes[sure(region.map_node)].map).chunk_items
    return _Place(f"{above}/#{int(item) // chunk_items}", int(item) % chunk_items, plan_list)


def former_list(plan: Plan, asked: Former, frame: Frame | None) -> FormerList | None:
    """Say how the list had ended that lies in this frame; None when it had not been entered, or not ended."""
    place = _place(plan, asked)
    if place is None or frame is None or frame.is_open:
        return None
    size = plan.regions[place.list.region].size
    if place.cell is not None:
        tasks = frame.tasks[place.cell * size : (place.cell + 1) * size]
        found = former_tasks(plan, place.list.index, tasks, asked.instance_id) if tasks else {}
        return FormerList((found,)) if found else None
    if frame.first != asked.first:
        return None
    cells = [frame.tasks[cell * size : (cell + 1) * size] for cell in range(frame.begun)]
    return FormerList(
        tuple(former_tasks(plan, place.list.index, cell, asked.instance_id) for cell in cells), frame.items
    )


def former_path(plan: Plan, asked: Former) -> str | None:
    """Give the path of the frame in which the list lies; None when the plan has no such list."""
    place = _place(plan, asked)
    return None if place is None else place.path


async def read_former(
    load: LoadFrames, plan_of: PlanOf, domain_id: str, asked: Sequence[Former]
) -> dict[Reference, FormerList | None]:
    """Read how lists of one instance had ended; None of those that are not there (any more), or another domain's."""
    absent: dict[Reference, FormerList | None] = dict.fromkeys(asked)
    loaded = await load(asked[0].instance_id, ())
    if loaded is None or loaded.row.domain_id != domain_id:
        return absent
    plan = await plan_of(loaded.row)
    paths = {one: path for one in asked if (path := former_path(plan, one)) is not None}
    loaded = await load(asked[0].instance_id, tuple(dict.fromkeys(paths.values())))
    if loaded is None:
        return absent
    frames = {row.path: decode_frame(row.body, seq=row.seq)[1] for row in loaded.frames}
    return absent | {one: former_list(plan, one, frames.get(path)) for one, path in paths.items()}


async def hindrance(
    load: LoadFrames, plan_of: PlanOf, domain_id: str, past: Past, from_step: str
) -> str | None:  # fmt: skip
    """Say why an ended instance cannot be run again from this task on; None when it can.

    It must have the task, and where that lies in a list that answers how others ended, these must be there as they
    ended. Nothing hinders when its version has no such task: then it is one of another version.
    """
    plan = past.plan
    try:
        way = way_to(plan, from_step)
    except RequestInvalid:
        return None
    tasks: Mapping[str, FormerTask] = former_tasks(plan, 0, past.tasks, past.instance_id, past.assigned)
    for path, inner in itertools.pairwise(way):
        task, number = tasks.get(path.rpartition(".")[2]), list_of(plan, inner)
        is_handling = number == plan.nodes[plan.by_id[path.rpartition(".")[2]]].on_error
        lender = None if task is None else task.handled_in if is_handling else task.again
        if task is None or lender is None:
            return _NOT_ENTERED
        if is_handling and task.failure is None:
            return _CUT_OFF
        first, cell = _turn(plan, path, inner)
        before = lists_before(plan, number)
        asked = [Former(0, 0, 0, 0, lender, path, plan.lists[one].name, first) for one in (*before, number)]
        *ended, found = (await read_former(load, plan_of, domain_id, asked)).values()
        if found is None or cell >= len(found.cells):
            return _NOT_ENTERED
        if any(_is_cut_off(plan, one, held) for one, held in zip(before, ended, strict=True)):
            return _CUT_OFF
        tasks = found.cells[cell]
    return None if way[-1].rpartition(".")[2] in tasks else _NOT_ENTERED


def _is_cut_off(plan: Plan, number: int, held: FormerList | None) -> bool:
    """Say whether a list cannot be taken over as it had ended; one that was not entered is no hindrance."""
    nodes = (plan.nodes[index] for index in plan.lists[number].nodes)
    return held is not None and as_ended(nodes, held.cells[0]) is None


def _turn(plan: Plan, path: str, inner: str) -> tuple[int, int]:
    """Give what to ask of the container at `path` for the task `inner` in it: from where on, and in which cell."""
    node = plan.nodes[plan.by_id[path.rpartition(".")[2]]]
    number = inner.removeprefix(f"{path}.").partition(".")[0]
    if not number.isdecimal():  # no list of this container is counted, or it is the `on_error` list
        return 0, 0
    cell = int(number) % node.map.chunk_items if node.map is not None else 0
    return int(number) - cell, cell
