"""What becomes of each step: told from the tasks that a rehearsal made, and from the plan where it made none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from core.dag.plan import Node, Plan, PlanList
from core.engine.dry_run.answer import Outcome, StepStatus
from core.engine.dry_run.facts import Facts, Spot, spot_of
from core.engine.dry_run.rehearsal import Rehearsal
from core.engine.state import Container, Frame, MapState, Task, TaskStatus
from core.engine.sure import sure
from core.expression import ExpressionFailed, Program, Read, Rendering

REFERENCES_MAX = 8  # told of one step: enough to see what it hangs on
LOOKED_INTO_MAX = 16  # undecided tasks of one step whose conditions are evaluated; of a long map the others may run

_OUTCOMES: dict[TaskStatus, Outcome] = {
    TaskStatus.SUCCEEDED: "succeeded",
    TaskStatus.FAILED: "failed",
    TaskStatus.CANCELLED: "cancelled",
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
    """Give every step and how deep it stands: in the order of the document, nested ones behind their container."""
    below: dict[int, list[PlanList]] = {}
    for one in plan.lists[1:]:
        below.setdefault(sure(one.owner), []).append(one)

    def walk(one: PlanList, depth: int) -> Iterator[tuple[Node, int]]:
        for number in one.nodes:
            yield plan.nodes[number], depth
            for inner in below.get(number, []):
                yield from walk(inner, depth + 1)

    return walk(plan.lists[0], 0)


class Fates:
    """Tells step by step, each container before what stands in it; evaluates conditions that are known by now."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        """Gather the tasks of a rehearsal that is over."""
        self._rehearsal = rehearsal
        self._plan = rehearsal.plan
        self._told: dict[int, Fate] = {}
        self._held: dict[int, list[Held]] = {}
        self.is_evaluating = True  # False when the time for it is over
        for frame in (rehearsal.closed | rehearsal.state.frames).values():
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
        if held is not None:
            return Facts(self._plan, draft, spot_of(draft, held.frame, held.index))
        crossed = []
        at = node
        while not self.held(at):
            at = self._plan.nodes[sure(self._plan.lists[at.list].owner)]
            crossed.append(at.index)
        around = self.held(at)[0]
        place = spot_of(draft, around.frame, around.index).place
        return Facts(self._plan, draft, Spot(place, frozenset(crossed)))

    def tell(self, node: Node) -> list[Fate]:
        """Give the fate of each task of a step, then of each item not begun; of a step without tasks at least one.

        Containers are to be told first.
        """
        found: list[Fate] = []
        looked_into = 0
        for held in self.held(node):
            looked_into += held.task.status is TaskStatus.PENDING
            found.append(self._of_task(node, held) if looked_into <= LOOKED_INTO_MAX else self._at_a_glance(node, held))
        found = found or [self._of_none(node)]
        found += [Fate("may run")] * self._not_begun(node)
        self._told[node.index] = min(found, key=lambda fate: _ORDER[fate.status])
        return found

    def _of_task(self, node: Node, held: Held) -> Fate:
        task = held.task
        if task.status is TaskStatus.PENDING:
            return self._undecided(node, held)
        if task.status is TaskStatus.SKIPPED:
            return Fate("skipped", task.reason)
        outcome = _OUTCOMES.get(task.status, "unknown")
        if task.status is TaskStatus.CANCELLED and not task.attempts and node.index not in self._entered:
            return Fate("skipped", task.reason)
        is_inside = node.kind in _ENGINES_OWN or (task.status is TaskStatus.FAILED and not task.attempts)
        return Fate("evaluated" if is_inside and node.index not in self._entered else "runs", None, (), outcome)

    def _not_begun(self, node: Node) -> int:
        """Count the items of a running map that were not begun, of a step that stands in every one of them."""
        plan_list = self._plan.lists[node.list]
        if not plan_list.is_map_body:
            return 0
        owner = self._plan.nodes[sure(plan_list.owner)]
        states = [held.task.detail for held in self.held(owner) if held.task.status is TaskStatus.RUNNING]
        return sum(state.count - state.begun for state in states if isinstance(state, MapState))

    def _at_a_glance(self, node: Node, held: Held) -> Fate:
        return Fate("may run") if held.task.status is TaskStatus.PENDING else self._of_task(node, held)

    def _undecided(self, node: Node, held: Held | None) -> Fate:
        facts = self.facts(node, held)
        if node.when is not None and self._condition(facts, node.when) is False:
            return Fate("skipped", "when")
        waits = [] if held is None else self._upstream(node, held)
        waits += facts.unknown(_reads(node))
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
        plan_list = self._plan.lists[node.list]
        owner = self._plan.nodes[sure(plan_list.owner)]
        above = self._told[owner.index]
        if above.status == "skipped":
            return Fate("skipped", "container")
        if owner.on_error == plan_list.index:
            if all(held.task.has_ended for held in self.held(owner)) and self.held(owner):
                return Fate("skipped", "no_failure")
            return self._after(node, (f"steps.{owner.id}.error",))
        if self._is_passed(owner, plan_list) or plan_list.index in self._never(owner):
            return Fate("skipped", "no_items" if owner.kind == "map" else "branch")
        return self._after(node, above.waits_for)

    def _after(self, node: Node, waits: tuple[str, ...]) -> Fate:
        fate = self._undecided(node, None)
        if fate.status == "skipped":
            return fate
        return Fate("may run", None, tuple(dict.fromkeys((*waits, *fate.waits_for)))[:REFERENCES_MAX])

    def _is_passed(self, owner: Node, plan_list: PlanList) -> bool:
        """Say whether every task of the container has chosen other lists, or has ended without this one."""
        found = self.held(owner)
        return bool(found) and all(
            held.task.has_ended
            or (isinstance(held.task.detail, Container) and plan_list.index not in held.task.detail.lists)
            for held in found
        )

    def _never(self, owner: Node) -> set[int]:
        """Give the lists of a branch that was not entered which cannot be chosen any more, by what is known."""
        if owner.kind != "branch":
            return set()
        facts = self.facts(owner, self.held(owner)[0] if self.held(owner) else None)
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


def _reads(node: Node) -> list[Read]:
    """List what a step reads before anything of it runs."""
    read: list[Program | Rendering | None] = [node.when, node.parameters, node.value]
    read += [branch.when for branch in node.branches]
    read += [] if node.map is None else [node.map.items]
    read += [] if node.returns is None else [node.returns.outputs, node.returns.reason]
    return [one for each in read if each is not None for one in each.reads]
