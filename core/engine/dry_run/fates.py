"""What becomes of each step: told from the tasks that a rehearsal made, and from the plan where it made none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from core.dag.plan import Node, Plan, PlanList
from core.engine.dry_run.answer import Outcome, StepStatus
from core.engine.dry_run.facts import Facts, Spot, is_turn
from core.engine.dry_run.rehearsal import Rehearsal
from core.engine.state import Frame, LoopState, MapState, Task, TaskStatus, TryState
from core.engine.statuses import TASK_CANCELLED, TASK_FAILED, TASK_PENDING, TASK_SKIPPED, TASK_SUCCEEDED
from core.engine.sure import sure
from core.expression import ExpressionFailed, Program, Read, Rendering

REFERENCES_MAX = 8  # told of one step: enough to see what it hangs on
LOOKED_INTO_MAX = 16  # undecided tasks of one step whose conditions are evaluated; of a long map the others may run

_OUTCOMES: dict[TaskStatus, Outcome] = {
    TASK_SUCCEEDED: "succeeded",
    TASK_FAILED: "failed",
    TASK_CANCELLED: "cancelled",
}
_ENGINES_OWN = ("pure", "define", "assign")


class Fate(msgspec.Struct, frozen=True):
    """What becomes of one task, or of a step without tasks."""

    status: StepStatus
    why: str | None = None
    waits_for: tuple[str, ...] = ()
    outcome: Outcome | None = None


class Held(msgspec.Struct, frozen=True):
    """A task of a step, and where it lies."""

    frame: Frame
    index: int
    task: Task


def steps_in_order(plan: Plan) -> Iterator[tuple[Node, int]]:
    """Give every step and how deep it stands: in the order of the document, nested ones behind their container.

    Steps of hooks follow those of the top list.
    """
    below: dict[int | None, list[PlanList]] = {}
    for one in plan.lists:
        below.setdefault(one.owner, []).append(one)

    def walk(owner: int | None, depth: int) -> Iterator[tuple[Node, int]]:
        for one in below.get(owner, []):
            for number in one.nodes:
                yield plan.nodes[number], depth
                yield from walk(number, depth + 1)

    return walk(None, 0)


class Fates:
    """Tells step by step, each container before what stands in it; evaluates conditions that are known by now."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        """Gather the tasks of a rehearsal that is over."""
        self._rehearsal = rehearsal
        self._plan = rehearsal.plan
        self._told: dict[int, Fate] = {}
        self._held: dict[int, list[Held]] = {}
        self.is_evaluating = True  # False when the time for it is over
        for frame in rehearsal.frames.values():
            nodes = self._plan.regions[frame.region].nodes
            for index, task in enumerate(frame.tasks):
                if task is not None:
                    self._held.setdefault(nodes[index % len(nodes)], []).append(Held(frame, index, task))
        lists = {self._plan.nodes[number].list for number in self._held}
        # Containers of which a list was entered; an `on_error` list is none that a container chooses.
        self._entered = {
            self._plan.lists[number].owner for number in lists if self._plan.lists[number].name != "on_error"
        }

    def held(self, node: Node) -> Sequence[Held]:
        """Give the tasks of a step."""
        return self._held.get(node.index, ())

    def facts(self, node: Node, held: Held | None) -> Facts:
        """Give what is known where a step, or one task of it, stands."""
        draft = self._rehearsal.view()
        crossed = []
        at = node
        while held is None:
            one = self._plan.lists[at.list]
            crossed.append(one.index)
            if one.owner is None:  # a hook's; its steps see those of the top list, which was entered with the start
                held = self.held(self._plan.nodes[0])[0]
            else:
                at = self._plan.nodes[one.owner]
                held = self._around(at, one)
        place = self._rehearsal.hindsight.place_of(draft, held.frame, held.index)
        return Facts(self._plan, draft, Spot(place, frozenset(crossed)))

    def _around(self, owner: Node, one: PlanList) -> Held | None:
        """Give the task in or beside which a list would be entered; None when there is none, or more than one."""
        found = self.held(owner)
        opening = [held for held in found if _opens(owner, held.task, one)] or found
        if len(opening) != 1 or self._may_open(self._plan.lists[owner.list]):
            return None
        if owner.tries is None or one.index not in (owner.tries.catch, owner.tries.cleanup):
            return opening[0]
        # The later lists of a try see the steps of its first one.
        tried = self.held(self._plan.nodes[self._plan.lists[owner.tries.steps].nodes[0]])
        return next((held for held in tried if self._is_below(held, opening[0])), opening[0])

    def _is_below(self, held: Held, owner: Held) -> bool:
        """Say whether a task of a list of this container stands in this task of it."""
        if held.frame.path != owner.frame.path:
            return (held.frame.parent, held.frame.parent_index) == (owner.frame.path, owner.index)
        size = self._plan.regions[owner.frame.region].size
        return held.index // size == owner.index // size

    def tell(self, node: Node) -> tuple[list[Fate], int]:
        """Give the fate of each task of a step, and one more of those that may come; of a step without tasks one.

        Beside them: how many tasks may run that these do not count (-1: nobody knows whether that one more comes).
        Containers are to be told first.
        """
        found: list[Fate] = []
        looked_into = 0
        for held in self.held(node):
            looked_into += held.task.status is TASK_PENDING
            found.append(self._of_task(node, held) if looked_into <= LOOKED_INTO_MAX else self._at_a_glance(node, held))
        more = self._not_begun(node)
        if not found:
            found = [self._of_none(node)]
        elif more:
            found.append(Fate("may run"))
            more -= 1
        elif self._may_open(self._plan.lists[node.list]) and self._of_none(node).status == "may run":
            found.append(Fate("may run"))
            more = -1
        self._told[node.index] = min(found, key=lambda fate: _ORDER[fate.status])
        return found, more

    def _of_task(self, node: Node, held: Held) -> Fate:
        task = held.task
        if task.status is TASK_PENDING:
            return self._undecided(node, held)
        if task.status is TASK_SKIPPED:
            return Fate("skipped", task.reason)
        outcome = _OUTCOMES.get(task.status, "unknown")
        has_waited = (held.frame.path, held.index) in self._rehearsal.hindsight.waits
        is_untouched = not task.attempts and not has_waited and node.index not in self._entered
        if task.status is TASK_CANCELLED and is_untouched:
            return Fate("skipped", task.reason)
        is_inside = node.kind in _ENGINES_OWN or (task.status is TASK_FAILED and is_untouched)
        return Fate("evaluated" if is_inside else "runs", None, (), outcome)

    def _not_begun(self, node: Node) -> int:
        """Count items and iterations not begun of what runs, of a step that stands in every one of them.

        Of a loop that has no count nobody knows how many will follow.
        """
        one = self._plan.lists[node.list]
        if not is_turn(self._plan, one):
            return 0
        return sum(_left(held.task) for held in self.held(self._plan.nodes[sure(one.owner)]))

    def _at_a_glance(self, node: Node, held: Held) -> Fate:
        return Fate("may run") if held.task.status is TASK_PENDING else self._of_task(node, held)

    def _undecided(self, node: Node, held: Held | None) -> Fate:
        facts = self.facts(node, held)
        if node.when is not None and self._condition(facts, node.when) is False:
            return Fate("skipped", "when")
        waits = [] if held is None else self._upstream(node, held)
        waits += facts.unknown(_reads(self._plan, node))
        return Fate("may run", None, tuple(dict.fromkeys(waits))[:REFERENCES_MAX])

    def _upstream(self, node: Node, held: Held) -> list[str]:
        base = held.index - node.index  # steps of one list are consecutive, in the plan and in the frame
        return [
            f"steps.{self._plan.nodes[number].id}.status"
            for number in node.upstream
            if not sure(held.frame.tasks[base + number]).has_ended
        ]

    def _of_none(self, node: Node) -> Fate:
        """Tell of a step whose list was not entered."""
        one = self._plan.lists[node.list]
        if one.owner is None:
            return self._of_hook(node, one)
        owner = self._plan.nodes[one.owner]
        above = self._told[owner.index]
        if above.status == "skipped":
            return Fate("skipped", "container")
        if not self._may_open(one):
            return Fate("skipped", _why_passed(owner, one))
        if owner.on_error == one.index:
            return self._after(node, (f"steps.{owner.id}.error",))
        if one.index in self._never(owner):
            return Fate("skipped", "branch")
        return self._after(node, (*above.waits_for, *self._waited_for(owner)))

    def _of_hook(self, node: Node, one: PlanList) -> Fate:
        header = self._rehearsal.state.header
        if header.outcome is None and not header.status.is_terminal:
            return self._after(node, ("instance.outcome",))
        if one.index == self._plan.on_failure:
            return Fate("skipped", "no_failure")
        return self._after(node, tuple(self._open_steps(self._plan.lists[sure(header.hook)])))

    def _after(self, node: Node, waits: tuple[str, ...]) -> Fate:
        fate = self._undecided(node, None)
        if fate.status == "skipped":
            return fate
        return Fate("may run", None, tuple(dict.fromkeys((*waits, *fate.waits_for)))[:REFERENCES_MAX])

    def _waited_for(self, owner: Node) -> list[str]:
        """List the steps that a try waits for before its next list."""
        held = [held.task.detail for held in self.held(owner)]
        running = dict.fromkeys(detail.list for detail in held if isinstance(detail, TryState))
        return [step for number in running for step in self._open_steps(self._plan.lists[number])]

    def _open_steps(self, one: PlanList) -> list[str]:
        nodes = [self._plan.nodes[number] for number in one.nodes]
        return [f"steps.{node.id}.status" for node in nodes if any(not held.task.has_ended for held in self.held(node))]

    def _may_open(self, one: PlanList) -> bool:
        """Say whether a list may be entered yet: by a task of its container, or by one that may come."""
        if one.owner is None:
            return False
        owner = self._plan.nodes[one.owner]
        if any(_opens(owner, held.task, one) for held in self.held(owner)):
            return True
        return not self.held(owner) or self._may_open(self._plan.lists[owner.list])

    def _never(self, owner: Node) -> set[int]:
        """Give the lists of a branch that cannot be chosen any more, by what is known wherever it is undecided."""
        if owner.kind != "branch":
            return set()
        undecided: list[Held | None] = [held for held in self.held(owner) if held.task.status is TASK_PENDING]
        if len(undecided) > LOOKED_INTO_MAX:
            return set()
        if not self.held(owner) or self._may_open(self._plan.lists[owner.list]):
            undecided.append(None)
        return set.intersection(*(self._passed(owner, self.facts(owner, held)) for held in undecided))

    def _passed(self, owner: Node, facts: Facts) -> set[int]:
        """Give the lists of a branch that is not decided which it cannot choose."""
        never: set[int] = set()
        is_taken = False
        for branch in owner.branches:
            if is_taken and not owner.takes_all:
                never.add(branch.list)
                continue
            wanted = self._condition(facts, branch.when)
            if wanted is False:
                never.add(branch.list)
            is_taken = is_taken or wanted is True
            if wanted is None and not owner.takes_all:
                break  # it may be the first that matches: nothing is known of later ones
        if is_taken and owner.else_list is not None:
            never.add(owner.else_list)
        return never

    def _condition(self, facts: Facts, when: Program | None) -> bool | None:
        """Give a condition's value, None when it is not known, or is none."""
        if when is None:
            return True
        if not self.is_evaluating or facts.unknown(when.reads):
            return None
        try:
            value = facts.value(when)
        except ExpressionFailed:
            return None
        return value if isinstance(value, bool) else None


_ORDER: dict[StepStatus, int] = {"runs": 0, "may run": 1, "evaluated": 2, "skipped": 3}


def _opens(owner: Node, task: Task, one: PlanList) -> bool:
    """Say whether this task of a container may enter a list of it yet."""
    if one.index == owner.on_error:
        return task.status < TASK_SUCCEEDED
    held = task.detail
    if isinstance(held, MapState | LoopState):
        return _has_left(held)
    if isinstance(held, TryState):
        tries = sure(owner.tries)
        is_caught = one.index == tries.catch and held.list == tries.steps
        return is_caught or (one.index == tries.cleanup and held.list != tries.cleanup)
    return task.status is TASK_PENDING


def _left(task: Task) -> int:
    """Count items or iterations that a task may begin yet, 0 when nobody can know."""
    held = task.detail
    if not isinstance(held, MapState | LoopState) or held.count is None or not _has_left(held):
        return 0
    return held.count - held.begun


def _has_left(held: MapState | LoopState) -> bool:
    if held.closing is not None or (isinstance(held, LoopState) and held.is_over):
        return False
    return held.count is None or held.begun < held.count


def _why_passed(owner: Node, one: PlanList) -> str:
    """Say why a list of a container that is not skipped will not be entered."""
    if one.index == owner.on_error or (owner.tries is not None and one.index == owner.tries.catch):
        return "no_failure"
    if owner.kind in ("map", "loop"):
        return "no_items"
    return "branch" if owner.kind == "branch" else "container"


def _reads(plan: Plan, node: Node) -> list[Read]:
    """List what a step reads before anything of it runs, and what of the outside a loop reads while it runs."""
    read: list[Program | Rendering | None] = [node.when, node.parameters, node.value]
    read += [branch.when for branch in node.branches]
    read += [] if node.map is None else [node.map.items]
    read += [] if node.loop is None else [node.loop.limit, node.loop.items]
    read += [] if node.wait is None else node.wait.rendered
    read += [] if node.call is None else node.call.rendered
    read += [] if node.approval is None else [node.approval.title, node.approval.approvers]
    read += [] if node.returns is None else [node.returns.outputs, node.returns.reason]
    found = [one for each in read if each is not None for one in each.reads]
    return found + _read_inside(plan, node)


def _read_inside(plan: Plan, node: Node) -> list[Read]:
    """List what the expressions of a loop read that its iterations do not bring themselves."""
    if node.loop is None:
        return []
    inside = (node.loop.condition, node.loop.break_when, node.loop.outputs)
    return [one for each in inside if each is not None for one in each.reads if not _is_own(plan, node, one.path)]


def _is_own(plan: Plan, node: Node, path: tuple[str, ...]) -> bool:
    """Say whether a name within a loop's expressions is one of its iterations' own."""
    match path:
        case ("index",) | ("loops", node.id, _):
            return True
        case ("item",):
            return sure(node.loop).mode == "each"
        case ("steps", step_id, _):
            return plan.nodes[plan.by_id[step_id]].list == sure(node.loop).body
        case ("vars", name) if name in plan.variables:
            return plan.nodes[plan.variables[name]].list == sure(node.loop).body
        case _:
            return False
