"""Entering branch, parallel and map, and feeding a map's items (semantics.md S17 to S19)."""

from __future__ import annotations

from typing import Any

from core.dag.plan import MapPlan, Node
from core.engine import ending
from core.engine import events as e
from core.engine.closing import closing_inside, failing_since
from core.engine.draft import ITEMS_BEGUN_MAX, Draft
from core.engine.ends import ChunkEnd
from core.engine.lists import enter_list, look_at_list, total_timer
from core.engine.names import Place, evaluate, render, require_boolean
from core.engine.reentry import again_of, entered_before, lend_items
from core.engine.state import Container, Frame, MapAgain, MapState, Value
from core.engine.statuses import TASK_RUNNING
from core.engine.sure import sure
from core.engine.values import encode_json, join
from core.executor.operator import ComputeFailed

MAP_ITEMS_MAX = 100_000  # S19
MAP_CHUNKS_MAX = 4_096  # a map's task holds a reference of some 20 bytes per chunk in its frame's row of 256 KiB


def enter_branch(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Choose branches by their `when`, evaluated once and in order (S18), and enter them."""
    again = again_of(place.frame, index)
    chosen = [] if again is None else entered_before(draft, again, place.frame, index, _lists(node))
    if draft.is_missing:
        return
    for branch in () if chosen else node.branches:
        wanted = True if branch.when is None else evaluate(draft, place, branch.when)
        if draft.is_missing:
            return
        require_boolean(wanted)
        if wanted:
            chosen.append(branch.list)
            if not node.takes_all:
                break
    if not chosen and node.else_list is not None:
        chosen.append(node.else_list)
    if chosen:
        _enter(draft, place, index, node, tuple(chosen))
        return
    nothing = b"{}" if node.takes_all else b'{"branch":null,"value":null}'
    succeed_empty(draft, place.frame, index, node, nothing)


def _lists(node: Node) -> list[int]:
    return [branch.list for branch in node.branches] + ([] if node.else_list is None else [node.else_list])


def enter_parallel(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Enter all branches."""
    _enter(draft, place, index, node, tuple(branch.list for branch in node.branches))


def _enter(draft: Draft, place: Place, index: int, node: Node, lists: tuple[int, ...]) -> None:
    path, again = place.frame.path, again_of(place.frame, index)
    detail = Container(lists, (None,) * len(lists), under=failing_since(draft, place.frame, index))
    draft.emit(e.ContainerEntered(path, index, detail, total_timer(draft, node)))
    for number in lists:
        enter_list(draft, path, index, number, again)


def succeed_empty(draft: Draft, frame: Frame, index: int, node: Node, output: bytes) -> None:
    """End a container that has nothing to do."""
    stored = draft.store(output, frame, is_read=node.keeps_output)
    draft.emit(e.TaskSucceeded(frame.path, index, stored))
    ending.task_ended(draft, frame.path, index)


def enter_map(draft: Draft, place: Place, index: int, node: Node) -> None:
    """Fix the items and begin the first of them (S19).

    Raises:
        ExpressionFailed: `items` errs. ComputeFailed: it is no list, or too long. TooLarge: over 64 MiB.
    """
    plan = sure(node.map)
    items, has_holes = render(draft, place, plan.items)
    if has_holes:
        items = draft.fill(items)
    if draft.is_missing:
        return
    batches = _batches(items, plan)
    if not batches:
        succeed_empty(draft, place.frame, index, node, b"[]")
        return
    slices = [batches[at : at + plan.chunk_items] for at in range(0, len(batches), plan.chunk_items)]
    if len(slices) > MAP_CHUNKS_MAX:
        message = (
            f"{len(batches)} items of {draft.plan.regions[plan.region].size} tasks need over {MAP_CHUNKS_MAX} chunks"
        )
        raise ComputeFailed("limit", message)
    stored = tuple(draft.store(encode_json(part), None, is_read=False, value=part) for part in slices)
    under, again, ends = failing_since(draft, place.frame, index), again_of(place.frame, index), (None,) * len(slices)
    detail = MapState(len(batches), plan.chunk_items, stored, ends, under=under)
    if again is not None:
        detail = MapAgain(len(batches), plan.chunk_items, stored, ends, under=under, again=again)
    draft.emit(e.ContainerEntered(place.frame.path, index, detail, total_timer(draft, node)))
    draft.later("map_may_go_on", place.frame.path, index)


def _batches(items: Any, plan: MapPlan) -> list[Any]:
    if not isinstance(items, list):
        raise ComputeFailed("invalid", f"`items` is {type(items).__name__}, not a list")
    if len(items) > MAP_ITEMS_MAX:
        raise ComputeFailed("limit", f"{len(items)} items are more than {MAP_ITEMS_MAX}")
    if plan.batch_size is None:
        return items
    return [items[at : at + plan.batch_size] for at in range(0, len(items), plan.batch_size)]


def map_may_go_on(draft: Draft, path: str, index: int) -> None:
    """Begin further items of a running map as its bounds allow, or end it when nothing of it is open."""
    if not draft.has_frame(path):
        return
    frame = draft.frame(path)
    task = frame.tasks[index]
    if task is None or task.status is not TASK_RUNNING or not isinstance(task.detail, MapState):
        return
    held = task.detail
    is_open = held.open - draft.item_ends.pop((path, index), 0)
    begun = held.begun
    closing = closing_inside(draft, frame, index)
    if closing is None and not draft.is_paused:
        begun, is_open = _begin_items(draft, frame, index, held, is_open)
    if (begun, is_open) != (held.begun, held.open):
        draft.emit(e.MapAdvanced(path, index, begun, is_open))
    if is_open:
        return  # most often: what follows looks at every chunk, and for each item that would make long maps quadratic
    chunks_begun = -(-begun // held.chunk_items)
    ends = [end for end in held.ends[:chunks_begun] if end is not None]
    if len(ends) == chunks_begun and (closing is not None or begun == held.count):
        output, errors = (b"[]", None) if closing is not None else _map_output(ends)
        ending.end_container(draft, path, index, output, errors)


def _map_output(ends: list[ChunkEnd]) -> tuple[Value, Value]:
    values = tuple(end.values for end in ends)
    errors = tuple(end.errors for end in ends if end.errors is not None)
    return values[0] if len(values) == 1 else join("concat", values), join("concat", errors)


def _begin_items(draft: Draft, frame: Frame, index: int, held: MapState, is_open: int) -> tuple[int, int]:
    """Begin items in order up to the map's concurrency and this decision's bound; gives begun and open."""
    plan = sure(draft.node(frame, index).map)
    limit = plan.max_concurrency or held.count
    begun = held.begun
    while begun < held.count and is_open < limit:
        number, within = divmod(begun, held.chunk_items)
        cells = min(held.chunk_items, held.count - number * held.chunk_items)
        room = min(cells - within, limit - is_open, ITEMS_BEGUN_MAX - draft.items_begun)
        if room <= 0 or draft.is_spent:
            draft.defer(frame.path)
            break
        _begin_cells(draft, frame, index, held, number=number, cells=cells, within=within, count=room)
        begun += room
        is_open += room
    return begun, is_open


def _begin_cells(
    draft: Draft, frame: Frame, index: int, held: MapState, *, number: int, cells: int, within: int, count: int
) -> None:
    map_path = draft.task_path(frame, index)
    path = f"{map_path}/#{number}"
    region = draft.plan.regions[sure(draft.node(frame, index).map).region]
    if within == 0:
        first = number * held.chunk_items
        items = held.items[number]
        draft.emit(e.FrameOpened(path, region.index, frame.path, index, f"{map_path}.", first, cells, items))
    draft.emit(e.ItemsBegun(path, count))
    draft.items_begun += count
    if isinstance(held, MapAgain):
        lend_items(draft, held.again, map_path, path, region.root, held.items[number], range(within, within + count))
        return
    for cell in range(within, within + count):
        look_at_list(draft, path, cell, region.root)
