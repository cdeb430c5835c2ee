"""Which tasks a rerun takes over, and which run anew (semantics.md S44); a pure choice, list by list.

Taken over is what ended well: succeeded, was skipped for a reason of its own, or failed and was handled. All else runs,
and with a step all that is downstream of it. A container that did not end well, or in which the named task lies, runs
again but for what ended well inside it: of its lists it is chosen when they are entered.

A list that answers how others ended (`catch`, `finally`, `on_error`) is downstream of them. To begin in it, all that it
answers is taken over as it had ended, failures included (ADR 0046).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from core.dag.plan import Node, Plan
from core.engine.lending import Again, FormerTask, Lent
from core.engine.sure import sure
from core.errors import RequestInvalid

FAILED = "@failed"  # every failed or cancelled task
FAILING = "failing"  # reason of what the failure of a list skipped or cancelled


def chosen(
    plan: Plan, number: int, former: Mapping[str, FormerTask], from_step: str, prefix: str = ""
) -> dict[int, Lent | Again]:  # fmt: skip
    """Choose what is taken over of one list, by node index; what is not there runs anew.

    Args:
        plan: of the version that runs now. number: of the list.
        former: how the tasks of the list had ended, by step id.
        from_step: a task path, or FAILED. prefix: of the paths of the list's tasks.

    Raises:
        RequestInvalid: as `way_to` does.
    """
    way = () if from_step == FAILED else way_to(plan, from_step)
    nodes = [plan.nodes[index] for index in plan.lists[number].nodes]
    if is_answered(plan, number, way, prefix) and (ended := as_ended(nodes, former)) is not None:
        return ended
    found: dict[int, Lent | Again] = {}
    anew: list[int] = []
    for node in nodes:
        choice = _choice(plan, node, former.get(node.id), from_step, way, prefix + node.id)
        if choice is None:
            anew.append(node.index)
            continue
        found[node.index] = choice
        if isinstance(choice, Again):
            anew += node.downstream
    for index in _downstream(plan, anew):
        found.pop(index, None)
    return {index: _on(plan, choice) for index, choice in found.items()}


def way_to(plan: Plan, from_step: str) -> tuple[str, ...]:
    """Give the paths of the containers around a task, from the outside in, and its own.

    Raises:
        RequestInvalid: the version has no such task, or it lies in a hook, which answers the outcome of an instance: a
            rerun comes to its own.
    """
    *above, step_id = from_step.split(".")
    index = plan.by_id.get(step_id)
    if index is None:
        raise _refused(plan, from_step, "has no such task")
    chain = [plan.nodes[index], *_around(plan, plan.nodes[index])]
    if chain[-1].list != 0:
        raise _refused(
            plan, from_step, "cannot begin there: it lies in a hook, which answers an instance's own outcome"
        )
    paths: list[str] = []
    prefix, given = "", iter(above)
    for node, inner in zip(reversed(chain), [*chain[-2::-1], None], strict=True):
        paths.append(prefix + node.id)
        if inner is not None and _is_counted(plan, inner.list):
            name, count = next(given, ""), next(given, "")
            if name != node.id or not _is_number(count):
                raise _refused(plan, from_step, "has no such task")
            prefix = f"{paths[-1]}.{count}."
    if paths[-1] != from_step:
        raise _refused(plan, from_step, "has no such task")
    return tuple(paths)


def defines_on_top(plan: Plan, name: str) -> bool:
    """Say whether a run variable is defined in the top list."""
    return name in plan.variables and plan.nodes[plan.variables[name]].list == 0


def _around(plan: Plan, node: Node) -> Iterator[Node]:
    """Give the containers around a node, from the inside out."""
    owner = plan.lists[node.list].owner
    while owner is not None:
        yield plan.nodes[owner]
        owner = plan.lists[plan.nodes[owner].list].owner


def list_of(plan: Plan, path: str) -> int:
    """Give the list in which the task of this path lies."""
    return plan.nodes[plan.by_id[path.rpartition(".")[2]]].list


def lists_before(plan: Plan, number: int) -> tuple[int, ...]:
    """Give the lists of a try that ran before this one of it could begin, in order; none of any other container."""
    owner = plan.lists[number].owner
    tries = None if owner is None else plan.nodes[owner].tries
    if tries is None or number in (tries.steps, plan.nodes[sure(owner)].on_error):
        return ()
    return (tries.steps,) if number == tries.catch or tries.catch is None else (tries.steps, tries.catch)


def is_answered(plan: Plan, number: int, way: Sequence[str], prefix: str) -> bool:
    """Say whether the rerun begins in a list that runs after this one, and because of it, in the same try."""
    owner = plan.lists[number].owner
    inner = (path for path in way if plan.lists[list_of(plan, path)].owner == owner)
    return any(
        number in lists_before(plan, list_of(plan, path)) and path == prefix + path.rpartition(".")[2] for path in inner
    )


def is_below(plan: Plan, path: str, number: int) -> bool:
    """Say whether the task of this path lies in a list, or in one inside it; a version may not have it at all."""
    index = plan.by_id.get(path.rpartition(".")[2])
    at = None if index is None else plan.nodes[index]
    while at is not None and at.list != number:
        owner = plan.lists[at.list].owner
        at = None if owner is None else plan.nodes[owner]
    return at is not None


def as_ended(nodes: Iterable[Node], former: Mapping[str, FormerTask]) -> dict[int, Lent | Again] | None:
    """Take over all tasks of a list as they had ended; None when one of them was cut off, or cannot be taken over."""
    found: dict[int, Lent] = {}
    for node in nodes:
        before = former.get(node.id)
        lent = None if before is None or before.operator != node.operator.name else before.lent
        if lent is None or (node.kind == "return" and lent.status != "skipped"):
            return None
        found[node.index] = lent
    has_failed = any(not lent.is_handled for lent in found.values())
    if not has_failed and any(lent.reason == FAILING for lent in found.values()):
        return None  # the failure that ended it was another list's
    return {**found}


def _is_counted(plan: Plan, number: int) -> bool:
    """Say whether the paths of this list's tasks carry a number: of an item or an iteration."""
    owner = plan.lists[number].owner
    loop = None if owner is None else plan.nodes[owner].loop
    return plan.lists[number].is_map_body or (loop is not None and loop.body == number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")


def _refused(plan: Plan, from_step: str, why: str) -> RequestInvalid:
    message = f"version {plan.version}: {from_step!r}: it {why}"
    return RequestInvalid(message, faults=[{"code": "request.value", "pointer": "/from_step", "message": message}])


def _choice(
    plan: Plan, node: Node, before: FormerTask | None, from_step: str, way: tuple[str, ...], path: str
) -> Lent | Again | None:  # fmt: skip
    if before is None or before.operator != node.operator.name or node.kind == "return":
        return None
    if way and path == way[-1]:
        return None
    if path not in way:
        if (lent := _kept(node, before, from_step)) is not None:
            return lent
    elif list_of(plan, way[way.index(path) + 1]) == node.on_error and before.failure is not None:
        return Again(sure(before.handled_in), from_step, before.failure)
    return None if before.again is None else Again(before.again, from_step)


def _kept(node: Node, before: FormerTask, from_step: str) -> Lent | None:
    """Give what the whole task is taken over as; None when something of it runs."""
    lent = before.lent if before.is_well else None
    if lent is None or (from_step == FAILED and (before.has_failures or lent.status == "failed")):
        return None
    return None if lent.status == "failed" and node.on_error == "fail" else lent


def _on(plan: Plan, choice: Lent | Again) -> Lent | Again:
    """Leave out variables that this version does not have."""
    if isinstance(choice, Again) or not choice.variables:
        return choice
    kept = tuple((name, value) for name, value in choice.variables if defines_on_top(plan, name))
    return msgspec.structs.replace(choice, variables=kept)


def _downstream(plan: Plan, numbers: Iterable[int]) -> dict[int, None]:
    """Give these nodes and all that follow them."""
    found: dict[int, None] = {}
    waiting = list(numbers)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found[number] = None
            waiting += plan.nodes[number].downstream
    return found
